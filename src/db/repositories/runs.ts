import type { Json, JsonObject } from '../../domain/json.ts';
import type { RunStatus, TaskStatus } from '../../domain/plan/outcome.ts';
import type { Phase } from '../../domain/plan/phases.ts';
import type { Mode } from '../../domain/plan/plan.ts';
import type { Failure } from '../../domain/problem.ts';
import type { Database } from '../database.ts';

export type RunRow = {
  id: string;
  workspace: string;
  definition: string;
  definition_number: number | null;
  /** hex */
  plan: string;
  priority: number;
  mode: Mode;
  labels: JsonObject | null;
  /** The run that it began as a fork of. */
  forked_from?: string | null;
  created: string;
  created_by: string;
  /** The same, as what decides about rights calls it. */
  owner: string;
  project: string | null;
  status: RunStatus;
  reason: string | null;
  intent: string | null;
  total: number;
  open: number;
  failed: number;
  last_seq: number;
  not_before: string | null;
  deadline: string | null;
  started: string | null;
  finished: string | null;
  failure: Failure | null;
  /** Of a run that is open: see domain/plan/phases.ts. */
  phase?: Phase;
  paused?: boolean;
  /** Tasks that nobody may begin. */
  held?: number[] | null;
  /** The run that started it. */
  parent?: string | null;
};

const COLUMNS = `r.id, r.workspace, r.definition, r.definition_number, encode(r.plan, 'hex') as plan, r.priority, r.mode, r.labels, r.forked_from, r.created, r.created_by, r.created_by as owner, r.project,
  s.status, s.reason, s.intent, s.total, s.open, s.failed, s.last_seq::float8 as last_seq, s.not_before, s.deadline, s.started, s.finished, s.failure, s.phase, s.paused, s.held, r.parent`;

/** A run of the workspace; undefined for another's. */
export async function findRun(db: Database, run: { workspace: string; id: string }): Promise<RunRow | undefined> {
  const rows = await db.rows<RunRow>({
    name: 'run_find',
    text: `select ${COLUMNS} from run r join run_state s on s.run = r.id where r.id = $1 and r.workspace = $2`,
    values: [run.id, run.workspace],
  });
  return rows[0];
}

/** A run with its tasks counted by status; pending ones have no row. */
export type RunView = RunRow & { counts: { status: TaskStatus; n: number }[] | null };

const COUNTS = `case when s.started is not null then (select json_agg(json_build_object('status', c.status, 'n', c.n)) from (
  select t.status, count(*)::int as n from (select distinct on (task) status from task where run = r.id and item = -1 order by task, generation desc) t
  group by 1) c) end as counts`;

/** A run of the workspace as it is shown; undefined for another's. */
export async function findRunView(db: Database, run: { workspace: string; id: string }): Promise<RunView | undefined> {
  const rows = await db.rows<RunView>({
    name: 'run_view',
    text: `select ${COLUMNS}, ${COUNTS} from run r join run_state s on s.run = r.id where r.id = $1 and r.workspace = $2`,
    values: [run.id, run.workspace],
  });
  return rows[0];
}

/** What a run gave: JSON text, or where it is. */
export type StoredOutput = { output: string | null; output_ref: Buffer | null; output_size: number | null };
export type ClosedRun = RunView & StoredOutput;

/** Those of `ids` that are closed, with what they gave. */
export async function findClosedRuns(db: Database, ids: readonly string[]): Promise<ClosedRun[]> {
  const rows = await db.rows<{ run: ClosedRunJson }>({ name: 'runs_closed', text: 'select closed_runs_v1($1) as run', values: [ids] });
  return rows.map(({ run }) => closedRunOf(run));
}

/** A run as closed_runs_v1 and notices of the channel `end` have it. */
export type ClosedRunJson = Omit<ClosedRun, 'output_ref'> & { output_ref: string | null };

export const closedRunOf = (run: ClosedRunJson): ClosedRun => ({
  ...run,
  output_ref: run.output_ref === null ? null : Buffer.from(run.output_ref, 'hex'),
});

/** Runs among `ids` that belong to the workspace. */
export async function findRuns(db: Database, runs: { workspace: string; ids: string[] }): Promise<RunRow[]> {
  return db.rows<RunRow>({
    name: 'runs_find',
    text: `select ${COLUMNS} from run r join run_state s on s.run = r.id where r.id = any($1) and r.workspace = $2 order by r.id`,
    values: [runs.ids, runs.workspace],
  });
}

