import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { temporalBinary } from '../../tools/setup.mjs';
import type { Database } from '../../src/db/database.ts';
import { freePort } from '../../src/dev/freePort.ts';
import { readConfig } from '../../src/runtime/config.ts';
import { startTemporal, type Temporal } from '../../src/dev/temporal.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { until } from '../support/until.ts';
import { aRun, stateOf } from './support/aRun.ts';
import { aWorker, type TestWorker } from './support/aWorker.ts';

let base: TestDatabase;
let db: Database;
let worker: TestWorker;
let temporal: Temporal | undefined;
let port: number;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-outage-'));

beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 6);
  port = await freePort();
  worker = await aWorker(db, { TIU_TASK_QUEUE: 'outage', TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
});
afterAll(async () => {
  await worker.stop();
  await temporal?.stop();
  await base.drop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const comeUp = async (database: string) => {
  temporal = await startTemporal({ binary: temporalBinary() ?? '', database: path.join(folder, database), port, uiPort: false });
};
const kill = async () => {
  if (!temporal) throw new Error('not up');
  process.kill(temporal.pid, 'SIGKILL');
  await temporal.exited;
  temporal = undefined;
};
const statusIs = (runId: string, status: string) => until(async () => (await stateOf(db, runId)).status === status);
const temporalIs = (up: number) => until(async () => (await worker.metrics.temporalUp.get()).values[0]?.value === up);
const health = async () => (await db.pool.query<{ temporal: boolean }>('select temporal from worker')).rows[0]?.temporal;

test('a worker starts and waits while Temporal is down, and says so', async () => {
  await until(async () => (await health()) === false);
  const run = await aRun(db);
  await comeUp('a.db');
  await worker.ready;
  await statusIs(run, 'completed');
  await until(async () => (await health()) === true);
});

test('runs queued while Temporal is gone start when it is back', async () => {
  await kill();
  await temporalIs(0);
  const run = await aRun(db);
  await comeUp('a.db');
  await statusIs(run, 'completed');
});

test('waiting runs survive a wiped Temporal: they are started again from the rows', async () => {
  const runs = await Promise.all(Array.from({ length: 5 }, () => aRun(db, { mode: 'wait' })));
  for (const run of runs) await until(async () => (await stateOf(db, run)).epoch > 1); // its execution has asked for it
  await db.pool.query(`update run_state set started = started - interval '10 s'`);
  await kill();
  await temporalIs(0);
  await comeUp('b.db');
  for (const run of runs) await until(async () => (await stateOf(db, run)).epoch > 2);
  expect((await worker.metrics.corrections.get()).values.find((v) => v.labels.reason === 'lost')?.value).toBe(5);
  const next = await aRun(db);
  await statusIs(next, 'completed');
});

test('a worker ends within its grace while Temporal is down', async () => {
  await kill();
  const from = performance.now();
  await worker.stop();
  // so long the process is given: 10 s beside the grace
  expect(performance.now() - from).toBeLessThan(readConfig({ DATABASE_URL: base.url }).TIU_SHUTDOWN_GRACE + 10_000);
});
