import type { Database } from '../database.ts';

export type WorkerRow = {
  id: string;
  name: string;
  version: string;
  started: string;
  seen: string;
  temporal: boolean;
  reconciled: string | null;
  storage_full: boolean;
};

/** Workers that were heard of within `withinMs`, by the database's clock. */
export async function liveWorkers(db: Database, withinMs: number): Promise<WorkerRow[]> {
  return db.rows<WorkerRow>({
    name: 'workers_live',
    text: `select id, name, version, started, seen, temporal, reconciled, coalesce((data->>'storageFull')::boolean, false) as storage_full from worker where seen > clock_timestamp() - $1 * interval '1 ms' order by started`,
    values: [withinMs],
  });
}

/** Names of the migrations that were applied. */
export async function appliedMigrations(db: Database): Promise<string[]> {
  const rows = await db.rows<{ name: string }>({ name: 'migrations_applied', text: 'select name from mikro_orm_migrations', values: [] });
  return rows.map((row) => row.name);
}

/** Runs by status, of all workspaces, that are not closed. */
export async function openRuns(db: Database): Promise<{ status: string; n: number }[]> {
  return db.rows({
    name: 'runs_open',
    text: 'select status, count(*)::int as n from run_state where finished is null group by 1',
    values: [],
  });
}