/** Longer inputs are not shown, bytes. */
const SHOWN_INPUT = 16_384;

/** Inputs of those of `ids` that belong to the workspace; null for long ones. */
export async function findInputs(db: Database, runs: { workspace: string; ids: string[] }): Promise<Map<string, Json>> {
  const rows = await db.rows<{ id: string; input: Json }>({
    name: 'runs_inputs',
    text: `select id, case when octet_length(input::text) <= ${SHOWN_INPUT} then input end as input from run where id = any($1) and workspace = $2`,
    values: [runs.ids, runs.workspace],
  });
  return new Map(rows.map(({ id, input }) => [id, input]));
}

export type RunFilter = {
  workspace: string;
  status: readonly RunStatus[];
  workflow: string | undefined;
  labels: readonly { name: string; value: string }[];
  /** Runs that this one has started. */
  parent?: string | undefined;
  since: Date | undefined;
  /** Name of a project. */
  project?: string | undefined;
};

/** Newest first. @param before id of the last one of the page before */
export async function listRuns(db: Database, filter: RunFilter, page: { before: string | undefined; limit: number }): Promise<RunRow[]> {
  const { where, values, shape } = conditions(filter);
  const before = page.before === undefined ? '' : `and r.id < $${values.push(page.before)}`;
  return db.rows<RunRow>({
    name: `run_list_${shape}${before === '' ? '' : 'b'}`,
    text: `select ${COLUMNS} from run r join run_state s on s.run = r.id where ${where} ${before} order by r.id desc limit $${values.push(page.limit)}`,
    values,
  });
}

export async function countRuns(db: Database, filter: RunFilter): Promise<number> {
  const { where, values, shape } = conditions(filter);
  const rows = await db.rows<{ n: number }>({
    name: `run_count_${shape}`,
    text: `select count(*)::int as n from run r join run_state s on s.run = r.id where ${where}`,
    values,
  });
  return rows[0]?.n ?? 0;
}

/** The same, but it stops counting after `max`. */
export async function countRunsUpTo(db: Database, filter: RunFilter, max: number): Promise<{ count: number; more: boolean }> {
  const { where, values, shape } = conditions(filter);
  const [row] = await db.rows<{ n: number }>({
    name: `run_count_up_to_${shape}`,
    text: `select count(*)::int as n from (select from run r join run_state s on s.run = r.id where ${where} limit $${values.push(max + 1)}) x`,
    values,
  });
  const n = row?.n ?? 0;
  return { count: Math.min(n, max), more: n > max };
}

/** Of runs `r` and their states `s`; `shape` tells statements of different filters apart. */
export function conditions(filter: RunFilter): { where: string; values: unknown[]; shape: string } {
  const values: unknown[] = [filter.workspace];
  const where = ['r.workspace = $1'];
  if (filter.status.length > 0) where.push(`s.status = any($${values.push(filter.status)})`);
  if (filter.workflow !== undefined) where.push(`r.definition = $${values.push(filter.workflow)}`);
  for (const { name, value } of filter.labels) {
    where.push(
      `exists (select from label l where l.workspace = $1 and l.name = $${values.push(name)} and l.value = $${values.push(value)} and l.run = r.id)`,
    );
  }
  if (filter.parent !== undefined) where.push(`r.parent = $${values.push(filter.parent)}`);
  if (filter.since) where.push(`r.created >= $${values.push(filter.since)}`);
  if (filter.project !== undefined)
    where.push(`r.project = (select j.id from project j where j.workspace = $1 and j.name = $${values.push(filter.project)})`);
  const flags = [
    filter.status.length > 0 ? 's' : '',
    filter.workflow === undefined ? '' : 'w',
    String(filter.labels.length),
    filter.parent === undefined ? '' : 'p',
    filter.since ? 't' : '',
    filter.project === undefined ? '' : 'j',
  ];
  return { where: where.join(' and '), values, shape: flags.join('') };
}

/** What a closed run gave: JSON text, or where it is. Undefined for one that gave nothing. */
export async function findOutput(db: Database, run: string): Promise<StoredOutput | undefined> {
  const rows = await db.rows<StoredOutput>({
    name: 'run_output',
    text: 'select output::text as output, output_ref, output_size from run_output where run = $1',
    values: [run],
  });
  return rows[0];
}

