import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import type { ClosedStatus } from '../../src/domain/plan/outcome.ts';
import { createEarlyStarts } from '../../src/worker/earlyStarts.ts';
import type { TakenRun } from '../../src/worker/takeover.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRun, aWorkerId, stateOf } from './support/aRun.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine');
});
afterAll(() => base.drop());
beforeEach(async () => {
  await db.pool.query('delete from run_state');
});

function earlyStarts(carry: () => Promise<ClosedStatus | null>) {
  const taken: TakenRun[] = [];
  const world = { up: false, held: true };
  const worker = aWorkerId();
  return { world, taken, worker, ...createEarlyStarts({ db, carry, worker, taken, held: () => world.held, isUp: () => world.up }) };
}

const runs = (n: number) => Promise.all(Array.from({ length: n }, () => aRun(db)));

test('queued runs are begun and carried until none is left; their executions wait for Temporal', async () => {
  const early = earlyStarts(() => Promise.resolve('completed'));
  const queued = await runs(9);
  await early.look();
  expect(new Set(early.taken.map(({ run }) => run.runId))).toEqual(new Set(queued));
  for (const { ended, fresh } of early.taken) expect([ended, fresh]).toEqual(['completed', true]);
  const [late] = await runs(1);
  await early.look();
  expect(await stateOf(db, late ?? '')).toMatchObject({ status: 'running', owner: early.worker });
});

test('four runs that go on are as many as may wait for Temporal; one whose segment fails goes on', async () => {
  let carried = 0;
  const early = earlyStarts(() => (carried++ % 2 ? Promise.resolve(null) : Promise.reject(new Error('lost'))));
  await runs(9);
  await early.look();
  await early.look();
  expect(early.taken.map(({ ended }) => ended)).toEqual([null, null, null, null]);
});

test('sixty-four are as many as are begun early', async () => {
  const early = earlyStarts(() => Promise.resolve('failed'));
  await runs(70);
  await early.look();
  await early.look();
  expect(early.taken).toHaveLength(64);
});

test('nothing is begun once Temporal is reached, or while others take this worker for dead', async () => {
  const early = earlyStarts(() => Promise.resolve('completed'));
  await runs(1);
  early.world.up = true;
  await early.look();
  Object.assign(early.world, { up: false, held: false });
  await early.look();
  expect(early.taken).toEqual([]);
});
