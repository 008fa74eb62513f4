import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { admit } from '../../src/db/dispatch.ts';
import { openRuns } from '../../src/db/reconcile.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import type { RunHead } from '../../src/temporal/executions.ts';
import { TemporalUnreachable } from '../../src/temporal/failures.ts';
import { admitRuns } from '../../src/worker/admission.ts';
import { createRunSlots } from '../../src/worker/runSlots.ts';
import { CLAIM_MS, createUnfinishedStarts } from '../../src/worker/unfinishedStarts.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRun, aWorkerId, stateOf } from './support/aRun.ts';
import { silent } from './support/aWorker.ts';

const NO_RUN = '00000000-0000-0000-0000-000000000000';

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

const OTHER = '33333333-3333-4333-8333-333333333333';

function anAdmission(max: number, start: (run: RunHead) => Promise<void> = () => Promise.resolve(), maxRuns = 1_000) {
  let now = 0;
  const unfinished = createUnfinishedStarts({ clock: { now: () => now }, onRoom: () => undefined }, { max, claimMs: CLAIM_MS });
  const worker = aWorkerId();
  const failed = Promise.withResolvers<unknown>();
  const late = { room: true, workspaces: [] as string[] };
  const pace = {
    found: [] as number[],
    turn: Promise.resolve<undefined>(undefined),
  };
  const admission = {
    ...{ db, executions: { start, restart: start }, unfinished, metrics: createWorkerMetrics(createRegistry()), log: silent, worker },
    late: { add: () => undefined, room: () => late.room, workspaces: () => late.workspaces },
    carry: () => Promise.resolve(null),
    isInline: () => Promise.resolve(false),
    slots: createRunSlots({ db, worker, clock: { now: () => now } }, maxRuns),
    pace: { next: () => pace.turn, found: (n: number) => pace.found.push(n), awaited: () => undefined },
    onError: failed.resolve,
  };
  return {
    worker,
    unfinished,
    ...{ late, pace },
    /** What the first start that failed failed with. */
    failed: failed.promise,
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
    for (const one of four) for (const runId of one.unfinished.runs(0).slice(0, 2)) one.unfinished.done(runId);
  }
  expect(new Set(started).size).toBe(started.length);
  expect(started.length).toBeGreaterThanOrEqual(20);
  const { rows } = await db.pool.query<{ n: string }>('select count(*) as n from run_state where owner_until > clock_timestamp()');
  expect(Number(rows[0]?.n)).toBe(started.length);
});

test('a round that has room for more than it finds tells the pace what it found', async () => {
  const one = anAdmission(4);
  for (const n of [0, 1, 3, 4]) {
    for (let i = 0; i < n; i++) await aRun(db);
    await one.tick();
    for (const runId of one.unfinished.runs(0)) one.unfinished.done(runId);
  }
  expect(one.pace.found).toEqual([0, 1, 3]);
});

test('what is queued until the next round may come is begun together', async () => {
  const runs = [await aRun(db)];
  const one = anAdmission(4);
  const turn = Promise.withResolvers<undefined>();
  one.pace.turn = turn.promise;
  const round = one.tick();
  runs.push(await aRun(db));
  expect(one.unfinished.size()).toBe(0);
  turn.resolve(undefined);
  await round;
  expect(new Set(one.unfinished.runs(0))).toEqual(new Set(runs));
});

test('a worker begins no run beyond its slots; one that only waits takes none', async () => {
  const runs = [await aRun(db), await aRun(db), await aRun(db), await aRun(db)];
  const one = anAdmission(16, undefined, 2);
  const begun = async () => (await Promise.all(runs.map((run) => stateOf(db, run)))).filter(({ started }) => started !== null).length;
  await one.tick();
  await one.tick();
  expect(await begun()).toBe(2);
  await db.pool.query(`update run_state set status = 'waiting' where started is not null`);
  await one.tick();
  expect(await begun()).toBe(4);
});

