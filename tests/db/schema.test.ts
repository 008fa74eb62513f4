import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

test('every table but plan has a workspace that is never null', async () => {
  const rows = await db.rows<{ t: string }>({
    name: 'tables',
    text: `select c.relname as t from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace' and a.attnotnull)`,
    values: [],
  });
  expect(rows.map((r) => r.t).sort()).toEqual(['mikro_orm_migrations', 'plan', 'workspace']);
});
