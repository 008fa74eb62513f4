import type { Failure } from '../domain/problem.ts';
import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

const QUEUED = 's.started is null and s.finished is null';
const HELD = 's.started is not null and s.finished is null and s.ckey is not null';

export type QueuedRow = {
  run: string;
  definition: string;
  priority: number;
  created: string;
  not_before: string | null;
  /** ISO time with milliseconds, by which the queue is sorted. */
  rank: string;
  ckey: string | null;
  climit: number | null;
  /** Begun runs with its key, and queued ones before it. */
  held: number;
  ahead: number;
  delayed: boolean;
};

/** Queued runs of a workspace in the order in which they would start, after `after`. */
export function listQueue(
  db: Rows,
  page: { workspace: string; after: { rank: string; run: string } | undefined; limit: number },
): Promise<QueuedRow[]> {
  const { workspace, after, limit } = page;
  const part = (key: string) => `(select s.* from run_state s where ${QUEUED} and s.ckey ${key} and s.workspace = $1
    and ($2::timestamptz is null or (s.rank, s.run) > ($2::timestamptz, $3::uuid)) order by s.rank, s.run limit $4)`;
  return db.rows<QueuedRow>({
    name: 'queue_list',
    text: `select q.run, r.definition, r.priority, r.created, q.not_before, to_char(q.rank at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as rank, q.ckey, q.climit,
      case when q.ckey is null then 0 else (select count(*)::int from run_state s where ${HELD} and s.workspace = $1 and s.ckey = q.ckey) end as held,
      case when q.ckey is null then 0 else (select count(*)::int from run_state s where ${QUEUED} and s.ckey is not null and s.workspace = $1 and s.ckey = q.ckey and (s.rank, s.run) < (q.rank, q.run)) end as ahead,
      coalesce(q.not_before > clock_timestamp(), false) as delayed
      from (${part('is null')} union all ${part('is not null')} order by rank, run limit $4) q join run r on r.id = q.run order by q.rank, q.run`,
    values: [workspace, after?.rank ?? null, after?.run ?? null, limit],
  });
}

/** The same of one run, with its place in the queue of its workspace, from 1; undefined: it is not queued. */
export async function findQueued(db: Rows, run: string): Promise<(QueuedRow & { position: number }) | undefined> {
  const rows = await db.rows<QueuedRow & { position: number }>({
    name: 'queue_find',
    text: `select q.run, r.definition, r.priority, r.created, q.not_before, q.rank::text as rank, q.ckey, q.climit,
      (select count(*)::int from run_state s where ${HELD} and s.workspace = q.workspace and s.ckey = q.ckey) as held,
      (select count(*)::int from run_state s where ${QUEUED} and s.ckey is not null and s.workspace = q.workspace and s.ckey = q.ckey and (s.rank, s.run) < (q.rank, q.run)) as ahead,
      coalesce(q.not_before > clock_timestamp(), false) as delayed,
      1 + (select count(*)::int from run_state s where ${QUEUED} and s.workspace = q.workspace and (s.rank, s.run) < (q.rank, q.run)) as position
      from run_state q join run r on r.id = q.run where q.run = $1 and q.started is null and q.finished is null`,
    values: [run],
  });
  return rows[0];
}

/** Begun runs with a concurrency key, the oldest first. */
export async function holdersOf(db: Rows, of: { workspace: string; key: string; limit: number }): Promise<string[]> {
  const rows = await db.rows<{ run: string }>({
    name: 'key_holders',
    text: `select s.run from run_state s where ${HELD} and s.workspace = $1 and s.ckey = $2 order by s.run limit $3`,
    values: [of.workspace, of.key, of.limit],
  });
  return rows.map((row) => row.run);
}

/** Workers heard of within `withinMs`: how many, how many of them reach Temporal, and the runs that use their slots. */
export async function workersNow(db: Rows, withinMs: number): Promise<{ workers: number; temporal: number; used: number }> {
  const rows = await db.rows<{ workers: number; temporal: number; used: number }>({
    name: 'workers_now',
    text: `with w as (select id, temporal from worker where seen > clock_timestamp() - $1 * interval '1 ms')
      select count(*)::int as workers, (count(*) filter (where temporal))::int as temporal,
        (select count(*)::int from run_state s where s.owner in (select id from w) and s.started is not null and s.finished is null and s.status <> 'waiting') as used from w`,
    values: [withinMs],
  });
  return rows[0] ?? { workers: 0, temporal: 0, used: 0 };
}

export type LimitRow = { slots: number | null; rate: number | null; per_ms: number | null; tokens: number | null };
export type LeaseRow = { run: string; task: number; item: number; attempt: number; slot: number };
export type LineRow = { run: string; task: number; item: number; since: string; until: string | null };