test('a worker that is full of one workspace has a place for the lone run of another', async () => {
  for (let i = 0; i < 5; i++) await aRun(db);
  const one = anAdmission(1);
  await one.tick();
  expect(await one.tick()).toBe(false);
  expect(one.unfinished.size()).toBe(1);
  const lone = await aRun(db);
  await db.pool.query('update run_state set workspace = $2 where run = $1', [lone, OTHER]);
  await one.tick();
  expect(await stateOf(db, lone)).toMatchObject({ status: 'running', owner: one.worker });
  expect(one.unfinished.size()).toBe(2);
});

test('while executions that are put off fill their queue, only who holds little of it may begin', async () => {
  const [crowd, lone] = [await aRun(db), await aRun(db)];
  const { rows } = await db.pool.query<{ workspace: string }>('select workspace from run_state where run = $1', [crowd]);
  await db.pool.query('update run_state set workspace = $2 where run = $1', [lone, OTHER]);
  const one = anAdmission(4);
  one.late.room = false;
  one.late.workspaces = [...Array.from({ length: 9 }, () => rows[0]?.workspace ?? ''), OTHER];
  await one.tick();
  expect((await stateOf(db, lone)).started).not.toBeNull();
  expect((await stateOf(db, crowd)).started).toBeNull();
  one.late.room = true;
  await one.tick();
  expect((await stateOf(db, crowd)).started).not.toBeNull();
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

test('a start that was not asked for in time counts no longer', async () => {
  await aRun(db);
  const one = anAdmission(1);
  await one.tick();
  expect(one.unfinished.room()).toBe(0);
  one.pass(CLAIM_MS);
  expect(one.unfinished.room()).toBe(1);
});

test('a claim begins the run: one event more, a new epoch, and nobody else gets it', async () => {
  const run = await aRun(db);
  const [begun] = await admit(db, { worker: aWorkerId(), n: 5, claimMs: 1_000 });
  const { rows } = await db.pool.query<{ seq: string; type: string }>(
    'select seq, type from run_event where run = $1 order by seq desc limit 1',
    [run],
  );
  expect(rows).toEqual([{ seq: String(begun?.cursor), type: 'run.started' }]);
  expect(begun).toMatchObject({ runId: run, mode: 'standard', epoch: 1, intent: null, due: null });
  expect(await stateOf(db, run)).toMatchObject({ status: 'running', epoch: 1 });
  expect(await admit(db, { worker: aWorkerId(), n: 5, claimMs: 1_000 })).toEqual([]);
});

test('a run that another worker carries by now makes room', async () => {
  const run = await aRun(db);
  const one = anAdmission(1);
  await one.tick();
  await aRun(db);
  expect(await one.tick()).toBe(false);
  await db.pool.query('select load_run_v2($1, $2)', [run, aWorkerId()]);
  one.pass(300);
  expect(await one.tick()).toBe(true);
});

test('a run whose start nobody answers may be repaired at once', async () => {
  const run = await aRun(db);
  const one = anAdmission(3, () => Promise.reject(new TemporalUnreachable()));
  await one.tick();
  expect(await one.failed).toBeInstanceOf(TemporalUnreachable);
  expect(one.unfinished.size()).toBe(0);
  await db.pool.query(`update run_state set started = started - interval '4 s'`);
  expect((await openRuns(db, { after: NO_RUN, limit: 5 })).map((r) => r.runId)).toEqual([run]);
});

test('a run whose start is refused is left alone for a while', async () => {
  const run = await aRun(db);
  const one = anAdmission(3, () => Promise.reject(new Error('refused')));
  await one.tick();
  expect(await one.failed).toEqual(new Error('refused'));
  await db.pool.query(`update run_state set started = started - interval '4 s'`);
  expect(await openRuns(db, { after: NO_RUN, limit: 5 })).toEqual([]);
  expect((await stateOf(db, run)).owner).toBe(one.worker);
});
