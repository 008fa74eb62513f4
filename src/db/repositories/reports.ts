import type { ClosedStatus } from '../../domain/plan/outcome.ts';
import type { Database } from '../database.ts';

/** Runs that were accepted from `from` up to, not including, `to`; those of one definition if `definition` names it. */
type Range = { workspace: string; definition: string | undefined; from: Date; to: Date };
/** How much is counted: the newest runs, together with at most so many tasks; and rows of the answer. */
export type Bounds = { runs: number; tasks: number; rows: number };
/** `runs`: how many were counted, accepted from `since` on; `more`: older ones of the range were left out. */
export type Counted = { runs: number; since: string | null; more: boolean };
type Durations = { p50: number | null; p95: number | null; mean: number | null };
type Failures = { code: string; n: number }[];
type Outcomes = {
  runs: number;
  completed: number;
  failed: number;
  cancelled: number;
  timed_out: number;
  recent_completed: number;
  recent: number;
};

/** `recent`: how many of the newest 50 that are closed are its; `recent_completed`: how many of these completed. */
export type WorkflowReport = Outcomes & { definition: string; duration: Durations; queued: Durations; failures: Failures };

export type TaskReport = {
  definition: string | null;
  task: string | null;
  kind: string;
  runs: number;
  completed: number;
  failed: number;
  timed_out: number;
  cancelled: number;
  skipped: number;
  blocked: number;
  /** Attempts after the first; of items of maps none are counted. */
  retries: number;
  duration: Durations;
  slowest_run: string | null;
  failures: Failures;
};

/** Of the newest that are closed, how many make the recent success rate. */
const RECENT = 50;
const CODES = 10;

/** The code of a failure. Not by a json operator: those refuse a message with U+0000, which json lets pass. */
const codeOf = (failure: string): string => `substring(${failure}::text from '^\\{\\s*"code"\\s*:\\s*"(\\w+)"')`;

/**
 * The newest runs of a range, by one of the two indexes of runs. A client's own id is within a day of the time at which
 * its run was accepted, so ids bound the walk and `created` decides. Parameters: $1 workspace, $2 and $3 the range, $4 how
 * many and one more, and $5 the definition.
 */
const chosen = (definition: string | undefined, counted = 'counted'): string => `chosen as materialized (
    select r.id, r.definition, r.plan, r.created from run r where r.workspace = $1 ${definition === undefined ? '' : 'and r.definition = $5'}
      and r.id >= uuid7_floor($2::timestamptz - interval '1 day') and r.id < uuid7_floor($3::timestamptz + interval '1 day')
      and r.created >= $2 and r.created < $3 order by r.id desc limit $4::int),
  ${counted} as (select c.* from chosen c order by c.id desc limit $4::int - 1)`;

const DURATIONS = (ms: string): string =>
  `json_build_object('p50', percentile_cont(0.5) within group (order by ${ms}), 'p95', percentile_cont(0.95) within group (order by ${ms}), 'mean', avg(${ms}))`;
const msBetween = (from: string, to: string): string => `extract(epoch from ${to} - ${from}) * 1000`;
const only = (statuses: readonly string[]): string =>
  statuses.map((status) => `(count(*) filter (where x.status = '${status}'))::int as ${status}`).join(', ');

const outcomes = (newest: string): string => `count(*)::int as runs, ${only(['completed', 'failed', 'cancelled', 'timed_out'])},
  (count(*) filter (where x.${newest} <= ${RECENT} and x.status = 'completed'))::int as recent_completed, (count(*) filter (where x.${newest} <= ${RECENT}))::int as recent`;

const valuesOf = ({ workspace, from, to, definition }: Range, { runs }: Bounds): unknown[] => [
  workspace,
  from,
  to,
  runs + 1,
  ...(definition === undefined ? [] : [definition]),
];

type WorkflowsReport = { counted: Counted; totals: Outcomes; rows: WorkflowReport[] };

/** Runs by definition, the busiest first. */
export async function reportWorkflows(db: Database, range: Range, bounds: Bounds): Promise<WorkflowsReport> {
  const values = valuesOf(range, bounds);
  const [row] = await db.rows<WorkflowsReport>({
    name: `report_workflows_${range.definition === undefined ? 'all' : 'one'}`,
    text: `with ${chosen(range.definition)},
      x as materialized (select c.id, c.definition, s.status, ${codeOf('s.failure')} as code, ${msBetween('s.started', 's.finished')} as ms,
          ${msBetween('greatest(c.created, s.not_before)', 's.started')} as waited,
          case when s.finished is not null then row_number() over (partition by c.definition, s.finished is not null order by c.id desc) end as newest,
          case when s.finished is not null then row_number() over (partition by s.finished is not null order by c.id desc) end as newest_of_all
        from counted c join run_state s on s.run = c.id),
      f as (select definition, json_agg(json_build_object('code', code, 'n', n) order by n desc, code) as failures from (
          select definition, code, count(*)::int as n, row_number() over (partition by definition order by count(*) desc, code) as place
          from x where code is not null group by 1, 2) k where place <= ${CODES} group by 1),
      g as (select x.definition, ${outcomes('newest')}, ${DURATIONS('x.ms')} as duration, ${DURATIONS('x.waited')} as queued
        from x group by 1)
      select (${COUNTED}) as counted, (select row_to_json(a) from (select ${outcomes('newest_of_all')} from x) a) as totals,
        (select coalesce(json_agg(r), '[]') from (select g.*, coalesce(f.failures, '[]') as failures from g left join f using (definition)
          order by g.runs desc, g.definition limit $${values.push(bounds.rows + 1)}) r) as rows`,
    values,
  });
  return row ?? { ...NOTHING, totals: { runs: 0, completed: 0, failed: 0, cancelled: 0, timed_out: 0, recent_completed: 0, recent: 0 } };
}

