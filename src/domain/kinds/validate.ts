import { ARTIFACT_REFERENCE, READ_FAILURES } from './artifact.ts';
import { defineKind } from './kind.ts';

export const validate = defineKind({
  name: 'validate',
  class: 'inline',
  summary: 'Looks for placeholders, stubs and syntax errors in one source file, by its syntax tree.',
  with: {
    artifact: { description: 'Where the file is: an archive, or the file itself.', schema: ARTIFACT_REFERENCE, form: 'template' },
    path: {
      description: 'Path inside the archive; also tells the language.',
      schema: { type: 'string', maxLength: 4096 },
      form: 'template',
    },
    content: { description: 'The source itself, instead of an artifact.', schema: { type: 'string' }, form: 'template' },
    language: { description: 'Instead of what the name ends with.', schema: { type: 'string', maxLength: 40 }, form: 'template' },
    level: {
      description: 'How much counts as a finding.',
      schema: { type: 'string', enum: ['lenient', 'normal', 'strict'] },
      form: 'template',
      default: 'normal',
    },
  },
  exactlyOne: ['artifact', 'content'],
  output: {
    type: 'object',
    properties: {
      score: { type: 'number', minimum: 0, maximum: 1 },
      issues: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            path: { type: 'string' },
            line: { type: 'integer' },
            column: { type: 'integer' },
            rule: { type: 'string' },
            severity: { type: 'string' },
            message: { type: 'string' },
            fix: true,
          },
        },
      },
    },
    required: ['score', 'issues'],
    additionalProperties: true,
  },
  failures: {
    ...READ_FAILURES,
    artifact_entry_not_found: { retryable: false, when: 'the archive has no file of this path' },
    unsupported_language: { retryable: false, when: 'there is no parser for the language' },
    source_too_large: { retryable: false, when: 'the file is larger than is parsed' },
    validation_timed_out: { retryable: false, when: 'parsing took too long' },
  },
  heavy: true,
  example: { type: 'validate', with: { artifact: '${input.source}', path: 'src/main.ts', level: 'strict' } },
});
