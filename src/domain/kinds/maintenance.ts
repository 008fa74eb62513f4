import type { JsonObject } from '../json.ts';
import { defineKind, type Field } from './kind.ts';

const whole = (minimum: number, maximum: number): JsonObject => ({ type: 'integer', minimum, maximum });

const share: Field = {
  description: 'The share of the time it may work; it rests for the others.',
  schema: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
  form: 'template',
  default: 0.5,
};

/** What every one of them may fail with: infrastructure is not among it, the attempt is then repeated. */
const failures = {
  forbidden: { retryable: false, when: 'the run is not one of the system workspace' },
  task_timed_out: { retryable: true, when: 'the attempt took longer than `timeout`; the next one goes on where it was' },
};
const counts = (names: readonly string[]): JsonObject => ({
  type: 'object',
  properties: Object.fromEntries(names.map((name) => [name, { type: 'integer' }])),
});
const HOUR_MS = 3_600_000;

export const maintenancePartitions = defineKind({
  name: 'maintenance.partitions',
  class: 'effect',
  summary: 'Makes the weekly partitions of tasks and events ahead of time. System workspace only.',
  with: {
    weeks: { description: 'How many weeks ahead.', schema: whole(1, 104), form: 'template', default: 8 },
  },
  output: { type: 'object', properties: { partitions: { type: 'array', items: { type: 'string' } } }, required: ['partitions'] },
  failures,
  system: true,
  defaultTimeoutMs: 60_000,
  example: { type: 'maintenance.partitions', with: { weeks: 8 } },
});

export const maintenanceRecords = defineKind({
  name: 'maintenance.records',
  class: 'effect',
  summary: 'Deletes idempotency keys past their time, workers that are gone, old sessions and old audit rows. System workspace only.',
  with: { share },
  output: counts(['idempotency', 'worker', 'audit', 'session']),
  failures,
  system: true,
  defaultTimeoutMs: HOUR_MS,
  example: { type: 'maintenance.records', retry: { limit: 3 } },
});

export const retentionSweep = defineKind({
  name: 'retention.sweep',
  class: 'effect',
  summary:
    'Deletes closed runs that their workspace keeps no longer, then empty partitions; says how many rows of each table. System workspace only.',
  with: {
    batch: { description: 'Rows in one transaction.', schema: whole(10, 20_000), form: 'template', default: 2_000 },
    share,
  },
  output: {
    type: 'object',
    properties: { deleted: counts(['run', 'task', 'run_event']), partitions: { type: 'array', items: { type: 'string' } } },
    required: ['deleted', 'partitions'],
  },
  failures,
  system: true,
  defaultTimeoutMs: 6 * HOUR_MS,
  example: { type: 'retention.sweep', with: { batch: 2000 }, retry: { limit: 3 } },
});

export const artifactsCollect = defineKind({
  name: 'artifacts.collect',
  class: 'effect',
  summary: 'Deletes stored objects that nothing refers to, and files that no row knows. System workspace only.',
  with: { share },
  output: counts(['objects', 'bytes', 'orphans', 'unfinished']),
  failures: { ...failures, storage_full: { retryable: true, when: 'the object store is full' } },
  system: true,
  defaultTimeoutMs: 6 * HOUR_MS,
  example: { type: 'artifacts.collect', retry: { limit: 3 } },
});