/** What is known of a limit of tasks: as it was last asked for, who holds its slots, who stands in its line. */
export async function findLimit(
  db: Rows,
  of: { workspace: string; key: string; limit: number },
): Promise<{ bucket: LimitRow | undefined; leases: LeaseRow[]; line: LineRow[] }> {
  const values = [of.workspace, of.key];
  const [buckets, leases, line] = await Promise.all([
    db.rows<LimitRow>({
      name: 'limit_find',
      text: `select slots, rate, per_ms::float8 as per_ms,
        floor(least(rate, tokens + greatest(0, extract(epoch from clock_timestamp()) * 1000 - filled_ms) / per_ms * rate))::int as tokens
        from limit_bucket where workspace = $1 and key = $2`,
      values,
    }),
    db.rows<LeaseRow>({
      name: 'limit_leases',
      text: 'select run, task, item, attempt, slot from lease where workspace = $1 and key = $2 and run is not null order by slot limit $3',
      values: [...values, of.limit],
    }),
    db.rows<LineRow>({
      name: 'limit_line',
      text: `select run, task, item, since, until from wait where workspace = $1 and limit_key = $2 and kind = 'limit' and not closed order by since, run, task, item limit $3`,
      values: [...values, of.limit],
    }),
  ]);
  return { bucket: buckets[0], leases, line };
}

export type PendingRow = {
  task: number;
  /** Of a wait: timer, limit, map, deadline …; of a task: running, retrying. */
  kind: string;
  since: string | null;
  until: string | null;
  attempt: number | null;
  failure: Failure | null;
  /** Of the limit. */
  key: string | null;
  position: number | null;
  holders: string[] | null;
  /** Slots of the limit, as it was last asked for. */
  slots: number | null;
  /** Items of a mapped task that stand in the line of a limit; null: the task itself does. */
  items: number | null;
  parts: number | null;
  done: number | null;
  /** The task queue from which no worker has taken its activity for some seconds. */
  untaken: string | null;
};

/** Of a map that starts a run for each item: its items. */
const runsOfItems = (which = ''): string =>
  `(select count(*)::int from wait x where x.run = w.run and x.task = w.task and x.item >= 0 and x.generation = w.generation and x.kind = 'child' ${which})`;

/** Of a wait in the line of a limit. */
const LINE = `case when w.kind = 'limit' then 1 + (select count(*)::int from wait x where x.workspace = w.workspace and x.limit_key = w.limit_key and x.kind = 'limit' and not x.closed
          and (x.since, x.run, x.task, x.item) < (w.since, w.run, w.task, w.item)) end as position,
        case when w.kind = 'limit' then array(select l.run::text from lease l where l.workspace = w.workspace and l.key = w.limit_key and l.run is not null order by l.slot limit 10) end as holders,
        case when w.kind = 'limit' then (select b.slots from limit_bucket b where b.workspace = w.workspace and b.key = w.limit_key) end as slots`;

/** What an open run waits for: its waits, the lines its items stand in, and the tasks that somebody is at work on or will try again. At most 100. */
export function pendingOf(db: Rows, run: string): Promise<PendingRow[]> {
  return db.rows<PendingRow>({
    name: 'run_pending',
    text: `select w.task, w.kind, w.since, w.until, null::int as attempt, null::json as failure, w.limit_key as key, ${LINE}, null::int as items,
        (select count(*)::int from slice c where c.run = w.run and c.task = w.task and c.generation = w.generation) + ${runsOfItems()} as parts,
        (select count(*)::int from slice c where c.run = w.run and c.task = w.task and c.generation = w.generation and c.done) + ${runsOfItems('and x.closed')} as done,
        w.untaken
      from wait w where w.run = $1 and not w.closed and w.kind <> 'deadline' and (w.item = -1 and not (w.kind = 'external' and exists (select from wait x
          where x.run = w.run and x.task = w.task and x.item = -2 and x.kind = 'limit' and not x.closed)) or w.item = -2 and w.kind = 'limit')
      union all
      select w.task, w.kind, w.since, w.until, null, null, w.limit_key, ${LINE}, w.items, null, null, null
      from (select distinct on (x.task, x.limit_key) x.*, (count(*) over (partition by x.task, x.limit_key))::int as items
        from wait x where x.run = $1 and x.item >= 0 and not x.closed and x.kind = 'limit' order by x.task, x.limit_key, x.since, x.item) w
      union all
      select t.task, t.status, t.started, t.next_at, t.attempt, t.failure, null, null, null, null, null, null, null, null
      from task t where t.run = $1 and t.item = -1 and t.status in ('running', 'retrying')
      order by 1 limit 100`,
    values: [run],
  });
}

/** Queued runs with a concurrency key. */
export async function countQueued(db: Rows, of: { workspace: string; key: string }): Promise<number> {
  const rows = await db.rows<{ n: number }>({
    name: 'key_queued',
    text: `select count(*)::int as n from run_state s where ${QUEUED} and s.ckey is not null and s.workspace = $1 and s.ckey = $2`,
    values: [of.workspace, of.key],
  });
  return rows[0]?.n ?? 0;
}
