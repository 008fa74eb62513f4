import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Database } from '../../src/db/database.ts';
import { listen } from '../../src/db/listen.ts';
import { Problem } from '../../src/domain/problem.ts';
import { createAborts } from '../../src/worker/aborts.ts';
import { createFaultLog } from '../../src/worker/faultLog.ts';
import { createPump } from '../../src/worker/pump.ts';
import { runAlone } from '../../src/worker/runAlone.ts';
import { createUnfinishedStarts } from '../../src/worker/unfinishedStarts.ts';
import { forwardTo } from '../../src/worker/temporalRuntime.ts';
import { workflowBundle } from '../../src/worker/workflowBundle.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { until } from '../support/until.ts';
import { aRun, cancelCommand } from './support/aRun.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const aStart = (runId: string, workspace = 'workspace') => ({ runId, workspace });

test('kicks during a round become one more round; nothing starts after the end', async () => {
  let rounds = 0;
  const gate = Promise.withResolvers<undefined>();
  const pump = createPump(
    async () => {
      rounds++;
      await gate.promise;
      return false;
    },
    () => undefined,
  );
  for (let i = 0; i < 5; i++) pump.kick();
  gate.resolve(undefined);
  await until(() => rounds === 2);
  await pump.stop();
  pump.kick();
  expect(rounds).toBe(2);
});

test('a round that fails is reported and the next one comes', async () => {
  const faults: unknown[] = [];
  let rounds = 0;
  const pump = createPump(
    () => {
      rounds++;
      return rounds === 1 ? Promise.reject(new Error('once')) : Promise.resolve(false);
    },
    (error) => faults.push(error),
  );
  pump.kick();
  await until(() => faults.length === 1);
  pump.kick();
  await until(() => rounds === 2);
  await pump.stop();
});

test('a fault that repeats is logged once per 10 s and kind', () => {
  let now = 0;
  const lines: string[] = [];
  const log = createLogger({ name: 't', level: 'error' }, { write: (line) => lines.push(line) });
  const fault = createFaultLog({ log, clock: { now: () => now } }, 'x.failed');
  fault(new Error('a'));
  fault(new Error('b'));
  fault(new TypeError('c'));
  now = 10_000;
  fault(new Error('d'));
  expect(lines).toHaveLength(3);
});

test('room comes back when a start ends or its claim does, and the first is told', () => {
  let now = 0;
  let told = 0;
  const starts = createUnfinishedStarts({ clock: { now: () => now }, onRoom: () => told++ }, { max: 2, claimMs: 100 });
  starts.add(aStart('a'));
  starts.add(aStart('b'));
  expect(starts.room()).toBe(0);
  starts.done('a');
  starts.done('a');
  expect([starts.room(), told]).toEqual([1, 1]);
  now = 100;
  expect(starts.room()).toBe(2);
});

test('a full worker has two places in reserve, and what takes them is not counted against its bound', () => {
  const starts = createUnfinishedStarts({ clock: { now: () => 0 }, onRoom: () => undefined }, { max: 1, claimMs: 100 });
  starts.add(aStart('a'));
  starts.add(aStart('b', 'other'), 'reserved');
  expect([starts.room(), starts.reserve(), starts.size()]).toEqual([0, 1, 2]);
  expect(starts.workspaces()).toEqual(['workspace', 'other']);
  starts.done('a');
  expect([starts.room(), starts.reserve()]).toEqual([1, 1]);
  starts.done('b');
  expect(starts.reserve()).toBe(2);
});

test('it is known since when no run is being begun', () => {
  let now = 5;
  const starts = createUnfinishedStarts({ clock: { now: () => now }, onRoom: () => undefined }, { max: 2, claimMs: 100 });
  expect(starts.idleSince()).toBe(5);
  starts.add(aStart('a'));
  expect(starts.idleSince()).toBeUndefined();
  now = 7;
  starts.done('a');
  expect(starts.idleSince()).toBe(7);
  starts.add(aStart('b'));
  now = 107;
  starts.room(); // its claim has expired
  expect(starts.idleSince()).toBe(107);
});

test('runs that begin slowly leave room for fewer at once, and quick ones for more again', () => {
  let now = 0;
  const starts = createUnfinishedStarts({ clock: { now: () => now }, onRoom: () => undefined }, { max: 16, claimMs: 5_000 });
  const begin = (n: number, ms: number) => {
    const runs = Array.from({ length: n }, (_, i) => `${now}-${i}`);
    for (const run of runs) starts.add(aStart(run));
    now += ms;
    for (const run of runs) starts.done(run);
    return starts.room();
  };
  expect(begin(4, 1_000)).toBe(2);
  expect(begin(2, 1_000)).toBe(1);
  for (let i = 0; i < 200; i++) begin(starts.room(), 10);
  expect(starts.room()).toBe(16);
});

