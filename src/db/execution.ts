import type { Json } from '../domain/json.ts';
import type { ClosedStatus, TaskStatus } from '../domain/plan/outcome.ts';
import type { Plan } from '../domain/plan/plan.ts';
import type { Phase } from '../domain/plan/phases.ts';
import type { Intent, Stop } from '../domain/plan/state.ts';
import type { Failure } from '../domain/problem.ts';
import type { Database } from './database.ts';

/** `[task, status, seq, generation, branch, attempt, losses]` */
export type TaskRow = [task: number, status: TaskStatus, seq: number, generation: number, branch: number, attempt: number, losses: number];
type Stale = { stale: true };
/** What every answer of the engine carries: why to stop, and the time to the next wait or deadline, ms. */
type News = { intent: Stop | null; due: number | null };
/** Where the run stands, and the tasks that nobody may begin. */
type Standing = { phase: Phase; held: number[] | null };

export type LoadedRun =
  | (News & Standing & { epoch: number; cursor: number; rows: TaskRow[] })
  | { closed: ClosedStatus | 'unknown'; reason: string | null; failure: Failure | null };
export type LoadedOwner = (News & Standing & { seq: number; careful: boolean; rows: TaskRow[] }) | Stale;
export type Claim =
  | Stale
  | { final: TaskRow; intent: Stop | null; due: number | null }
  | { retryInMs: number }
  | { waiting: TaskRow; due: number | null }
  | { intent: Stop }
  /** `round`: rounds of a loop that are over. */
  | { attempt: number; losses: number; round: number; remainingMs: number | null; seq: number };
export type Changes = (News & Standing & { cursor: number; rows: TaskRow[] }) | Stale;
export type Swept = (News & { rows: TaskRow[] }) | Stale;
export type LoadedSlice = { over: true } | { paused: true } | { left: number[]; slices: number };

/** What of a run never changes. */
export type RunFacts = {
  run: string;
  workspace: string;
  planHash: string;
  input: Json;
  /** Bytes. */
  inputSize: number;
  startedAt: string;
};

export type OutputRow = {
  task: number;
  item: number;
  status: TaskStatus;
  output: Json;
  ref: string | null;
  size: number | null;
  failure: Failure | null;
};

/** Calls a function that answers with one JSON document. */
async function ask<T>(db: Database, name: string, values: readonly unknown[]): Promise<T> {
  const text = `select ${name}(${values.map((_, i) => `$${i + 1}`).join(', ')}) as answer`;
  const [row] = await db.rows<{ answer: T }>({ name, text, values });
  if (!row) throw new Error(`${name} gave no row`);
  return row.answer;
}

export type TaskKey = { run: string; task: number; item: number; generation: number };

/** Raises the run's epoch; `worker` carries it from now on. */
export const loadRunRow = (db: Database, run: string, worker: string) => ask<LoadedRun>(db, 'load_run_v2', [run, worker]);

export const loadOwner = (db: Database, query: { run: string; epoch: number; tasks: number[] }) =>
  ask<LoadedOwner>(db, 'load_owner_v1', [query.run, query.epoch, query.tasks]);

/** @param query.tasks whose ends are reported besides those of tasks that waited */
export const readChangesSince = (db: Database, query: { run: string; epoch: number; since: number; tasks?: readonly number[] }) =>
  ask<Changes>(db, 'read_changes_v2', [query.run, query.epoch, query.since, query.tasks ?? []]);

/** What an execution has missed of a run that was ended without it: tasks whose ends have numbers beyond `since`; null: the run is open, or gone. */
export const readClosedSince = (db: Database, query: { run: string; since: number }) =>
  ask<Exclude<Changes, Stale> | null>(db, 'read_closed_v1', [query.run, query.since]);

export const sweepTasks = (db: Database, sweep: { run: string; epoch: number; tasks: number[]; intent: Intent }) =>
  ask<Swept>(db, 'sweep_v1', [sweep.run, sweep.epoch, sweep.tasks, sweep.intent]);

/** What a run goes on with once its tasks have settled. */
export type Advance = {
  run: string;
  epoch: number;
  phase: Phase;
  /** How many tasks come before those of `finally`. */
  main: number;
  /** How it ends. */
  status: ClosedStatus;
  failure: string | null;
  /** Compensations that are needed now, and the generations of what they undo. */
  begin: { task: number; generation: number }[];
  /** Tasks that have been undone. */
  undone: { task: number; generation: number }[];
  /** JSON text: data of the event. */
  data: string | null;
  /** Until everything that is left is cancelled, ms. */
  timeoutMs: number | null;
};
export type Advanced = { phase: Phase; rows: TaskRow[] } | { reopened: true } | Stale;

