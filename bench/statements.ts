import pg from 'pg';

/** Calls and time of one SQL statement. */
export type StatementUse = { text: string; calls: number; ms: number };

/** Counts the statements of a database from now on. It must have been started with `pg_stat_statements`. */
export async function countStatements(database: string): Promise<() => Promise<StatementUse[]>> {
  const client = new pg.Client(database);
  await client.connect();
  await client.query('create extension if not exists pg_stat_statements');
  await client.query('select pg_stat_statements_reset()');
  return async () => {
    const found = await client.query<StatementUse>(
      `select regexp_replace(query, '\\s+', ' ', 'g') as text, sum(calls)::float8 as calls, sum(total_exec_time) as ms from pg_stat_statements
       where query not like '%pg_stat_%' group by 1 order by 2 desc limit 30`,
    );
    await client.end();
    return found.rows;
  };
}
