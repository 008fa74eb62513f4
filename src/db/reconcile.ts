import type { Failure } from '../domain/problem.ts';
import type { Database } from './database.ts';
import { notifyRuns } from './notifyRuns.ts';

type Rows = Pick<Database, 'rows'>;

/** An open run that Temporal should be carrying. */
export type OpenRun = { runId: string; epoch: number; restarts: number };

/** Open runs that began more than 3 s ago and that nobody is beginning; by id, after `after`. */
export function openRuns(db: Rows, page: { after: string; limit: number }): Promise<OpenRun[]> {
  return db.rows<OpenRun>({
    name: 'open_runs',
    text: `select run as "runId", epoch, restarts from run_state
        where started < statement_timestamp() - interval '3 s' and started is not null and finished is null and run > $1
          and (owner_until is null or owner_until < statement_timestamp()) order by run limit $2`,
    values: [page.after, page.limit],
  });
}

/** Takes a correction of a run: refused if the run was closed or restarted since it was looked at. */
export async function claimCorrection(db: Rows, run: { runId: string; epoch: number }, counted: boolean): Promise<boolean> {
  const rows = await db.rows({
    name: 'claim_correction',
    text: `update run_state set poke_after = clock_timestamp() + interval '2 s', restarts = restarts + $3::int
      where run = $1 and epoch = $2 and finished is null returning run`,
    values: [run.runId, run.epoch, counted ? 1 : 0],
  });
  return rows.length > 0;
}

/** Settles every open task and fails the run. @returns the number of its last event; null if it was closed already */
export async function closeByHand(db: Rows, runId: string, failure: Failure): Promise<number | null> {
  const rows = await db.rows<{ seq: string | null }>({
    name: 'close_by_hand',
    text: 'select close_by_hand_v1($1, $2) as seq',
    values: [runId, JSON.stringify(failure)],
  });
  const seq = rows[0]?.seq ?? null;
  if (seq === null) return null;
  await notifyRuns(db, [runId]);
  return Number(seq);
}

export type OpenSlice = { runId: string; task: number; generation: number; k: number; epoch: number; restarts: number };

/** Slices that were started and have not reported, of runs that go on. Any of them, so that many are no hurdle. */
export function openSlices(db: Rows, limit: number): Promise<OpenSlice[]> {
  return db.rows<OpenSlice>({
    name: 'open_slices',
    text: `select s.run as "runId", s.task, s.generation, s.k, r.epoch, r.restarts from wait w
      join run_state r on r.run = w.run and r.finished is null and stop_v1(r) is null and not w.task = any(coalesce(r.held, '{}')) and r.started < statement_timestamp() - interval '3 s'
      join slice s on s.run = w.run and s.task = w.task and s.generation = w.generation and not s.done
      where not w.closed and w.kind = 'map' and w.dispatched and w.decision is null order by random() limit $1`,
    values: [limit],
  });
}

/** Waits of closed runs would be looked at for ever. */
export async function closeWaitsOfClosed(db: Rows): Promise<void> {
  await db.rows({
    name: 'close_waits_of_closed',
    text: `update wait set closed = true where not closed and run in (
      select w.run from wait w join run_state s on s.run = w.run where not w.closed and s.finished is not null limit 500)`,
    values: [],
  });
}

/** Makes the partitions of the coming weeks. */
export async function makePartitions(db: Rows): Promise<void> {
  await db.rows({ name: 'make_partitions', text: 'select partitions_v1(clock_timestamp(), 8)', values: [] });
}
