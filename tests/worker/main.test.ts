import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { NODE_FLAGS } from '../../src/dev/nodeFlags.ts';
import { canonicalJson } from '../../src/domain/definition/canonical.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { createCommands, type Commands } from '../../src/db/commands.ts';
import type { Database } from '../../src/db/database.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import { freePort } from '../../src/dev/freePort.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aPlan } from '../support/anEngine.ts';
import { until } from '../support/until.ts';
import { stateOf } from './support/aRun.ts';

let base: TestDatabase;
let db: Database;
let submits: Submits;
let commands: Commands;
let worker: ChildProcess;
let metricsPort: number;
const workspace = randomUUID();

/** The real process, as production starts it. @returns it as soon as it says so much */
async function startProcess(says: 'ready' | 'carries' = 'ready', temporal = process.env.TIU_TEST_TEMPORAL_ADDRESS): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...NODE_FLAGS.worker, 'src/worker/main.ts'], {
    stdio: ['ignore', 'pipe', process.env.TIU_TEST_LOG ? 'inherit' : 'ignore'],
    env: {
      ...process.env,
      DATABASE_URL: base.url,
      TEMPORAL_ADDRESS: temporal,
      TIU_TASK_QUEUE: base.url.slice(-12),
      TIU_METRICS_PORT: String(metricsPort),
    },
  });
  for await (const line of createInterface(child.stdout)) if (says in (JSON.parse(line) as object)) return child;
  throw new Error('the worker ended before it was ready');
}
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  submits = createSubmits({ url: base.url });
  commands = createCommands({ url: base.url });
  metricsPort = await freePort();
  worker = await startProcess();
});
afterAll(async () => {
  worker.kill('SIGKILL');
  await Promise.all([submits.close(), commands.close()]);
  await base.drop();
});

const sha256 = (text: string) => createHash('sha256').update(text).digest();
async function submit(definition: Json): Promise<string> {
  const plan = aPlan(definition);
  const body = canonicalJson(plan);
  const submitted = await submits.submitRun({
    ...{ workspace, principal: 'test', requestHash: sha256(randomUUID()), definition: plan.name, tasks: plan.tasks.length, artifacts: [] },
    ...{ plan: { hash: sha256(body), body }, input: '{}', priority: 0, labels: {}, createdBy: 'test' },
  });
  return submitted.runId;
}
const ended = (runId: string, status: string) => until(async () => (await stateOf(db, runId)).status === status);
const metrics = async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
const aTask = { type: 'transform', with: { value: 1 } };
const aDefinition = (tasks: JsonObject): Json => ({ dsl: 'tiu/1', name: 'a-run', tasks });

test('it takes less than 250 MB idle', () => {
  const resident = Number(/VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${worker.pid}/status`, 'utf8'))?.[1]) / 1024;
  if (process.env.TIU_TEST_LOG) process.stderr.write(`resident ${resident.toFixed(0)} MB\n`);
  expect(resident).toBeLessThan(250);
});

test('a submitted run goes through Temporal and the engine to its end, and Temporal agrees', async () => {
  const runId = await submit(aDefinition({ a: aTask, b: { ...aTask, dependsOn: ['a'] } }));
  await ended(runId, 'completed');
  const connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  const handle = new Client({ connection }).workflow.getHandle(`run/${runId}`);
  // its execution comes after its end
  expect(await until(async () => (await handle.describe().catch(() => undefined))?.status.name === 'COMPLETED')).toBe(true);
  await connection.close();
});

test('a run that waits is cancelled by a command', async () => {
  const runId = await submit(aDefinition({ w: { type: 'wait', with: { for: 'PT1H' } } }));
  await until(async () => (await stateOf(db, runId)).status === 'waiting');
  await commands.command({ run: runId, workspace, type: 'cancel', reason: 'enough', by: 'test' });
  await ended(runId, 'cancelled');
});

test('a hundred runs at once all finish', async () => {
  const runs = await Promise.all(Array.from({ length: 100 }, () => submit(aDefinition({ a: aTask }))));
  for (const runId of runs) await ended(runId, 'completed');
});

test('it survives that every connection to the database breaks', async () => {
  const owner = await base.open('tiu_owner', 1);
  await owner.pool.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  const runId = await until(() => submit(aDefinition({ a: aTask })).catch(() => undefined));
  await until(async () => (await stateOf(db, runId).catch(() => undefined))?.status === 'completed');
  expect(worker.exitCode).toBeNull();
});

test('its metrics can be read', async () => {
  expect(/^tiu_run_starts_total\{.*$/m.exec(await metrics())?.[0]).toMatch(/result="ok"/);
});

test('it drains on SIGTERM, ends with code 0 and leaves no health row', async () => {
  // a submit whose answer was lost with its connection may have been accepted: a worker leaves its row to who takes over
  await until(async () => (await db.pool.query('select from run_state where finished is null')).rowCount === 0);
  // nor has it put off the start of an execution, which it would leave too where it is not done within its 3 s
  await until(async () => /^tiu_late_starts\{.*\} 0$/m.test(await metrics()));
  worker.kill('SIGTERM');
  const [code] = (await once(worker, 'exit')) as [number | null];
  expect(code).toBe(0);
  expect((await db.pool.query('select from worker')).rowCount).toBe(0);
});

test('before it has reached Temporal it ends what is queued and what a killed one held, as far as that goes', async () => {
  const queued = await submit(aDefinition({ a: aTask }));
  const gone = randomUUID();
  const held = await submit(aDefinition({ a: aTask, b: { ...aTask, dependsOn: ['a'] } }));
  await db.pool.query(
    `insert into worker (id, name, version, started, session, seen, temporal, data) values ($1, 'gone', '0', now(), now(), now(), false, '{}')`,
    [gone],
  );
  await db.pool.query(`update run_state set started = now(), epoch = 1, status = 'running', owner = $2 where run = $1`, [held, gone]);
  worker = await startProcess('carries', '127.0.0.1:1');
  for (const runId of [queued, held]) await ended(runId, 'completed');
});
