import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { openDatabase, type OrmDatabase, type Role } from '../../src/db/database.ts';
import { TEMPLATE } from './globalSetup.ts';

export type TestDatabase = { url: string; open: (role?: Role, max?: number) => Promise<OrmDatabase>; drop: () => Promise<void> };

/** A database of its own with the current schema, cloned from the template (about 30 ms). */
export async function aDatabase(): Promise<TestDatabase> {
  const server = process.env.TIU_TEST_DATABASE_URL ?? '';
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  const run = async (sql: string) => {
    const admin = new pg.Client(server);
    await admin.connect();
    await admin.query(sql).finally(() => admin.end());
  };
  await run(`create database ${name} template ${TEMPLATE}`);
  const url = server.replace(/\/postgres$/, `/${name}`);
  const opened: OrmDatabase[] = [];
  return {
    url,
    open: async (role = 'tiu_engine', max = 4) => {
      const database = await openDatabase({ url, role, max });
      opened.push(database);
      return database;
    },
    drop: async () => {
      for (const database of opened) await database.close();
      await run(`drop database ${name} with (force)`);
    },
  };
}
