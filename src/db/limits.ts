import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/** What one attempt asks of a limit. */
export type LimitRequest = { key: string; concurrency?: number; rate?: number; perMs?: number };

/** How long a slot stays taken when nobody says any more that its attempt lives, ms. Attempts say so each second. */
export const LEASE_MS = 30_000;

/** Frees the slots of an attempt that has ended. @returns the runs whose turn has come: poke them */
export async function freeLeases(db: Rows, token: string): Promise<string[]> {
  const rows = await db.rows<{ run: string }>({
    name: 'free_leases',
    text: 'select free_leases_v1(array[$1::uuid]) as run',
    values: [token],
  });
  return rows.map((row) => row.run);
}

/** The attempt lives: its slots stay taken. */
export async function renewLeases(db: Rows, token: string): Promise<void> {
  await db.rows({
    name: 'renew_leases',
    text: `update lease set expires = clock_timestamp() + $2::int * interval '1 ms' where holder = $1 and run is not null`,
    values: [token, LEASE_MS],
  });
}

/** Frees slots of attempts that are over and places of those who left the line, and wakes whom nobody woke. @returns the runs whose turn has come */
export async function sweepLimits(db: Rows): Promise<string[]> {
  const rows = await db.rows<{ run: string }>({ name: 'sweep_limits', text: 'select sweep_limits_v1() as run', values: [] });
  return rows.map((row) => row.run);
}
