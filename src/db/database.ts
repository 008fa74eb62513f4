import path from 'node:path';
import { MikroORM } from '@mikro-orm/postgresql';
import { Migrator } from '@mikro-orm/migrations';
import type { Pool, QueryResultRow } from 'pg';
import { entities } from './entities/all.ts';
import { startupOptions, type Database, type Role, type Statement } from './pool.ts';
import { rowsOf, wallPool, type Walls } from './wall.ts';

export type { Database, Role, Statement } from './pool.ts';

type Orm = Awaited<ReturnType<typeof openOrm>>;

/** One pool, shared by MikroORM (ordinary rows) and prepared SQL (hot paths). */
export type OrmDatabase = Database & { orm: Orm };

const MIGRATIONS = path.resolve(import.meta.dirname, '../../migrations');

type Options = {
  url: string;
  role: Role;
  /** Upper bound of the pool, connections. */
  max: number;
  /** Of the role tiu_api: which workspace a statement is for. */
  walls?: Walls;
};

function openOrm({ url, role, max, walls }: Options) {
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
    driverOptions: {
      options: startupOptions(role),
      ...(walls && {
        pipeline: true,
        onPoolCreated: (pool: Pool) => {
          wallPool(pool, walls);
        },
      }),
    },
    ensureDatabase: false,
  });
}

export async function openDatabase(options: Options): Promise<OrmDatabase> {
  const orm = await openOrm(options);
  const pool = await orm.em.getConnection().getNativeClient();
  return {
    orm,
    pool,
    url: options.url,
    rows: <R extends QueryResultRow>(statement: Statement) => rowsOf<R>(pool, statement),
    close: async () => {
      await orm.close();
      if (!pool.ended) await pool.end(); // the ORM ends it only if it has used it itself
    },
  };
}
