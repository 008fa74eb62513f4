import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import type { RunHead } from '../../src/temporal/executions.ts';
import { TemporalUnreachable } from '../../src/temporal/failures.ts';
import { createLateStarts, LATEST_MS } from '../../src/worker/lateStarts.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRun, aWorkerId } from './support/aRun.ts';
import { silent } from './support/aWorker.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine');
});
afterAll(() => base.drop());

type Start = [runId: string, known: { completed: boolean; found?: boolean } | undefined, how?: string];

function lateStarts({ max = 100, answer = () => Promise.resolve() }: { max?: number; answer?: () => Promise<void> } = {}) {
  const world = { now: 0, looks: 0, idle: undefined as number | undefined, up: true, rooms: 0, left: 0 };
  const started: Start[] = [];
  const waiting: { n: number; tell: () => void }[] = [];
  const tell = () => {
    for (const one of waiting) if (started.length >= one.n) one.tell();
  };
  const gone: string[] = [];
  const late = createLateStarts(
    {
      executions: {
        start: async (run: RunHead, known) => {
          await answer();
          started.push([run.runId, known]);
          tell();
        },
        restart: (run, known) => {
          started.push([run.runId, known, 'in place of another']);
          tell();
          return Promise.resolve();
        },
      },
      clock: {
        now: () => {
          world.looks++;
          return world.now;
        },
      },
      ...{ metrics: createWorkerMetrics(createRegistry()), log: silent, db, gone },
      temporalUp: () => world.up,
      onTemporal: () => undefined,
      idleSince: () => world.idle,
      onRoom: () => world.rooms++,
      onLeft: () => world.left++,
    },
    max,
  );
  const add = (runId: string, completed = true, more: { replaces?: true } = {}) => {
    late.add({ run: { runId, workspace: 'w', definition: 'd', title: null, parent: null, priority: 0, total: 1 }, completed, ...more });
  };
  const until = (n: number) =>
    started.length >= n ? Promise.resolve() : new Promise<void>((resolve) => waiting.push({ n, tell: resolve }));
  /** Until the queue has been looked at so many times more. */
  const looks = async (n: number) => {
    for (const from = world.looks; world.looks < from + n;) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { world, started, late, add, until, looks, gone };
}

test('an execution is started when no run has been begun for 250 ms, in order, and knows how its run ended', async () => {
  const { world, started, add, until, looks, late } = lateStarts();
  add('a');
  add('b', false);
  await looks(6);
  world.idle = 0;
  world.now = 249;
  await looks(6);
  expect(started).toEqual([]);
  world.now = 250;
  await until(2);
  expect(started).toEqual([
    ['a', { completed: true }],
    ['b', { completed: false }],
  ]);
  await late.stop();
});

test('that of a run that was taken over comes in place of the one it has', async () => {
  const { world, started, add, until, late } = lateStarts();
  add('a', true, { replaces: true });
  world.idle = 0;
  world.now = 250;
  await until(1);
  expect(started).toEqual([['a', { completed: true }, 'in place of another']]);
  await late.stop();
});

test('the first stands back for 30 s at most, then one comes in the wake of a run, 40 ms after the one before', async () => {
  const { world, started, add, until, looks, late } = lateStarts();
  for (const runId of ['a', 'b', 'c']) add(runId);
  world.idle = LATEST_MS - 2;
  world.now = LATEST_MS - 1;
  await looks(6);
  expect(started).toEqual([]);
  world.now = LATEST_MS;
  await until(1);
  world.idle = LATEST_MS + 30;
  world.now = LATEST_MS + 39;
  await looks(6);
  expect(started).toHaveLength(1);
  world.now = LATEST_MS + 40;
  await until(2);
  world.now = LATEST_MS + 80; // 50 ms after the run: its client may be back
  await looks(6);
  expect(started).toHaveLength(2);
  await late.stop();
});

test('after 30 s they come 200 ms apart where runs leave no gap at all', async () => {
  const { world, started, add, until, looks, late } = lateStarts();
  add('a');
  add('b');
  world.now = LATEST_MS;
  await until(1);
  world.now = LATEST_MS + 199;
  await looks(6);
  expect(started).toHaveLength(1);
  world.now = LATEST_MS + 200;
  await until(2);
  await late.stop();
});

test('once as many wait as there is room for, one goes at once, and it is said that there is room again', async () => {
  const { world, started, add, until, late } = lateStarts({ max: 2 });
  add('a');
  expect(late.room()).toBe(true);
  add('b');
  expect(late.room()).toBe(false);
  expect(late.workspaces()).toEqual(['w', 'w']);
  await until(1);
  expect(started.map(([runId]) => runId)).toEqual(['a']);
  expect([late.room(), world.rooms]).toEqual([true, 1]);
  await late.stop();
});

test('once as many wait as there is room for, they stand back for 50 ms at most, and make do with a gap of 5', async () => {
  const { world, started, add, until, looks, late } = lateStarts({ max: 1 });
  for (const runId of ['a', 'b', 'c', 'd']) add(runId);
  await until(1);
  world.now = 49;
  await looks(6);
  expect(started).toHaveLength(1);
  world.now = 50;
  await until(2);
  world.idle = 50;
  world.now = 54;
  await looks(6);
  expect(started).toHaveLength(2);
  world.now = 55;
  await until(3);
  await late.stop();
});

test('what nobody answers is tried again before the next; nothing is tried while Temporal is away', async () => {
  let tries = 0;
  const { world, started, add, until, looks, late } = lateStarts({
    answer: () => (++tries === 1 ? Promise.reject(new TemporalUnreachable()) : Promise.resolve()),
  });
  world.idle = -1_000;
  world.now = 100;
  add('a');
  add('b');
  await looks(8);
  expect(tries).toBe(1);
  world.up = false;
  world.now = 1_000;
  await looks(8);
  expect(tries).toBe(1);
  world.up = true;
  await until(2);
  expect(started.map(([runId]) => runId)).toEqual(['a', 'b']);
  await late.stop();
});

test('a worker that stops starts what it has put off', async () => {
  const { world, started, add, late } = lateStarts();
  for (let i = 0; i < 20; i++) add(`${i}`);
  await late.stop();
  expect([started.length, world.left]).toEqual([20, 0]);
});

test('a worker that stops while Temporal is away leaves what it has put off to others', async () => {
  const { world, started, add, late } = lateStarts();
  world.up = false;
  add('a');
  await late.stop();
  expect([started.length, world.left]).toEqual([0, 1]);
});

test('what a worker may have put off when it died is asked for: its own standard runs that ended just now', async () => {
  const [own, failed, express, old, open, other] = [
    await aRun(db, { started: true }),
    await aRun(db, { started: true }),
    await aRun(db, { started: true }),
    await aRun(db, { started: true }),
    await aRun(db, { started: true }),
    await aRun(db, { started: true }),
  ];
  const dead = aWorkerId();
  const set = (run: string, to: string) => db.pool.query(`update run_state set owner = $2, ${to} where run = $1`, [run, dead]);
  await set(own, `status = 'completed', finished = now()`);
  await set(failed, `status = 'failed', finished = now()`);
  await set(express, `status = 'completed', finished = now()`);
  await db.pool.query(`update run set mode = 'express' where id = $1`, [express]);
  await set(old, `status = 'completed', finished = now() - interval '901 s'`);
  await set(open, `status = 'running'`);
  await db.pool.query(`update run_state set owner = $2, status = 'completed', finished = now() where run = $1`, [other, aWorkerId()]);
  const { world, started, until, late, gone } = lateStarts();
  world.now = Date.now();
  world.idle = 0; // for long
  gone.push(dead);
  await until(2);
  await late.stop();
  expect(new Map(started.map(([runId, known]) => [runId, known]))).toEqual(
    new Map([
      [own, { completed: true, found: true }],
      [failed, { completed: false, found: true }],
    ]),
  );
  expect(gone).toEqual([]);
});
