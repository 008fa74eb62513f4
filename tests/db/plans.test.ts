import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import { claimReminders } from '../../src/db/approvalNotices.ts';
import { claimOverdue, countBusy, endQueued } from '../../src/db/dispatch.ts';
import { claimUntold } from '../../src/db/untold.ts';
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

/** Entries of indexes and rows that were read of these tables. */
const entriesRead = async (...tables: string[]): Promise<number> => {
  await rows('flush', 'select pg_stat_force_next_flush()');
  const [seen] = await rows<{ n: number }>(
    'entries',
    `select sum(idx_tup_read)::float8 + (select sum(seq_tup_read)::float8 from pg_stat_user_tables where relname = any($1)) as n
      from pg_stat_user_indexes where relname = any($1)`,
    tables,
  );
  return seen?.n ?? 0;
};
const WAITING = `insert into run_state (run, workspace, status, total, open, last_seq, started, owner, epoch)
  select gen_random_uuid(), gen_random_uuid(), 'waiting', 1, 1, 1, now(), gen_random_uuid(), 1 from generate_series(1, $1)`;
const QUEUED = `insert into run_state (run, workspace, status, total, open, last_seq, deadline)
  select gen_random_uuid(), gen_random_uuid(), 'queued', 1, 1, 1, now() + interval '1 hour' from generate_series(1, $1)`;

test.each([
  ['overdue waits', claimOverdue],
  ['runs that were not told', claimUntold],
  ['queued runs that are to end', (db: Database) => endQueued(db, 100)],
  ['reminders', (db: Database) => claimReminders(db, 20)],
  ['busy runs of a worker', (db: Database) => countBusy(db, { worker: randomUUIDv7(), upTo: 1_000 })],
])('a look for %s reads no more where thousands wait, also by a plan of before', async (_, look) => {
  const owner = await base.open('tiu_owner', 1);
  await owner.pool.query('truncate run_state, wait');
  await rows('few', WAITING, 5);
  await rows('queue', QUEUED, 5);
  await wait(5);
  await owner.pool.query('vacuum (analyze) run_state, wait');
  for (let i = 0; i < 10; i++) await look(worker);
  await rows('many', WAITING, MANY);
  await rows('queue', QUEUED, MANY);
  await wait(MANY);
  await rows(
    'later',
    `update wait set remind_at = now() + interval '1 hour', kind = 'approval' where ctid in (select ctid from wait limit 1000)`,
  );
  const before = await entriesRead('run_state', 'wait', 'untold');
  for (let i = 0; i < 10; i++) await look(worker);
  expect((await entriesRead('run_state', 'wait', 'untold')) - before).toBeLessThan(MANY / 10);
});
