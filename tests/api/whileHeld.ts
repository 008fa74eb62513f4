import pg from 'pg';

/** Nothing is accepted as long as `act` lasts: the database holds the table that every submit writes first. */
export async function whileHeld(url: string, act: () => Promise<void>): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('begin; lock table idempotency in access exclusive mode');
  try {
    await act();
  } finally {
    await client.query('rollback');
    await client.end();
  }
}

/** `holds` is asked in every turn of the event loop. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
