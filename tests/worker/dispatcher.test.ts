import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { until } from '../support/until.ts';
import { aRun, cancelCommand, stateOf } from './support/aRun.ts';
import { aWorker, type TestWorker } from './support/aWorker.ts';

let base: TestDatabase;
let db: Database;
let worker: TestWorker;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 6);
  worker = await aWorker(db, { TIU_TASK_QUEUE: 'dispatcher' });
  await worker.ready;
});
afterAll(async () => {
  await worker.stop();
  await base.drop();
});

const kick = () => db.pool.query(`select pg_notify('kick', '')`);
const statusIs = (runId: string, status: string) => until(async () => (await stateOf(db, runId)).status === status);

test('a queued run is started by a kick', async () => {
  const { setInterval: real } = globalThis;
  const turns = jest.spyOn(globalThis, 'setInterval');
  turns.mockImplementation(((act: () => void, ms: number) => real(ms === 1_000 ? () => undefined : act, ms)) as typeof setInterval);
  const other = await aDatabase();
  const blind = await other.open('tiu_engine', 6);
  const kicked = await aWorker(blind, { TIU_TASK_QUEUE: 'kicked' }); // finds nothing by looking each second
  await kicked.ready;
  turns.mockRestore();
  const run = await aRun(blind);
  await until(async () => {
    await blind.pool.query(`select pg_notify('kick', '')`); // again: it may not listen yet
    return (await stateOf(blind, run)).status === 'completed';
  });
  await kicked.stop();
  await other.drop();
});

test('a queued run is started without any notice', async () => {
  await statusIs(await aRun(db), 'completed');
});

test('forty runs all finish although sixteen at most are unfinished', async () => {
  const runs = await Promise.all(Array.from({ length: 40 }, () => aRun(db)));
  await kick();
  for (const run of runs) await statusIs(run, 'completed');
});

test('a cancelled run is cancelled in Temporal once and wakes', async () => {
  const run = await aRun(db, { mode: 'wait' });
  await until(async () => (await stateOf(db, run)).epoch > 1); // its execution has asked for it
  await cancelCommand(db, run, '');
  await kick();
  await statusIs(run, 'completed');
  expect((await stateOf(db, run)).cancel_sent).toBe(true);
});

test('a run with a decided wait is poked', async () => {
  const run = await aRun(db, { mode: 'wait' });
  await until(async () => (await stateOf(db, run)).epoch > 1); // its execution has asked for it
  await db.pool.query(
    `insert into wait (run, task, item, generation, kind, workspace, decision) select run, 0, -1, 0, 'map', workspace, 'completed' from run_state where run = $1`,
    [run],
  );
  await statusIs(run, 'completed');
});

test('every slice of a map is started', async () => {
  const run = await aRun(db, { mode: 'wait' });
  await until(async () => (await stateOf(db, run)).epoch > 1); // its execution has asked for it
  await db.pool.query(
    `insert into slice (run, task, generation, k, workspace, lo, hi) select run, 0, 0, k, workspace, k * 10, k * 10 + 10 from run_state, generate_series(0, 4) k where run = $1`,
    [run],
  );
  await db.pool.query(
    `insert into wait (run, task, item, generation, kind, workspace) select run, 0, -1, 0, 'map', workspace from run_state where run = $1`,
    [run],
  );
  await kick();
  await until(() => worker.slices.length >= 5);
  expect(worker.slices).toEqual(expect.arrayContaining([0, 1, 2, 3, 4].map((k) => ({ runId: run, task: 0, generation: 0, k }))));
  await db.pool.query(`update wait set decision = 'completed' where run = $1`, [run]);
  await statusIs(run, 'completed');
});
