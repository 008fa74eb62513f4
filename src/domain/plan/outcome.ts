/**
 * Statuses of a task. The number is what crosses into a workflow's history; the word is what rows and people see.
 * The order is part of the stored format: append only.
 */
export const TASK_STATUSES = [
  'pending',
  'completed',
  'failed',
  'skipped',
  'blocked',
  'timed_out',
  'cancelled',
  'waiting',
  'running',
  'retrying',
  'compensated',
] as const;

export type TaskStatus = (typeof TASK_STATUSES)[number];
/** Index into TASK_STATUSES. */
export type Outcome = number;

export const PENDING = 0;
export const COMPLETED = 1;
export const FAILED = 2;
export const SKIPPED = 3;
export const BLOCKED = 4;
export const TIMED_OUT = 5;
export const CANCELLED = 6;
export const WAITING = 7;
/** Completed, and undone since. */
export const COMPENSATED = 10;

export const isFinal = (outcome: Outcome): boolean => (outcome >= COMPLETED && outcome <= CANCELLED) || outcome === COMPENSATED;
export const statusOf = (outcome: Outcome): TaskStatus => TASK_STATUSES[outcome] ?? 'pending';
export const outcomeOf = (status: TaskStatus): Outcome => TASK_STATUSES.indexOf(status);
/** In an attempt, or between two. */
export const isAtWork = (status: TaskStatus): boolean => status === 'running' || status === 'retrying';
export const isFinalStatus = (status: TaskStatus): boolean => isFinal(outcomeOf(status));

/** Statuses of a run. */
export const RUN_STATUSES = ['queued', 'running', 'waiting', 'paused', 'completed', 'failed', 'cancelled', 'timed_out'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export type ClosedStatus = 'completed' | 'failed' | 'cancelled' | 'timed_out';
export const isClosed = (status: RunStatus): status is ClosedStatus =>
  status === 'completed' || status === 'failed' || status === 'cancelled' || status === 'timed_out';
