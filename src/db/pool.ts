import pg, { type Pool, type QueryResultRow } from 'pg';

export type Role = 'tiu_owner' | 'tiu_engine' | 'tiu_api';

/** A statement with a name is prepared once per connection. */
export type Statement = { name: string; text: string; values: readonly unknown[] };

/** Prepared SQL on a pool: all that hot paths need. */
export type Database = {
  pool: Pool;
  url: string;
  /** Rows of one autocommitted statement. */
  rows: <R extends QueryResultRow>(statement: Statement) => Promise<R[]>;
  close: () => Promise<void>;
};

/**
 * Startup options of every connection: `reset all`, which MikroORM sends, does not erase them as it erases SET.
 * The role is assumed for the whole session; the login role must be a member of it.
 */
export const startupOptions = (role: Role): string =>
  ['statement_timeout=5s', 'lock_timeout=2s', 'idle_in_transaction_session_timeout=5s', ...(role === 'tiu_owner' ? [] : [`role=${role}`])]
    .map((option) => `-c ${option}`)
    .join(' ');

/** A plan is kept while its table grows, so one that goes through all of a small table would go through all of a large one. */
export const BY_INDEX = '-c enable_seqscan=off';

/** For a worker, which needs no ORM (that takes 150 ms to load). @param max upper bound of the pool, connections */
export function openPool({ url, role, max }: { url: string; role: Role; max: number }): Database {
  const pool = new pg.Pool({ connectionString: url, max, options: `${startupOptions(role)} ${BY_INDEX}`, keepAlive: true });
  pool.on('error', () => undefined); // an idle connection was lost: the next statement opens another
  return {
    pool,
    url,
    rows: async <R extends QueryResultRow>(statement: Statement) =>
      (await pool.query<R>({ name: statement.name, text: statement.text, values: [...statement.values] })).rows,
    close: () => pool.end(),
  };
}
