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
