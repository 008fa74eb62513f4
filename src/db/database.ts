import path from 'node:path';
import { MikroORM } from '@mikro-orm/postgresql';
import { Migrator } from '@mikro-orm/migrations';
import type { QueryResultRow } from 'pg';
import { entities } from './entities/all.ts';
import { startupOptions, type Database, type Role, type Statement } from './pool.ts';

export type { Database, Role, Statement } from './pool.ts';

type Orm = Awaited<ReturnType<typeof openOrm>>;

/** One pool, shared by MikroORM (ordinary rows) and prepared SQL (hot paths). */
export type OrmDatabase = Database & { orm: Orm };

const MIGRATIONS = path.resolve(import.meta.dirname, '../../migrations');

function openOrm(url: string, role: Role, max: number) {
  return MikroORM.init({
    clientUrl: url,
    entities,
    extensions: [Migrator],
    migrations: {
      path: MIGRATIONS,
      pathTs: MIGRATIONS,
      snapshot: false,
      silent: true,
      emit: 'ts',
      transactional: true,
      allOrNothing: false,
    },
    pool: { min: 0, max },
    driverOptions: { options: startupOptions(role) },
    ensureDatabase: false,
  });
}

/** @param max upper bound of the pool, connections */
export async function openDatabase(options: { url: string; role: Role; max: number }): Promise<OrmDatabase> {
  const orm = await openOrm(options.url, options.role, options.max);
  const pool = await orm.em.getConnection().getNativeClient();
  return {
    orm,
    pool,
    url: options.url,
    rows: async <R extends QueryResultRow>(statement: Statement) =>
      (await pool.query<R>({ name: statement.name, text: statement.text, values: [...statement.values] })).rows,
    close: async () => {
      await orm.close();
      if (!pool.ended) await pool.end(); // the ORM ends it only if it has used it itself
    },
  };
}
