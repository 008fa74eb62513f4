import type { Database } from './database.ts';

export type WorkerHealth = {
  id: string;
  name: string;
  version: string;
  temporal: boolean;
  /** Last complete pass of the reconciler, ms since the epoch; null for those who do not hold the duty. */
  reconciledMs: number | null;
  data: Record<string, string | number | boolean | null>;
};

/** Writes the health row of a worker; `seen` is the database's time. */
export async function reportWorker(db: Pick<Database, 'rows'>, worker: WorkerHealth): Promise<void> {
  await db.rows({
    name: 'report_worker',
    text: `insert into worker (id, name, version, started, seen, temporal, reconciled, data)
      values ($1, $2, $3, clock_timestamp(), clock_timestamp(), $4, to_timestamp($5 / 1000.0), $6)
      on conflict (id) do update set seen = excluded.seen, temporal = excluded.temporal, reconciled = excluded.reconciled, data = excluded.data`,
    values: [worker.id, worker.name, worker.version, worker.temporal, worker.reconciledMs, JSON.stringify(worker.data)],
  });
}

export async function removeWorker(db: Pick<Database, 'rows'>, id: string): Promise<void> {
  await db.rows({ name: 'remove_worker', text: 'delete from worker where id = $1', values: [id] });
}

/** Forgets workers that ended without saying so, after a day. */
export async function sweepWorkers(db: Pick<Database, 'rows'>): Promise<void> {
  await db.rows({ name: 'sweep_workers', text: `delete from worker where seen < clock_timestamp() - interval '1 day'`, values: [] });
}
