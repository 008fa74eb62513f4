import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/** Who deletes: the task that counts it, over all its attempts. */
export type Sweeper = { workspace: string; run: string; key: string };

const FIRST = '00000000-0000-0000-0000-000000000000';
export const BEGIN = FIRST;

const valuesOf = ({ workspace, run, key }: Sweeper) => [workspace, run, key];

/**
 * Takes the heads of closed runs that their workspace keeps no longer: from here on nobody finds them. Open runs are never touched.
 * @param step.after where to go on, `BEGIN` at first  @param step.days of workspaces that state none, 0 = for ever
 * @returns where to go on, null at the end
 */
export async function expireRuns(db: Rows, sweeper: Sweeper, step: { after: string; days: number; limit: number }): Promise<string | null> {
  const rows = await db.rows<{ next: string | null }>({
    name: 'expire_runs',
    text: 'select expire_runs_v1($1, $2, $3, $4, $5, $6) as next',
    values: [...valuesOf(sweeper), step.after, step.days, step.limit],
  });
  return rows[0]?.next ?? null;
}

/** Deletes about `limit` rows of expired runs. @returns whether there is more */
export async function purgeRuns(db: Rows, sweeper: Sweeper, limit: number): Promise<boolean> {
  const rows = await db.rows<{ more: boolean }>({
    name: 'purge_runs',
    text: 'select purge_runs_v1($1, $2, $3, $4) as more',
    values: [...valuesOf(sweeper), limit],
  });
  return rows[0]?.more ?? false;
}

/** Drops empty partitions whose week ended more than `days` ago; one that is in use stays for the next time. @returns their names */
export async function dropPartitions(db: Rows, days: number): Promise<string[]> {
  const rows = await db.rows<{ gone: string[] }>({
    name: 'drop_partitions',
    text: 'select drop_partitions_v1($1) as gone',
    values: [days],
  });
  return rows[0]?.gone ?? [];
}

/** Adds to what a task has done so far. */
export async function countDone(db: Rows, sweeper: Sweeper, counts: { [name: string]: number }): Promise<void> {
  await db.rows({
    name: 'count_done',
    text: 'select count_deleted($1, $2, $3, x.name, x.n) from unnest($4::text[], $5::bigint[]) x(name, n)',
    values: [...valuesOf(sweeper), Object.keys(counts), Object.values(counts)],
  });
}

/** What a task has done so far, by name. */
export async function countsOf(db: Rows, sweeper: Sweeper): Promise<{ [name: string]: number }> {
  const rows = await db.rows<{ name: string; n: number }>({
    name: 'counts_of',
    text: 'select name, n::float8 as n from maintenance_count where run = $1 and key = $2 order by name',
    values: [sweeper.run, sweeper.key],
  });
  return Object.fromEntries(rows.map(({ name, n }) => [name, n]));
}

/** Partitions of the tables that grow with every run: made ahead by `weeks`. @returns the names of all there are */
export async function makePartitionsAhead(db: Rows, weeks: number): Promise<string[]> {
  await db.rows({ name: 'partitions_ahead', text: 'select partitions_v1(clock_timestamp(), $1)', values: [weeks] });
  const rows = await db.rows<{ name: string }>({
    name: 'partitions_all',
    text: `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent in ('task'::regclass, 'run_event'::regclass) order by 1`,
    values: [],
  });
  return rows.map(({ name }) => name);
}

type Swept = { idempotency: number; worker: number; session: number };

/**
 * Deletes up to `limit` rows of each: idempotency keys past their time, workers not heard of for a day, sessions that should have
 * ended a month ago, with all that belongs to them.
 */
export async function sweepRecords(db: Rows, step: { limit: number }): Promise<Swept> {
  const rows = await db.rows<Swept>({
    name: 'sweep_records',
    text: `with i as (delete from idempotency where (workspace, principal, key) in (
          select workspace, principal, key from idempotency where expires < statement_timestamp() order by expires limit $1 for update skip locked) returning 1),
        w as (delete from worker where seen < statement_timestamp() - interval '1 day' returning 1),
        s as (delete from session where id in (select id from session where expires < statement_timestamp() - interval '30 days'
          order by expires limit $1 for update skip locked) returning 1)
      select (select count(*)::int from i) as idempotency, (select count(*)::int from w) as worker, (select count(*)::int from s) as session`,
    values: [step.limit],
  });
  return rows[0] ?? { idempotency: 0, worker: 0, session: 0 };
}

/** Deletes up to `limit` rows of each: one-time tokens and devices that asked a day after their time, known devices after theirs, tries after a year of silence. */
export async function sweepAccounts(db: Rows, limit: number): Promise<void> {
  await db.rows({
    name: 'sweep_accounts',
    text: `with o as (delete from one_time where hash in (
          select hash from one_time where expires < statement_timestamp() - interval '1 day' order by expires limit $1 for update skip locked)),
        g as (delete from device_grant where device_hash in (
          select device_hash from device_grant where expires < statement_timestamp() - interval '1 day' order by expires limit $1 for update skip locked)),
        d as (delete from known_device where hash in (select hash from known_device where expires < statement_timestamp() limit $1 for update skip locked))
      delete from auth_try where subject in (
        select subject from auth_try where since < statement_timestamp() - interval '1 year' limit $1 for update skip locked)`,
    values: [limit],
  });
}
