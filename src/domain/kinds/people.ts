import { defineKind, type Field } from './kind.ts';

const request: Field = {
  description: 'Id of what was asked for.',
  schema: { type: 'string', format: 'uuid' },
  form: 'template',
  required: true,
};
const failures = {
  forbidden: { retryable: false, when: 'the run is not one of the system workspace' },
  not_found: { retryable: false, when: 'nobody has asked for it, or the account is erased' },
  task_timed_out: { retryable: true, when: 'the attempt took longer than `timeout`; what was done stays done' },
};
const HOUR_MS = 3_600_000;

export const peopleExport = defineKind({
  name: 'people.export',
  class: 'effect',
  summary: 'Writes all that is kept of a person as one JSON object, which they alone can fetch. System workspace only.',
  with: { request },
  output: { type: 'object', properties: { bytes: { type: 'integer' } }, required: ['bytes'] },
  failures: { ...failures, storage_full: { retryable: true, when: 'the object store is full' } },
  system: true,
  defaultTimeoutMs: HOUR_MS,
  example: { type: 'people.export', with: { request: '${input.request}' }, retry: { limit: 3 } },
});

export const peopleErase = defineKind({
  name: 'people.erase',
  class: 'effect',
  summary:
    'Removes a part of what is kept of a person and says how many rows of each table; with the last part what stays, and why. System workspace only.',
  with: {
    request,
    step: {
      description: 'The part: sessions, keys and places; proofs of who they are; traces elsewhere; names, which come last.',
      schema: { enum: ['access', 'proofs', 'traces', 'names'] },
      form: 'literal',
      required: true,
    },
  },
  output: {
    type: 'object',
    properties: {
      removed: { type: 'object', additionalProperties: { type: 'integer' } },
      kept: {
        type: 'array',
        items: {
          type: 'object',
          properties: { table: { type: 'string' }, columns: { type: 'array', items: { type: 'string' } }, why: { type: 'string' } },
          required: ['table', 'columns', 'why'],
        },
      },
    },
    required: ['removed'],
  },
  failures,
  system: true,
  defaultTimeoutMs: 60_000,
  example: { type: 'people.erase', with: { request: '${input.request}', step: 'names' }, retry: { limit: 3 } },
});
