import type { Failure } from '../problem.ts';
import type { RunStatus, TaskStatus } from '../plan/outcome.ts';

/** How many items of a mapped task, or tasks of a run, are in a status; those not mentioned are pending. */
type Counts = { [status in TaskStatus]?: number };

export type TaskView = {
  status: TaskStatus;
  attempt: number;
  startedAt?: string;
  finishedAt?: string;
  failure?: Failure;
  /** How many items a mapped task has, once that is known. */
  itemCount?: number;
  /** Statuses of the items of a mapped task, by index; a hole is an item that nothing was heard of. */
  items: TaskStatus[];
};

/** What a run looks like to somebody who heard its events up to `lastSeq`. Times are UTC ISO 8601 with milliseconds. */
export type RunView = {
  id: string;
  status: RunStatus;
  lastSeq: number;
  createdAt?: string;
  startedAt?: string;
  finishedAt?: string;
  /** Nothing new begins until it is resumed. */
  paused?: boolean;
  /** Why it was asked to end. */
  reason?: string;
  failure?: Failure;
  /** Of tasks that something was heard of. */
  counts: Counts;
  tasks: { [task: string]: TaskView };
};
