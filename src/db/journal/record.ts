import type { ClosedStatus, TaskStatus } from '../../domain/plan/outcome.ts';
import type { Stop } from '../../domain/plan/state.ts';

/** Shared by everything one execution of a run computes: once a record of it fails, the later ones are dropped with the same error. */
type Segment = { dead?: Error };

type FinalStatus = Exclude<TaskStatus, 'pending' | 'running' | 'waiting' | 'retrying'>;

export type TaskRecord = {
  type: 'task';
  task: number;
  /** -1 = the task itself. */
  item: number;
  generation: number;
  attempt: number;
  token: string;
  status: 'running' | 'waiting' | 'retrying' | FinalStatus;
  branch?: number;
  /** JSON text, up to 64 KiB; larger ones are objects named by `outputRef` (sha256). */
  output?: string;
  outputRef?: Buffer;
  /** Bytes; the length of `output` when left out. */
  outputSize?: number;
  /** JSON text of a Failure. */
  failure?: string;
  /** Opens a wait of kind `deadline` that many ms from the commit on; the first one of a task stays. */
  deadlineMs?: number;
  /** Retrying: when the next attempt is due, in ms. */
  nextMs?: number;
  /** The attempt before died with its worker. */
  lost?: boolean;
  /** Opened in the same commit; a wait that exists already is left as it is. Bounds of slices are [lo, hi). */
  wait?:
    | { kind: 'timer' | 'event' | 'approval' | 'child' | 'external'; untilMs?: number; until?: string }
    /** `parts`: there are no slices, but a wait for each item, and so many of their runs may be open at once. */
    | { kind: 'map'; slices: [lo: number, hi: number][]; parts?: number };
  /** JSON text: data of the event; the failure when left out. */
  data?: string;
};

/** A proposal: accepted only if no task is open, no command unseen and the intent agrees once the batch is written. */
export type CloseRecord = {
  type: 'close';
  status: ClosedStatus;
  failure?: string;
  output?: string;
  outputRef?: Buffer;
  outputSize?: number;
};

/** Writes nothing but the counters of the run: its commands up to `applied` have been seen. */
type AppliedRecord = { type: 'applied' };

export type JournalRecord = {
  segment: Segment;
  run: string;
  /** 0 = an effect, fenced by its token only. */
  epoch: number;
  /** Number of the last command that the writer has taken into account. */
  applied?: number;
} & (TaskRecord | CloseRecord | AppliedRecord);

export type Committed = {
  /** Of this record's row and event. */
  seq: number;
  /** Of the run after the commit. */
  lastSeq: number;
  intent: Stop | null;
  /** A command waits to be read. */
  unseen: boolean;
  /** What this commit closed the run with. */
  closed: ClosedStatus | null;
};

/** The task belongs to somebody else: another token, a higher attempt, or it is final. */
export class Refused extends Error {
  override name = 'Refused';
}

/** The run is closed, gone, or executed under another epoch. */
export class Stale extends Error {
  override name = 'Stale';
}
