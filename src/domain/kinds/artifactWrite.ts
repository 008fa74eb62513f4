import { ARTIFACT } from './artifact.ts';
import { defineKind } from './kind.ts';

export const artifactWrite = defineKind({
  name: 'artifact.write',
  class: 'inline',
  summary: 'Stores text, or any value as JSON, as an artifact.',
  with: {
    content: { description: 'Text as it is; anything else as JSON.', schema: true, form: 'template', required: true },
    name: { description: 'File name.', schema: { type: 'string', minLength: 1, maxLength: 255 }, form: 'template', required: true },
    mediaType: { description: 'Media type; by the content without it.', schema: { type: 'string', maxLength: 200 }, form: 'template' },
  },
  output: ARTIFACT,
  failures: { artifact_too_large: { retryable: false, when: 'the content is larger than an artifact may be' } },
  example: { type: 'artifact.write', with: { content: '${tasks.totals.output}', name: 'totals.json', mediaType: 'application/json' } },
});