test('what listens for a run learns of each intent once', async () => {
  const aborts = createAborts({ db });
  const [run, other] = [await aRun(db, { started: true }), await aRun(db, { started: true })];
  const heard: string[] = [];
  const remove = aborts.add(run, ({ stop }) => heard.push(stop ?? 'on'));
  await aborts.look([run, other]);
  expect(heard).toEqual([]);
  await cancelCommand(db, run, '');
  await aborts.look([run]);
  await aborts.look();
  await cancelCommand(db, run, 'now');
  await aborts.look();
  expect(heard).toEqual(['cancel', 'force']);
  remove();
  await aborts.look([run]);
  expect(heard).toHaveLength(2);
});

test('a broken LISTEN connection is made again, and says so', async () => {
  const heard: string[] = [];
  let listens = 0;
  const listener = listen({
    url: db.url,
    channels: ['kick'],
    onNotice: (channel, payload) => heard.push(`${channel}:${payload}`),
    onListen: () => listens++,
  });
  const notify = (payload: string) => db.pool.query(`select pg_notify('kick', $1)`, [payload]);
  await until(() => listens === 1);
  await notify('one');
  await until(() => heard.length === 1);
  const owner = await base.open('tiu_owner', 1);
  await owner.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like 'listen %'`,
  );
  await until(() => listens === 2);
  await notify('two');
  await until(() => heard.length === 2);
  await listener.close();
  expect(heard).toEqual(['kick:one', 'kick:two']);
});

test('a bundle is made once per state of its sources', async () => {
  const folder = fs.mkdtempSync(path.join(process.cwd(), '.tiu/bundle-test-'));
  const cache = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bundles-'));
  const workflowsPath = path.join(folder, 'index.ts');
  const source = { workflowsPath, folders: [folder], cache };
  try {
    fs.writeFileSync(workflowsPath, 'export async function one(): Promise<number> { return 1; }\n');
    const first = await workflowBundle(source);
    const made = fs.statSync(first).mtimeMs;
    expect(await workflowBundle(source)).toBe(first);
    expect(fs.statSync(first).mtimeMs).toBe(made);
    fs.writeFileSync(workflowsPath, 'export async function one(): Promise<number> { return 2; }\n');
    expect(await workflowBundle(source)).not.toBe(first);
    fs.writeFileSync(workflowsPath, 'export const = broken');
    await expect(workflowBundle(source)).rejects.toThrow('cannot be bundled');
    expect(fs.readdirSync(cache).filter((name) => !/^workflow-bundle-[0-9a-f]{16}\.js$/.test(name))).toEqual([]);
  } finally {
    for (const one of [folder, cache]) fs.rmSync(one, { recursive: true, force: true });
  }
});

const anExecution = { runId: 'r', workspace: 'w', taskId: 't', item: -1, generation: 0, attempt: 3, key: 'r/t/-/0' };

test('a task that runs alone gives its result or its problem; one whose process dies is known to be the cause', async () => {
  const before = process.env.DATABASE_URL;
  process.env.DATABASE_URL = db.url;
  try {
    await expect(runAlone('http', { method: 'GET', url: 'http://127.0.0.1:9/' }, anExecution)).rejects.toMatchObject({
      code: 'http_address_refused',
    });
    await expect(runAlone('nothing', {}, anExecution)).rejects.toMatchObject({ code: 'engine_fault' });
    process.env.DATABASE_URL = '';
    await expect(runAlone('http', {}, anExecution)).rejects.toMatchObject({ code: 'task_crashed_worker' });
    await expect(runAlone('http', {}, { ...anExecution, signal: AbortSignal.abort() })).rejects.toBeInstanceOf(Problem);
  } finally {
    if (before === undefined) delete process.env.DATABASE_URL;
    else process.env.DATABASE_URL = before;
  }
});

test('what Temporal says below a warning is not repeated in our log', () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ name: 't', level: 'trace' }, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const temporal = forwardTo(log);
  temporal.info('chatter');
  temporal.log('DEBUG', 'chatter');
  temporal.warn('careful', { workflowId: 'run/1' });
  expect(lines).toEqual([expect.objectContaining({ msg: 'careful', workflowId: 'run/1' })]);
});
