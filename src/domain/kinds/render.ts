import { defineKind } from './kind.ts';
import { ARTIFACT } from './artifact.ts';

export const render = defineKind({
  name: 'render',
  class: 'inline',
  summary: 'Fills a text template with data, as text or as an artifact.',
  with: {
    template: { description: 'The template.', schema: { type: 'string', maxLength: 1_000_000 }, form: 'template', required: true },
    data: { description: 'What the template can name.', schema: true, form: 'template', default: {} },
    mediaType: { description: 'Of the artifact.', schema: { type: 'string', maxLength: 200 }, form: 'template', default: 'text/plain' },
    name: { description: 'File name of the artifact.', schema: { type: 'string', maxLength: 255 }, form: 'template' },
    as: { description: 'What the output is.', schema: { type: 'string', enum: ['text', 'artifact'] }, form: 'literal', default: 'text' },
  },
  output: { anyOf: [{ type: 'string' }, ARTIFACT] },
  failures: {
    render_failed: { retryable: false, when: 'the template cannot be read or filled' },
    artifact_too_large: { retryable: false, when: 'the text is larger than an artifact may be' },
  },
  example: { type: 'render', with: { template: 'Hello {{name}}', data: { name: '${input.name}' } } },
});
