import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { admit, holdClaims } from '../../src/db/dispatch.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import type { RunHead } from '../../src/temporal/executions.ts';
import { TemporalUnreachable } from '../../src/temporal/failures.ts';
import { admitRuns, CLAIM_MS } from '../../src/worker/admission.ts';
import { createUnfinishedStarts } from '../../src/worker/unfinishedStarts.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRun, aWorkerId, stateOf } from './support/aRun.ts';
import { silent } from './support/aWorker.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 8);
});
afterAll(() => base.drop());
beforeEach(async () => {
  await db.pool.query('delete from run_state');
});

function anAdmission(max: number, start: (run: RunHead) => Promise<void> = () => Promise.resolve()) {
  let now = 0;
  const unfinished = createUnfinishedStarts({ clock: { now: () => now }, onRoom: () => undefined }, { max, claimMs: CLAIM_MS });
  const worker = aWorkerId();
  const admission = { db, executions: { start }, unfinished, metrics: createWorkerMetrics(createRegistry()), log: silent, worker };
  return {
    worker,
    unfinished,
    tick: () => admitRuns(admission),
    pass: (ms: number) => {
      now += ms;
    },
  };
}

test('four claimers at once never exceed their bounds and never claim a run twice', async () => {
  await Promise.all(Array.from({ length: 60 }, () => aRun(db)));
  const started: string[] = [];
  const four = Array.from({ length: 4 }, () =>
    anAdmission(5, (run) => {
      started.push(run.runId);
      return Promise.resolve();
    }),
  );
  for (let round = 0; round < 5; round++) {
    await Promise.all(four.map((one) => one.tick()));
    for (const one of four) expect(one.unfinished.size()).toBeLessThanOrEqual(5);
    // Some begin, so that there is room again.
    for (const one of four) for (const runId of one.unfinished.runs().slice(0, 2)) one.unfinished.done(runId);
  }
  expect(new Set(started).size).toBe(started.length);
  expect(started.length).toBeGreaterThanOrEqual(20);
  const { rows } = await db.pool.query<{ n: string }>('select count(*) as n from run_state where owner_until > clock_timestamp()');
  expect(Number(rows[0]?.n)).toBe(started.length);
});

test('the oldest queued runs are claimed first, with what Temporal is told about them', async () => {
  const first = await aRun(db, { total: 7, parent: '22222222-2222-4222-8222-222222222222' });
  const second = await aRun(db);
  await aRun(db);
  const claimed = await admit(db, { worker: aWorkerId(), n: 2, claimMs: 1_000 });
  expect(claimed.map((run) => run.runId)).toEqual([first, second]);
  expect(claimed[0]).toMatchObject({
    definition: 'a-definition',
    title: 'A title',
    priority: 3,
    total: 7,
    parent: '22222222-2222-4222-8222-222222222222',
  });
});

test('a claim that expires makes the run claimable again, and counts no longer', async () => {
  const run = await aRun(db);
  const one = anAdmission(1);
  await one.tick();
  expect(one.unfinished.room()).toBe(0);
  expect(await admit(db, { worker: aWorkerId(), n: 5, claimMs: 1_000 })).toEqual([]);
  await holdClaims(db, { worker: one.worker, runs: [run], ms: 0 });
  one.pass(CLAIM_MS);
  expect(one.unfinished.room()).toBe(1);
  expect((await admit(db, { worker: aWorkerId(), n: 5, claimMs: 1_000 })).map((r) => r.runId)).toEqual([run]);
});

test('a run that another worker has begun makes room', async () => {
  const run = await aRun(db);
  const one = anAdmission(1);
  await one.tick();
  await aRun(db);
  expect(await one.tick()).toBe(false);
  await db.pool.query('update run_state set started = now() where run = $1', [run]);
  expect(await one.tick()).toBe(true);
});

test('a start that nobody answers gives the run back at once', async () => {
  const run = await aRun(db);
  const one = anAdmission(3, () => Promise.reject(new TemporalUnreachable()));
  await expect(one.tick()).rejects.toThrow(TemporalUnreachable);
  expect(one.unfinished.size()).toBe(0);
  expect((await admit(db, { worker: aWorkerId(), n: 5, claimMs: 1_000 })).map((r) => r.runId)).toEqual([run]);
});

test('a start that is refused does not hold up the head of the queue', async () => {
  const run = await aRun(db);
  const one = anAdmission(3, () => Promise.reject(new Error('refused')));
  await expect(one.tick()).rejects.toThrow('refused');
  expect(await admit(db, { worker: aWorkerId(), n: 5, claimMs: 1_000 })).toEqual([]);
  expect((await stateOf(db, run)).owner).toBe(one.worker);
});