/** Refused (`reopened`) if a task is open after all, a command unseen, or the status contradicts what the run was asked. */
export const advanceRun = (db: Database, a: Advance) =>
  ask<Advanced>(db, 'advance_run_v1', [
    ...[a.run, a.epoch, a.phase, a.main, a.status, a.failure, a.data, a.timeoutMs],
    ...[a.begin, a.undone].flatMap((list) => [list.map(({ task }) => task), list.map(({ generation }) => generation)]),
  ]);

export const markWaiting = (db: Database, run: string, epoch: number) => ask<null>(db, 'mark_waiting_v1', [run, epoch]);

export const loadSliceRow = (db: Database, slice: { run: string; task: number; generation: number; k: number }) =>
  ask<LoadedSlice>(db, 'load_slice_v1', [slice.run, slice.task, slice.generation, slice.k]);

export const finishSliceRow = (
  db: Database,
  slice: { run: string; task: number; generation: number; k: number; tolerate: { count: number; percent: number } },
) => ask<boolean>(db, 'finish_slice_v1', [slice.run, slice.task, slice.generation, slice.k, slice.tolerate.count, slice.tolerate.percent]);

export async function readFacts(db: Database, run: string): Promise<RunFacts | undefined> {
  const [row] = await db.rows<RunFacts>({
    name: 'run_facts',
    text: `select r.id as run, r.workspace, encode(r.plan, 'hex') as "planHash", r.input, coalesce(octet_length(r.input::text), 0) as "inputSize",
      to_char(coalesce(s.started, r.created) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "startedAt"
      from run r join run_state s on s.run = r.id where r.id = $1`,
    values: [run],
  });
  return row;
}

export async function readPlan(db: Database, hash: string): Promise<Plan | undefined> {
  const [row] = await db.rows<{ body: Plan }>({
    name: 'plan_body',
    text: `select body from plan where hash = decode($1, 'hex')`,
    values: [hash],
  });
  return row?.body;
}

const OUTPUT = `task, item, status, output, encode(output_ref, 'hex') as ref, output_size as size, failure`;

/** Outputs and failures of tasks, newest generation; with `items`, of their items too, in order. */
export const readOutputs = (db: Database, query: { run: string; tasks: number[]; items: boolean }): Promise<OutputRow[]> =>
  db.rows<OutputRow>({
    name: query.items ? 'outputs_items' : 'outputs',
    text: `select ${OUTPUT} from task t where run = $1 and task = any($2) and ${query.items ? 'item >= 0' : 'item = -1'}
      and generation = coalesce((select max(g.generation) from task g where g.run = $1 and g.task = t.task and g.item = -1), 0)
      order by task, item`,
    values: [query.run, query.tasks],
  });

/** Items of a mapped task from `lo` to `hi`, both included: those that are final, and how often each of the others was begun. */
export const readItems = (db: Database, key: { run: string; task: number; generation: number; lo: number; hi: number }) =>
  db.rows<{ item: number; status: TaskStatus; attempt: number }>({
    name: 'map_items',
    text: `select item, status, attempt from task where run = $1 and task = $2 and item between $4 and $5 and generation = $3`,
    values: [key.run, key.task, key.generation, key.lo, key.hi],
  });

/** Whether an attempt still holds its task, and why the run stops if it does. For attempts that beat. */
export async function holdsTask(db: Database, key: TaskKey, token: string): Promise<{ held: boolean; intent: Stop | null }> {
  const [row] = await db.rows<{ held: boolean; intent: Stop | null }>({
    name: 'holds_task',
    text: `select coalesce(t.token = $5, false) as held, stop_v1(s) as intent from run_state s
      left join task t on t.run = s.run and t.task = $2 and t.item = $3 and t.generation = $4 where s.run = $1 and s.finished is null`,
    values: [key.run, key.task, key.item, key.generation, token],
  });
  return row ?? { held: false, intent: null };
}

export type RunStanding = {
  status: ClosedStatus | 'open';
  epoch: number;
  lastSeq: number;
  intent: Intent | null;
  reason: string | null;
  failure: Failure | null;
  phase: Phase;
  /** How it ends, once its tasks have settled and it cleans up. */
  decided: ClosedStatus | null;
};

export async function readStanding(db: Database, run: string): Promise<RunStanding | undefined> {
  const [row] = await db.rows<RunStanding>({
    name: 'run_standing',
    text: `select case when finished is null then 'open' else status end as status, epoch, last_seq::float8 as "lastSeq", intent, reason, failure, phase, decided from run_state where run = $1`,
    values: [run],
  });
  return row;
}

/** The newest generation of every task that has a row. */
export const readTaskRows = async (db: Database, run: string, tasks: readonly number[] | null = null): Promise<TaskRow[]> =>
  ask<TaskRow[]>(db, 'task_rows_v1', [run, tasks]);
