import { DURATION_SCHEMA } from '../definition/duration.ts';
import { defineKind } from './kind.ts';

export const activity = defineKind({
  name: 'activity',
  class: 'control',
  summary: 'Calls a Temporal activity of a worker of your own, in any SDK language. Holds no worker of ours meanwhile.',
  with: {
    taskQueue: {
      description: 'The task queue that your worker polls, in the same namespace.',
      schema: { type: 'string', pattern: '^[A-Za-z0-9][^\\u0000-\\u001f]{0,199}$' },
      form: 'template',
      required: true,
    },
    activity: {
      description: 'The name of the activity there.',
      schema: { type: 'string', pattern: '^[^\\u0000-\\u001f]{1,200}$' },
      form: 'template',
      required: true,
    },
    args: {
      description: 'A list: its arguments; anything else: its one argument; null: none. May not hold secrets.',
      schema: true,
      form: 'template',
    },
    heartbeat: {
      description: 'The longest time between two heartbeats, as a duration: without one for so long, the attempt has timed out.',
      schema: DURATION_SCHEMA,
      form: 'template',
    },
  },
  output: true,
  failures: {
    activity_failed: { retryable: true, when: 'it failed; its message, and its type in the failure, are those of your activity' },
    task_timed_out: { retryable: true, when: 'an attempt took longer than `timeout`, or sent no heartbeat for longer than `heartbeat`' },
    no_worker: { retryable: false, when: 'no worker took it from the task queue in time (`TIU_ACTIVITY_START_TIMEOUT`)' },
    arguments_too_large: { retryable: false, when: 'the arguments are larger than allowed (`TIU_MAX_ACTIVITY_ARGS`)' },
    task_queue_not_allowed: { retryable: false, when: 'the operator does not allow this task queue, or it is one of ours' },
    activity_terminated: { retryable: false, when: 'somebody terminated its execution in Temporal' },
  },
  defaultTimeoutMs: 300_000,
  example: {
    type: 'activity',
    with: { taskQueue: 'billing', activity: 'charge', args: ['${input.order}', { total: '${tasks.total.output}' }], heartbeat: 'PT10S' },
    timeout: 'PT2M',
    retry: { limit: 3 },
  },
});
