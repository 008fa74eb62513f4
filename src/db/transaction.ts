import type { QueryResultRow } from 'pg';
import type { Database, Statement } from './pool.ts';

/** What statements need, within a transaction or without one. */
export type Rows = Pick<Database, 'rows'>;

/** Commits what `work` does, all or nothing. No call of the network belongs inside. */
export async function withTransaction<T>(db: Pick<Database, 'pool'>, work: (tx: Rows) => Promise<T>): Promise<T> {
  const client = await db.pool.connect();
  let failed: Error | undefined;
  try {
    await client.query('begin');
    const done = await work({
      rows: async <R extends QueryResultRow>({ name, text, values }: Statement) =>
        (await client.query<R>({ name, text, values: [...values] })).rows,
    });
    await client.query('commit');
    return done;
  } catch (error) {
    await client.query('rollback').catch((lost: unknown) => {
      failed = lost as Error; // the connection is of no use any more
    });
    throw error;
  } finally {
    client.release(failed);
  }
}
