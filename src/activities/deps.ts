import type { Readable } from 'node:stream';
import type { Database } from '../db/database.ts';
import type { Journal } from '../db/journal.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { Stop } from '../domain/plan/state.ts';
import type { Executors, Execution } from './kinds/executor.ts';
import type { ReadSecrets } from './secrets/readSecrets.ts';

/** Content-addressed store of what is too large for a row. */
export type Objects = {
  put: (workspace: string, bytes: Buffer | Readable) => Promise<{ sha256: string; size: number }>;
  get: (workspace: string, sha256: string) => Promise<Buffer>;
  open: (workspace: string, sha256: string) => Promise<Readable & { size: number }>;
};

/** Why nothing new may begin in a run, and the tasks that nobody may begin. */
export type Halt = { stop: Stop | null; held: readonly number[] };

/** Tells attempts at work in this process that their run stops. */
type Aborts = { add: (runId: string, listener: (news: Halt) => void) => () => void };

export type ActivityDeps = {
  /** Id of this process: owner of the runs it carries. */
  worker: string;
  db: Database;
  journal: Journal;
  objects: Objects;
  executors: Executors;
  readSecrets: ReadSecrets;
  /** Bytes of JSON that one task or run may give. */
  maxOutput: number;
  /** Items of a map that starts a run for each. */
  maxMappedChildren: number;
  aborts: Aborts;
  /** Signals the run to look into PostgreSQL; starts it again if its execution is lost. */
  poke: (runId: string) => Promise<void>;
  /** Asks Temporal to cancel the run's execution. */
  requestCancel: (runId: string) => Promise<void>;
  /** Writes a cancel command for a run whose execution was asked to cancel without one. */
  noteCancel: (runId: string, reason: string) => Promise<void>;
  /** A time of a schedule has come, ms since the epoch: makes the runs that are due. */
  fireSchedule: (schedule: string, at: number) => Promise<void>;
  /** Tells the dispatcher that there is something to do. */
  kick: () => void;
  /** The first activity of a run has ended in this process. */
  started: (runId: string) => void;
  /** One try in a process of its own, for a task that was lost with its worker twice. */
  solo: (kind: string, input: JsonObject, execution: Omit<Execution, 'signal'>) => Promise<Json>;
  /** Bounds of activities of users: bytes of their arguments, the time until a worker takes one (ms), and their task queues. */
  external: { maxArgs: number; startMs: number; mayUse: (taskQueue: string) => boolean };
  /** Effects at work at once in this process. */
  maxEffects: number;
  /** ms since the epoch */
  now: () => number;
  /** In [0, 1). */
  random: () => number;
  log: { warn: (fields: object, message: string) => void };
};