const COUNTED = `select json_build_object('runs', count(*), 'since', min(created), 'more', (select count(*) from chosen) > count(*)) from counted`;
const NOTHING: { counted: Counted; rows: never[] } = { counted: { runs: 0, since: null, more: false }, rows: [] };

const FINAL = ['completed', 'failed', 'timed_out', 'cancelled', 'skipped', 'blocked', 'compensated'] as const;

/**
 * Tasks that have ended, by definition and id or by kind alone, the slowest first. What a fork has kept had ended before it was accepted, and
 * counts in the run that it ran in alone. Rows of tasks are read by key, so items of
 * maps cost nothing; names come from the plans.
 */
export async function reportTasks(
  db: Database,
  range: Range & { by: 'task' | 'kind' },
  bounds: Bounds,
): Promise<{ counted: Counted; rows: TaskReport[] }> {
  const values = valuesOf(range, bounds);
  const key = range.by === 'kind' ? 'x.kind' : 'x.definition, x.task, x.kind';
  const keys = range.by === 'kind' ? 'kind' : 'definition, task, kind';
  const [row] = await db.rows<{ counted: Counted; rows: TaskReport[] }>({
    name: `report_tasks_${range.by}_${range.definition === undefined ? 'all' : 'one'}`,
    text: `with ${chosen(range.definition, 'taken')},
      counted as materialized (select * from (select c.*, s.total, sum(s.total) over (order by c.id desc) as tasks from taken c join run_state s on s.run = c.id) t
        where t.tasks <= $${values.push(bounds.tasks)}),
      names as materialized (select p.hash, n.o - 1 as task, n.name, n.kind from plan p
        cross join lateral rows from (json_array_elements_text(p.body->'graph'->'names'), json_array_elements_text(p.body->'graph'->'kinds')) with ordinality n(name, kind, o)
        where p.hash in (select plan from counted)),
      x as materialized (select c.id, c.definition, n.name as task, n.kind, t.status, ${codeOf('t.failure')} as code, greatest(t.attempt - 1, 0) as retries,
          case when t.status in ('completed', 'failed', 'timed_out') then ${msBetween('t.started', 't.finished')} end as ms
        from counted c cross join lateral generate_series(0, c.total - 1) g(i)
        cross join lateral (select k.status, k.failure, k.attempt, k.started, k.finished from task k where k.run = c.id and k.task = g.i and k.item = -1
          order by k.generation desc limit 1) t
        join names n on n.hash = c.plan and n.task = g.i where t.finished >= c.created),
      f as (select ${keys}, json_agg(json_build_object('code', code, 'n', n) order by n desc, code) as failures from (
          select ${key}, x.code, count(*)::int as n, row_number() over (partition by ${key} order by count(*) desc, x.code) as place
          from x where x.code is not null group by ${key}, x.code) k where place <= ${CODES} group by ${keys}),
      g as (select ${key}, count(*)::int as runs, ${only(FINAL)}, sum(x.retries)::int as retries, ${DURATIONS('x.ms')} as duration,
          percentile_cont(0.95) within group (order by x.ms) as slow, (array_agg(x.id order by x.ms desc nulls last, x.id desc))[1] as slowest_run
        from x group by ${key})
      select (${COUNTED}) as counted, (select coalesce(json_agg(r), '[]') from (select g.*, coalesce(f.failures, '[]') as failures
        from g left join f using (${keys}) order by g.slow desc nulls last, ${keys} limit $${values.push(bounds.rows + 1)}) r) as rows`,
    values,
  });
  return row ?? NOTHING;
}

export type PastRunRow = {
  id: string;
  definition: string;
  status: ClosedStatus;
  created: string;
  not_before: string | null;
  started: string | null;
  finished: string;
  code: string | null;
};

/** `last`: the id up to which the walk came, if it ended before the range did. */
export type History = { rows: PastRunRow[]; last: string | null };

/** Closed runs of a range, the newest first: at most `page.limit` of them, found among at most `page.walk` runs. */
export async function listHistory(
  db: Database,
  range: Range & { status: readonly ClosedStatus[] },
  page: { before: string | undefined; limit: number; walk: number },
): Promise<History> {
  const values: unknown[] = [range.workspace, range.from, range.to, page.before ?? null, page.walk];
  const definition = range.definition === undefined ? '' : `and definition = $${values.push(range.definition)}`;
  const walk = `select id, definition, created from run where workspace = $1 ${definition} and id >= uuid7_floor($2::timestamptz - interval '1 day')
    and id < coalesce($4::uuid, uuid7_floor($3::timestamptz + interval '1 day')) and created >= $2 and created < $3 order by id desc limit $5`;
  const form = range.definition === undefined ? 'all' : 'one';
  const walked = [...values];
  const rows = await db.rows<PastRunRow>({
    name: `history_${form}`,
    text: `select r.id, r.definition, s.status, r.created, s.not_before, s.started, s.finished, ${codeOf('s.failure')} as code from (${walk}) r
      join run_state s on s.run = r.id where s.finished is not null and (cardinality($${values.push(range.status)}::text[]) = 0 or s.status = any($${values.length}))
      order by r.id desc limit $${values.push(page.limit)}`,
    values,
  });
  if (rows.length === page.limit) return { rows, last: null };
  const text = `select id as last from (${walk}) r order by id offset 0 limit case when (select count(*) from (${walk}) w) = $5 then 1 else 0 end`;
  const [end] = await db.rows<{ last: string }>({ name: `history_end_${form}`, text, values: walked });
  return { rows, last: end?.last ?? null };
}
