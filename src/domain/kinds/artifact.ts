import type { JsonObject } from '../json.ts';

/** A stored artifact, as tasks hand it on. */
export const ARTIFACT = {
  type: 'object',
  properties: {
    sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    size: { type: 'integer', minimum: 0 },
    mediaType: { type: 'string' },
    name: { type: 'string' },
  },
  required: ['sha256', 'size'],
  additionalProperties: false,
} as const satisfies JsonObject;

/** How a task names an artifact: by its SHA-256 in hex, or as another task gave it. */
export const ARTIFACT_REFERENCE = {
  anyOf: [
    { type: 'string', pattern: '^(sha256:)?[0-9a-f]{64}$' },
    { type: 'object', properties: { sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' } }, required: ['sha256'] },
  ],
} as const satisfies JsonObject;

/** Failures of every kind that reads an artifact. */
export const READ_FAILURES = {
  artifact_not_found: { retryable: false, when: 'there is no such artifact in the workspace' },
  artifact_too_large: { retryable: false, when: 'it is larger than this kind reads' },
  invalid_archive: { retryable: false, when: 'it is not an archive, or a broken one' },
} as const;
