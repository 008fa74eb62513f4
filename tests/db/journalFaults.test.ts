import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Unknown } from '../../src/db/connection.ts';
import type { Database } from '../../src/db/database.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRecord, someRuns, statement } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
let journal: Journal;
let holder: pg.Client;
let admin: pg.Client;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());
beforeEach(async () => {
  journal = createJournal({ url: base.url });
  holder = new pg.Client(base.url);
  admin = new pg.Client(base.url);
  await holder.connect();
  await admin.connect();
});
afterEach(async () => {
  await holder.end();
  await admin.end();
  await journal.close();
});

const rows = (text: string, ...values: unknown[]) => db.rows<Record<string, unknown>>(statement(text, values));
const aRun = async (tasks = 1_000) => (await someRuns(db, 1, tasks))[0] ?? '';
const LOCK = 'select from run_state where run = $1 for no key update';
const gaps = async (run: string) =>
  (
    await rows(
      `select count(*)::int as n from (select seq, row_number() over (order by seq) as k from run_event where run = $1) x where seq <> k`,
      run,
    )
  )[0]?.n;

/** Another writer holds the run's lock. */
async function hold(run: string): Promise<() => Promise<unknown>> {
  await holder.query('begin');
  await holder.query(LOCK, [run]);
  return () => holder.query('commit');
}

test('one poisoned row of a thousand fails alone', async () => {
  const runs = await someRuns(db, 100, 1_000);
  const poison = 617;
  const all = await Promise.allSettled(
    Array.from({ length: 1_000 }, (_, i) =>
      journal.push(aRecord(runs[i % 100] ?? '', { task: i, output: i === poison ? '{broken' : '{"a":1}' })),
    ),
  );
  expect(all.flatMap((r, i) => (r.status === 'rejected' ? [[i, (r.reason as { code: string }).code]] : []))).toEqual([
    [poison, 'invalid_task_output'],
  ]);
  expect(await rows('select count(*)::int as n from task where run = any($1) and finished is not null', runs)).toEqual([{ n: 999 }]);
  expect(await gaps(runs[poison % 100] ?? '')).toBe(0);
});

test.each([
  ['an output over 64 KiB', { output: JSON.stringify('x'.repeat(65_536)) }],
  ['a wait with a time that is none', { status: 'waiting' as const, wait: { kind: 'timer' as const, until: 'tomorrow-ish' } }],
  ['a number that no column can hold', { branch: 2 ** 40 }],
  ['an output that is no JSON', { output: '"\u0000"' }],
])('%s is refused with a problem, and what the segment pushed later with it', async (_what, given) => {
  const run = await aRun();
  const segment = {};
  const all = await Promise.allSettled([
    journal.push(aRecord(run, { segment, task: 0 })),
    journal.push(aRecord(run, { segment, task: 1, ...given })),
    journal.push(aRecord(run, { segment, task: 2 })),
    journal.push(aRecord(run, { task: 3 })),
  ]);
  expect(all.map((r) => (r.status === 'rejected' ? (r.reason as { code: string }).code : 'ok'))).toEqual([
    'ok',
    'invalid_task_output',
    'invalid_task_output',
    'ok',
  ]);
  expect(await rows('select task from task where run = $1 order by task', run)).toEqual([{ task: 0 }, { task: 3 }]);
  expect(await gaps(run)).toBe(0);
});

test('a run that another writer holds does not hold up the others, and keeps its order', async () => {
  const [busy = '', ...others] = await someRuns(db, 21, 1_000);
  const release = await hold(busy);
  const waiting = Promise.all(Array.from({ length: 5 }, (_, task) => journal.push(aRecord(busy, { task }))));
  await Promise.all(others.flatMap((run) => Array.from({ length: 20 }, (_, task) => journal.push(aRecord(run, { task })))));
  for (let i = 0; journal.stats.alone === 0 && i < 200; i++) await sleep(5);
  const late = journal.push(aRecord(busy, { task: 5 }));
  await journal.push(aRecord(others[0] ?? '', { task: 99 }));
  expect(journal.stats.alone).toBe(1);
  await release();
  expect([...(await waiting), await late].map((c) => c.seq)).toEqual([2, 3, 4, 5, 6, 7]);
});

test('a lock that lasts longer than the limit of the statement is waited for', async () => {
  const run = await aRun();
  const release = await hold(run);
  const waiting = journal.push(aRecord(run));
  await sleep(2_500); // over the lock limit of 2 s
  await release();
  expect((await waiting).seq).toBe(2);
});

test('a commit whose connection is lost is unknown and is not repeated, and the journal goes on', async () => {
  const run = await aRun();
  const release = await hold(run);
  const segment = {};
  const lost = journal.push(aRecord(run, { segment })).catch((error: unknown) => error);
  for (let killed = 0; killed === 0;) {
    await sleep(5);
    const { rowCount } = await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'tiu journal alone' and wait_event_type = 'Lock'`,
    );
    killed = rowCount ?? 0;
  }
  expect(await lost).toBeInstanceOf(Unknown);
  await release();
  await expect(journal.push(aRecord(run, { segment, task: 1 }))).rejects.toBeInstanceOf(Unknown);
  expect(await rows('select * from task where run = $1', run)).toEqual([]);
  expect((await journal.push(aRecord(run, { task: 2 }))).seq).toBe(2);
});

test('an idle connection that is lost is replaced', async () => {
  const run = await aRun();
  await journal.push(aRecord(run));
  await holder.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'tiu %'`,
  );
  await sleep(50);
  expect((await journal.push(aRecord(run, { task: 1 }))).seq).toBe(3);
});

test('the queue is bounded: a writer waits for room', async () => {
  const run = await aRun(100_000);
  const release = await hold(run);
  expect(journal.room()).toBeUndefined();
  const all = Array.from({ length: 10_000 }, (_, task) => journal.push(aRecord(run, { task })));
  const room = journal.room();
  expect(room).toBeInstanceOf(Promise);
  await release();
  await room;
  const last = await Promise.all(all);
  expect(Math.max(...last.map((c) => c.seq))).toBe(10_001);
});

test('closing writes what is queued first, and refuses what comes after', async () => {
  const run = await aRun();
  const other = createJournal({ url: base.url });
  const pushed = Array.from({ length: 50 }, (_, task) => other.push(aRecord(run, { task })));
  await other.close();
  expect((await Promise.all(pushed)).length).toBe(50);
  await expect(other.push(aRecord(run, { task: 60 }))).rejects.toBeInstanceOf(Unknown);
});

test('a writer that is stopped in the middle of its work holds no lock', async () => {
  const run = await aRun(1_000_000);
  const writer = spawn(process.execPath, [fileURLToPath(new URL('./journalLoop.ts', import.meta.url))], {
    env: { PATH: process.env.PATH, LOOP_URL: base.url, LOOP_RUN: run, LOOP_TOKEN: randomUUID() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = once(writer, 'exit');
  await once(writer.stdout, 'data');
  const held: number[] = [];
  await holder.query(`set lock_timeout = '5s'`);
  try {
    for (let round = 0; round < 25; round++) {
      await sleep(Math.random() * 10);
      writer.kill('SIGSTOP');
      // What the server has received whole ends by itself; half a request would hold the row until the writer goes on.
      await holder.query(LOCK, [run]).catch(() => held.push(round));
      writer.kill('SIGCONT');
    }
  } finally {
    writer.kill('SIGKILL');
    await gone;
    await holder.query('reset lock_timeout');
  }
  expect(held).toEqual([]);
  expect(await gaps(run)).toBe(0);
});
