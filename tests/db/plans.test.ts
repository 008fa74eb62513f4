import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import { claimOverdue } from '../../src/db/dispatch.ts';
import { openPool, type Database } from '../../src/db/pool.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

const MANY = 5_000;
const CALLS = 50;

let base: TestDatabase;
let worker: Database;
beforeAll(async () => {
  base = await aDatabase();
  worker = openPool({ url: base.url, role: 'tiu_engine', max: 1 });
});
afterAll(async () => {
  await worker.close();
  await base.drop();
});

const rows = <R extends object>(name: string, text: string, ...values: unknown[]) => worker.rows<R>({ name, text, values });
const lookOften = async () => {
  for (let i = 0; i < CALLS; i++) {
    await rows('due', 'select due_ms_v1($1)', randomUUIDv7());
    await claimOverdue(worker);
  }
};
/** Rows of waits that were read by going through all of them. */
const readThrough = async (): Promise<number> => {
  await rows('flush', 'select pg_stat_force_next_flush()');
  const [seen] = await rows<{ n: number }>('read', `select seq_tup_read::float8 as n from pg_stat_user_tables where relname = 'wait'`);
  return seen?.n ?? 0;
};

const wait = (n: number) =>
  rows(
    'fill',
    `insert into wait (run, task, item, generation, kind, workspace, until)
      select gen_random_uuid(), 0, -1, 0, 'timer', gen_random_uuid(), now() + interval '1 hour' from generate_series(1, $1)`,
    n,
  );

test('plans that a worker made while little waited do not go through all that waits later', async () => {
  await wait(5);
  await (await base.open('tiu_owner', 1)).pool.query('analyze wait');
  await lookOften();
  await wait(MANY);
  const before = await readThrough();
  await lookOften();
  expect((await readThrough()) - before).toBe(0);
});
