import type { RunStatus, TaskStatus } from '../../domain/plan/outcome.ts';
import type { Database } from '../database.ts';

type MapShare = { task: number; total: number; done: number };
/** `done`: indexes of the tasks that are completed or skipped; `maps`: items of the mapped ones that are not; `retries`: how often it was opened again. */
export type Shares = { done: number[]; maps: MapShare[]; retries: number };

const DONE = `('completed', 'skipped', 'compensated')`;

/** Columns of `Shares` over the tasks `t` of the run $1; $2: indexes of its mapped tasks. */
const SHARES = `array(select task from t where status in ${DONE}) as done, (select coalesce(json_agg(json_build_object('task', t.task, 'total', coalesce(
          (select sum(s.hi - s.lo)::int from slice s where s.run = $1 and s.task = t.task and s.generation = t.generation),
          (select (e.data->>'items')::int from run_event e where e.run = $1 and e.task = t.task and e.item is null and e.type in ('task.started', 'task.waiting') order by e.seq limit 1), 0),
        'done', (select count(*) from (select distinct on (item) status from task where run = $1 and task = t.task and item >= 0 order by item, generation desc) i where i.status in ${DONE}))), '[]')
        from t where t.task = any($2::int[]) and t.status not in ${DONE}) as maps,
        (select count(*)::int from command where run = $1 and type = 'retry') as retries`;
const TASKS = `with t as materialized (select distinct on (task) task, generation, status, started, finished from task where run = $1 and item = -1 order by task, generation desc)`;

/** How far the tasks of a run have come, in one statement by the keys of its rows. @param of.mapped indexes of its mapped tasks */
export async function readShares(db: Database, of: { run: string; mapped: readonly number[] }): Promise<Shares> {
  const rows = await db.rows<Shares>({ name: 'run_shares', text: `${TASKS} select ${SHARES}`, values: [of.run, of.mapped] });
  return rows[0] ?? { done: [], maps: [], retries: 0 };
}

/** A run, its tasks that have begun and its shares, all as of one moment. Times in ms since 1970. */
export type Moment = Shares & {
  status: RunStatus;
  total: number;
  open: number;
  started: number | null;
  tasks: { task: number; status: TaskStatus; started: number | null; finished: number | null }[];
};

/** @returns undefined: the run is gone */
export async function readMoment(db: Database, of: { run: string; mapped: readonly number[] }): Promise<Moment | undefined> {
  const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;
  const [row] = await db.rows<Moment>({
    name: 'run_moment',
    text: `${TASKS} select r.status, r.total, r.open, ${ms('r.started')} as started, ${SHARES},
        (select coalesce(json_agg(json_build_object('task', task, 'status', status, 'started', ${ms('started')}, 'finished', ${ms('finished')}) order by task), '[]') from t) as tasks
      from run_state r where r.run = $1`,
    values: [of.run, of.mapped],
  });
  return row;
}

/** What the tasks of an earlier run took: `ms[i]` is that of the task `tasks[i]` of its plan, 0 for one that did not have to run. */
export type PastRun = { plan: string; tasks: number[]; ms: number[] };

/** Completed runs are looked for among so many times as many. */
const LOOKED_AT = 10;

/**
 * The newest completed runs of a definition before a run, at most `of.runs` of them; their tasks are read by key, one look
 * at the index for each, so items of maps cost nothing.
 */
export async function pastRuns(
  db: Database,
  of: { workspace: string; definition: string; before: string; runs: number },
): Promise<PastRun[]> {
  return db.rows<PastRun>({
    name: 'past_runs',
    text: `select encode(e.plan, 'hex') as plan, t.tasks, t.ms from (
        select r.id, r.plan, s.total from (select id, plan from run where workspace = $1 and definition = $2 and id < $3 order by id desc limit $4) r
        join run_state s on s.run = r.id where s.status = 'completed' order by r.id desc limit $5) e
      cross join lateral (select array_agg(k.task) as tasks, array_agg(k.ms) as ms from generate_series(0, e.total - 1) g(task)
        cross join lateral (select task, coalesce(extract(epoch from finished - started) * 1000, 0)::float8 as ms from task
          where run = e.id and task = g.task and item = -1 and finished is not null order by generation desc limit 1) k) t
      where t.tasks is not null`,
    values: [of.workspace, of.definition, of.before, of.runs * LOOKED_AT, of.runs],
  });
}
