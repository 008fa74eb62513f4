import type { BulkType } from './commands.ts';
import type { Database } from './database.ts';
import type { StoredFilter } from './repositories/bulk.ts';
import { conditions, type RunFilter } from './repositories/runs.ts';

type Rows = Pick<Database, 'rows'>;

/** Runs looked at by one statement, whether the filter holds of them or not. */
const SCAN = 5_000;
/** Tasks of the runs of one step: what ends with its cancel is written by the commit that gives it. As in end_waiting_v1. */
const STEP_TASKS = 5_000;

/** A job whose turn it is. */
export type DueBulk = {
  id: string;
  workspace: string;
  type: BulkType;
  filter: StoredFilter;
  /** The last run it has looked at. */
  cursor: string;
  created: string;
};

/** The job that has waited longest for its turn: jobs take turns, so that neither a long one nor one that meets a fault holds up the others. */
export async function nextBulk(db: Rows): Promise<DueBulk | undefined> {
  const rows = await db.rows<DueBulk>({
    name: 'bulk_next',
    text: `update bulk set moved = clock_timestamp() where id = (select id from bulk where finished is null order by moved, id limit 1 for no key update skip locked)
      returning id, workspace, type, filter, cursor, created::text as created`,
    values: [],
  });
  return rows[0];
}

const filterOf = ({ workspace, filter }: DueBulk): RunFilter => ({
  workspace,
  status: filter.status,
  workflow: filter.workflow ?? undefined,
  labels: filter.labels,
  since: filter.since === null ? undefined : new Date(filter.since),
  project: filter.project ?? undefined,
});

/** Runs of which the filter of a job holds, how far they were looked for, and whether none comes after that. */
export type Scanned = { runs: { id: string; plan: string }[]; to: string; last: boolean };

/** The next runs of a job by id, at most `limit`, and fewer of large ones. Runs that were accepted after the job are not meant. */
export async function scanRuns(db: Rows, bulk: DueBulk, limit: number): Promise<Scanned> {
  const { where, values, shape } = conditions(filterOf(bulk));
  const [after, until, most] = [values.push(bulk.cursor), values.push(bulk.created), values.push(limit)];
  const [row] = await db.rows<{ scanned: number; last: string | null; found: number; runs: Scanned['runs'] }>({
    name: `bulk_scan_${shape}`,
    text: `with w as (select id, workspace, project, definition, plan, created from run where workspace = $1 and id > $${after} order by id limit ${SCAN}),
        m as (select r.id, r.plan, s.total from w r join run_state s on s.run = r.id where ${where} and r.created <= $${until}::timestamptz order by r.id limit $${most}),
        n as (select m.id, m.plan, row_number() over o = 1 or sum(m.total) over o <= ${STEP_TASKS} as fits from m window o as (order by m.id))
      select (select count(*)::int from w) as scanned, (select id from w order by id desc limit 1) as last, (select count(*)::int from n) as found,
        (select coalesce(json_agg(json_build_object('id', n.id, 'plan', encode(n.plan, 'hex')) order by n.id), '[]') from n where n.fits) as runs`,
    values,
  });
  const { scanned = 0, last = null, found = 0, runs = [] } = row ?? {};
  const full = runs.length === limit || runs.length < found;
  return { runs, to: (full ? runs.at(-1)?.id : last) ?? bulk.cursor, last: !full && scanned < SCAN };
}

/** Deletes jobs that ended more than `days` ago. */
export async function forgetBulk(db: Rows, days: number): Promise<void> {
  await db.rows({
    name: 'bulk_forget',
    text: `delete from bulk where finished < statement_timestamp() - $1::int * interval '1 day'`,
    values: [days],
  });
}
