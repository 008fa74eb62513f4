import { ARTIFACT_REFERENCE, READ_FAILURES } from './artifact.ts';
import { defineKind } from './kind.ts';

export const artifactRead = defineKind({
  name: 'artifact.read',
  class: 'inline',
  summary: 'Reads an artifact, or one file of an archive, as text or JSON.',
  with: {
    artifact: { description: 'The artifact.', schema: ARTIFACT_REFERENCE, form: 'template', required: true },
    path: { description: 'A file inside it, if it is an archive.', schema: { type: 'string', maxLength: 4096 }, form: 'template' },
    as: { description: 'What the output is.', schema: { type: 'string', enum: ['text', 'json'] }, form: 'literal', default: 'text' },
  },
  output: true,
  failures: {
    ...READ_FAILURES,
    artifact_entry_not_found: { retryable: false, when: 'the archive has no file of this path' },
    invalid_task_output: { retryable: false, when: 'it is not UTF-8, or not JSON though `as: json`' },
  },
  example: { type: 'artifact.read', with: { artifact: '${input.source}', path: 'package.json', as: 'json' } },
});