/** Status and last event number of those of `runs` that exist. */
export async function runHeads(db: Database, runs: string[]): Promise<{ run: string; last_seq: number; closed: boolean }[]> {
  return db.rows({
    name: 'run_heads',
    text: 'select run, last_seq::float8 as last_seq, finished is not null as closed from run_state where run = any($1)',
    values: [runs],
  });
}

/** The newest runs of a workspace, and of `others` those that belong to it, as `[id, last event number]`. */
export async function workspaceHeads(
  db: Database,
  scope: { workspace: string; newest: number; others: string[] },
): Promise<{ run: string; last_seq: number; closed: boolean }[]> {
  return db.rows({
    name: 'workspace_heads',
    text: `select s.run, s.last_seq::float8 as last_seq, s.finished is not null as closed from run_state s where s.workspace = $1 and s.run = any(
      (array(select id from run where workspace = $1 order by id desc limit $2)) || $3::uuid[])`,
    values: [scope.workspace, scope.newest, scope.others],
  });
}

export type TaskRow = {
  task: number;
  item: number;
  generation: number;
  status: TaskStatus;
  branch: number | null;
  attempt: number;
  output_ref: Buffer | null;
  output_size: number | null;
  failure: Failure | null;
  started: string | null;
  finished: string | null;
  next_at: string | null;
};

const TASK = 'task, item, generation, status, branch, attempt, output_ref, output_size, failure, started, finished, next_at';

/** Rows of the tasks themselves; a task that nothing happened to has none. */
export async function listTasks(db: Database, run: string): Promise<TaskRow[]> {
  return db.rows<TaskRow>({
    name: 'task_list',
    text: `select distinct on (task) ${TASK} from task where run = $1 and item = -1 order by task, generation desc`,
    values: [run],
  });
}

/** Statuses of the items of mapped tasks. */
export async function countItems(db: Database, run: string): Promise<{ task: number; status: TaskStatus; n: number }[]> {
  return db.rows({
    name: 'item_counts',
    text: `select t.task, t.status, count(*)::int as n from (select distinct on (task, item) task, status from task where run = $1 and item >= 0
      order by task, item, generation desc) t group by 1, 2`,
    values: [run],
  });
}

export async function findTask(
  db: Database,
  key: { run: string; task: number },
): Promise<(TaskRow & { output: string | null }) | undefined> {
  const rows = await db.rows<TaskRow & { output: string | null }>({
    name: 'task_find',
    text: `select ${TASK}, output::text as output from task where run = $1 and task = $2 and item = -1 order by generation desc limit 1`,
    values: [key.run, key.task],
  });
  return rows[0];
}

/** Items in order of their index. @param page.after index of the last one of the page before, -1 = from the start */
export async function listItems(
  db: Database,
  key: { run: string; task: number },
  page: { status: readonly TaskStatus[]; after: number; limit: number },
): Promise<(TaskRow & { output: string | null })[]> {
  return db.rows<TaskRow & { output: string | null }>({
    name: 'item_list',
    text: `select * from (select distinct on (item) ${TASK}, output::text as output from task where run = $1 and task = $2 and item > $3 order by item, generation desc) t
      where cardinality($4::text[]) = 0 or status = any($4) order by item limit $5`,
    values: [key.run, key.task, page.after, page.status, page.limit],
  });
}

export type EventRow = {
  run: string;
  seq: number;
  type: string;
  task: number | null;
  item: number | null;
  attempt: number | null;
  data: Json;
  at: string;
};

const EVENT = 'run, seq::float8 as seq, type, task, item, attempt, data, at';

/** Events of a run after a number, in order. @param until highest number wanted */
export async function listEvents(db: Database, page: { run: string; after: number; until: number; limit: number }): Promise<EventRow[]> {
  return db.rows<EventRow>({
    name: 'event_list',
    text: `select ${EVENT} from run_event where run = $1 and seq > $2 and seq <= $3 order by seq limit $4`,
    values: [page.run, page.after, page.until, page.limit],
  });
}

/** For each run the events after its number, at most `limit` of each. */
export async function newEvents(db: Database, heads: { runs: string[]; after: number[]; limit: number }): Promise<EventRow[]> {
  return db.rows<EventRow>({
    name: 'event_news',
    text: `select e.run, e.seq::float8 as seq, e.type, e.task, e.item, e.attempt, e.data, e.at from unnest($1::uuid[], $2::bigint[]) h(run, head)
      cross join lateral (select * from run_event v where v.run = h.run and v.seq > h.head order by v.seq limit $3) e order by e.run, e.seq`,
    values: [heads.runs, heads.after, heads.limit],
  });
}
