import { defineKind, type Field } from './kind.ts';

const workspace: Field = {
  description: 'Id of the workspace.',
  schema: { type: 'string', format: 'uuid' },
  form: 'template',
  required: true,
};
const closing: Field = {
  description: 'When its closing was asked for: one that was taken back is not the same.',
  schema: { type: 'string', format: 'date-time' },
  form: 'template',
  required: true,
};
const failures = {
  forbidden: { retryable: false, when: 'the run is not one of the system workspace' },
  task_timed_out: { retryable: true, when: 'the attempt took longer than `timeout`; the next one goes on where it was' },
};
const HOUR_MS = 3_600_000;

export const workspacesStop = defineKind({
  name: 'workspaces.stop',
  class: 'effect',
  summary: 'Asks all open runs of a workspace that is closing to end, by a bulk job. System workspace only.',
  with: { workspace, closing },
  output: { type: 'null' },
  failures,
  system: true,
  defaultTimeoutMs: 60_000,
  example: { type: 'workspaces.stop', with: { workspace: '${input.workspace}', closing: '${input.closing}' } },
});

export const workspacesDelete = defineKind({
  name: 'workspaces.delete',
  class: 'effect',
  summary:
    'Deletes all that is in a workspace that is closing, once its time has come and unless that was taken back; says how many rows of each table, and what stays and why. System workspace only.',
  with: {
    workspace,
    closing,
    batch: {
      description: 'Rows in one commit.',
      schema: { type: 'integer', minimum: 1, maximum: 20_000 },
      form: 'template',
      default: 1_000,
    },
  },
  output: {
    type: 'object',
    properties: {
      withdrawn: { type: 'boolean' },
      deleted: { type: 'object', additionalProperties: { type: 'integer' } },
      kept: {
        type: 'array',
        items: { type: 'object', properties: { table: { type: 'string' }, why: { type: 'string' } }, required: ['table', 'why'] },
      },
    },
    required: ['withdrawn', 'deleted', 'kept'],
  },
  failures: { ...failures, workspace_busy: { retryable: true, when: 'runs of the workspace have not ended yet; they are told to' } },
  system: true,
  defaultTimeoutMs: 6 * HOUR_MS,
  example: { type: 'workspaces.delete', with: { workspace: '${input.workspace}', closing: '${input.closing}' }, retry: { limit: 3 } },
});
