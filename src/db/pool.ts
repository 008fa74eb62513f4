import pg, { type QueryResultRow } from 'pg';
import type { Database, Role } from './database.ts';

/**
 * Startup options of every connection: `reset all`, which MikroORM sends, does not erase them as it erases SET.
 * The role is assumed for the whole session; the login role must be a member of it.
 */
export const startupOptions = (role: Role): string =>
  ['statement_timeout=5s', 'lock_timeout=2s', 'idle_in_transaction_session_timeout=5s', ...(role === 'tiu_owner' ? [] : [`role=${role}`])]
    .map((option) => `-c ${option}`)
    .join(' ');

/** For a process that needs no ORM, which takes 150 ms to load. @param max upper bound of the pool, connections */
export function openPool(options: { url: string; role: Role; max: number }): Database {
  const pool = new pg.Pool({ connectionString: options.url, max: options.max, options: startupOptions(options.role), keepAlive: true });
  pool.on('error', () => undefined); // an idle connection was lost: the next statement opens another
  return {
    pool,
    url: options.url,
    rows: async <R extends QueryResultRow>(statement: Parameters<Database['rows']>[0]) =>
      (await pool.query<R>({ name: statement.name, text: statement.text, values: [...statement.values] })).rows,
    close: () => pool.end(),
  };
}
