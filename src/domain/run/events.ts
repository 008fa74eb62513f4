import type { Json } from '../json.ts';
import type { ClosedStatus, TaskStatus } from '../plan/outcome.ts';

/**
 * A run's log. `seq` counts 1..n without a hole, in commit order. `task` is a task's id, `item` an element of a mapped
 * task. Types of tasks are `task.<status>`; of runs, `run.<what happened>`.
 */
export type RunEventType =
  | 'run.accepted'
  | 'run.started'
  | 'run.waiting'
  | `run.${ClosedStatus}`
  /** What was completed is undone; that is over; tasks of `finally` begin without it. Data: `{ status }` that the run ends with, and which tasks. */
  | 'run.compensating'
  | 'run.compensated'
  | 'run.finishing'
  /** Closed, and open again: a retry. */
  | 'run.reopened'
  | 'task.started'
  /** Its turn at a limit has come, or it is to run again in a new generation: `{ generation, keptItems }`. */
  | 'task.pending'
  /** Nobody has decided an approval yet: `{ number, of, channel? }`. Changes nothing. */
  | 'task.reminded'
  /** Whoever decides an approval was told that it is open: `{ channel, tries }`; such a notice, or a reminder, was given up: `{ number, channel, tries, code, message }`. Change nothing. */
  | 'task.notified'
  | 'task.notice_failed'
  | `task.${Exclude<TaskStatus, 'pending' | 'running'>}`
  | `command.${'cancel' | 'pause' | 'resume' | 'retry' | 'skip' | 'complete' | 'approve' | 'reject'}`;

/** Types of tasks after which they stand as before. */
export const isNews = (type: string): boolean => type === 'task.reminded' || type === 'task.notified' || type === 'task.notice_failed';

export type RunEvent = {
  seq: number;
  type: RunEventType;
  /** UTC ISO 8601 with milliseconds. */
  at: string;
  runId: string;
  task?: string;
  item?: number;
  attempt?: number;
  /** `{ code, message }` of a failure, `{ until }` of a wait, `{ limit, until? }` of a wait for a limit, `{ items }` of a mapped task that begins, `{ reason, by }` of a command, `{ from, given? }` of a task that a fork kept of the run `from`, or was given … */
  data?: Json;
};
