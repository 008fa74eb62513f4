import type { Database } from './database.ts';

const NOBODY = '00000000-0000-0000-0000-000000000000';

/** Takes or renews the one slot of a product-wide duty. Time is the database's. @returns whether it is held now */
export async function holdDuty(db: Pick<Database, 'rows'>, duty: { key: string; holder: string; ms: number }): Promise<boolean> {
  const rows = await db.rows({
    name: 'hold_duty',
    text: `insert into lease (workspace, key, slot, holder, expires) values ('${NOBODY}', $1, 0, $2, clock_timestamp() + make_interval(secs => $3 / 1000.0))
      on conflict (workspace, key, slot) do update set holder = excluded.holder, expires = excluded.expires
      where lease.holder = excluded.holder or lease.expires < clock_timestamp() returning holder`,
    values: [duty.key, duty.holder, duty.ms],
  });
  return rows.length > 0;
}

/** Gives the duty up, so that another takes it without waiting for the end of the lease. */
export async function releaseDuty(db: Pick<Database, 'rows'>, duty: { key: string; holder: string }): Promise<void> {
  await db.rows({
    name: 'release_duty',
    text: `delete from lease where workspace = '${NOBODY}' and key = $1 and slot = 0 and holder = $2`,
    values: [duty.key, duty.holder],
  });
}

/** Frees slots that closed runs still hold, and those nobody renewed. @returns how many */
export async function sweepLeases(db: Pick<Database, 'rows'>): Promise<number> {
  const rows = await db.rows({
    name: 'sweep_leases',
    text: `delete from lease l where l.run is not null
      and (l.expires < clock_timestamp() or exists (select from run_state s where s.run = l.run and s.finished is not null)) returning slot`,
    values: [],
  });
  return rows.length;
}
