import { ARTIFACT_REFERENCE, READ_FAILURES } from './artifact.ts';
import { defineKind } from './kind.ts';

const globs = { type: 'array', items: { type: 'string', minLength: 1, maxLength: 1024 }, maxItems: 100 } as const;

export const artifactList = defineKind({
  name: 'artifact.list',
  class: 'inline',
  summary: 'Lists the files of an archive, sorted by path.',
  with: {
    artifact: { description: 'The archive.', schema: ARTIFACT_REFERENCE, form: 'template', required: true },
    include: { description: 'Globs of which one must match; all files without it.', schema: globs, form: 'template' },
    exclude: { description: 'Globs of which none may match.', schema: globs, form: 'template' },
  },
  output: {
    type: 'array',
    items: {
      type: 'object',
      properties: { path: { type: 'string' }, size: { type: 'integer' }, sha256: { type: 'string' } },
      required: ['path', 'size', 'sha256'],
      additionalProperties: false,
    },
  },
  failures: READ_FAILURES,
  example: { type: 'artifact.list', with: { artifact: '${input.source}', include: ['**/*.ts'] } },
});
