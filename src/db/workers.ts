import type { Database } from './database.ts';
import { BEGUN, HEAD, type BegunRow, type RunHeadRow } from './dispatch.ts';

type Rows = Pick<Database, 'rows'>;

export type WorkerHealth = {
  id: string;
  name: string;
  version: string;
  temporal: boolean;
  /** Last complete pass of the reconciler, ms since the epoch; null for those who do not hold the duty. */
  reconciledMs: number | null;
  data: Record<string, string | number | boolean | null>;
};

/** Writes the health row of a worker; `seen` is the database's time. Not worth a sync: the next one follows within a second. */
export async function reportWorker(db: Rows, worker: WorkerHealth): Promise<void> {
  await db.rows({
    name: 'report_worker',
    text: `with x as materialized (select set_config('synchronous_commit', 'off', true) as off)
      insert into worker (id, name, version, started, seen, temporal, reconciled, data)
      select $1, $2, $3, clock_timestamp(), clock_timestamp(), $4, to_timestamp($5 / 1000.0), $6 from x where off is not null
      on conflict (id) do update set seen = excluded.seen, temporal = excluded.temporal, reconciled = excluded.reconciled, data = excluded.data`,
    values: [worker.id, worker.name, worker.version, worker.temporal, worker.reconciledMs, JSON.stringify(worker.data)],
  });
}

/** Forgets workers that ended without saying so, after a day. */
export async function sweepWorkers(db: Rows): Promise<void> {
  await db.rows({ name: 'sweep_workers', text: `delete from worker where seen < clock_timestamp() - interval '1 day'`, values: [] });
}

/** A worker whose session has ended, or one that is stopped while its session lives. */
export type GoneWorker = { id: string; stalled: boolean };

/** How long after a restart of the server those whose sessions it ended have to come back, ms. */
const RESTART_GRACE_MS = 3_000;
/** A worker that has not been seen for so long is stopped, ms. */
export const STALL_MS = 5_000;

/** @param look.stalls whether workers count that live but are stopped */
export const goneWorkers = (db: Rows, look: { self: string; stalls: boolean }): Promise<GoneWorker[]> =>
  db.rows<GoneWorker>({
    name: 'gone_workers',
    text: 'select id, stalled from ended_workers_v1($1, $2, $3)',
    values: [look.self, look.stalls ? STALL_MS : null, RESTART_GRACE_MS],
  });

type Taking = { gone: GoneWorker; worker: string };

const stallMs = ({ stalled }: GoneWorker) => (stalled ? STALL_MS : null);

/** Begins the next `n` runs of a worker that is gone anew for `worker`. Empty also when another takes over just now. */
export const reclaimRuns = (db: Rows, taking: Taking & { n: number; claimMs: number }): Promise<BegunRow[]> =>
  db.rows<BegunRow>({
    name: 'reclaim_runs',
    text: `select ${BEGUN} from reclaim_runs_v1($1, $2, $3, $4, $5)`,
    values: [taking.gone.id, taking.worker, taking.n, taking.claimMs, stallMs(taking.gone)],
  });

/** Makes runs that only wait those of `worker`. @returns how many */
export async function adoptRuns(db: Rows, taking: Taking & { n: number }): Promise<number> {
  const rows = await db.rows({
    name: 'adopt_runs',
    text: 'select adopt_runs_v1($1, $2, $3, $4)',
    values: [taking.gone.id, taking.worker, taking.n, stallMs(taking.gone)],
  });
  return rows.length;
}

/** Frees its claims of runs that have not begun, and its duties. @returns false when it is back, or another takes over just now */
export async function releaseWorker(db: Rows, gone: GoneWorker): Promise<boolean> {
  const [row] = await db.rows<{ released: boolean }>({
    name: 'release_worker',
    text: 'select release_worker_v1($1, $2) as released',
    values: [gone.id, stallMs(gone)],
  });
  return row?.released === true;
}

export type EndedRow = RunHeadRow & { completed: boolean };

/** Submitted and ended no longer ago than this, ms: with the default bound no start is put off for longer. */
const RECENT_MS = 900_000;

/** Standard runs that ended just now and that `worker` carried last; the newest, at most `limit`. */
export const endedRuns = (db: Rows, of: { worker: string; limit: number; now: number }): Promise<EndedRow[]> =>
  db.rows<EndedRow>({
    name: 'ended_runs',
    text: `select ${HEAD}, s.status = 'completed' as completed from run_state s join run r on r.id = s.run and r.mode = 'standard'
      cross join lateral run_head_v1(s.run) h
      where s.run >= $1 and s.owner = $2 and s.finished > clock_timestamp() - interval '${RECENT_MS} ms' and s.started is not null order by s.run desc limit $3`,
    values: [firstIdOf(of.now - RECENT_MS), of.worker, of.limit],
  });

/** The least v7 id of a time, ms since the epoch (RFC 9562, 5.7). */
const firstIdOf = (ms: number): string => {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
};

/** Deletes the row of a worker that is gone and owns nothing. */
export async function forgetWorker(db: Rows, id: string): Promise<void> {
  await db.rows({ name: 'forget_worker', text: 'select forget_worker_v1($1)', values: [id] });
}
