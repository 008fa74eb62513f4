import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import type { Database } from '../../src/db/database.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { until } from '../support/until.ts';
import { aRun, stateOf } from './support/aRun.ts';
import { aWorker, type TestWorker } from './support/aWorker.ts';

let base: TestDatabase;
let db: Database;
let worker: TestWorker;
let connection: Connection;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 6);
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  worker = await aWorker(db, { TIU_TASK_QUEUE: 'reconciler', TIU_WORKFLOW_TASK_TIMEOUT: '5000' });
  await worker.ready;
});
afterAll(async () => {
  await worker.stop();
  await connection.close();
  await base.drop();
});

const as = (identity: string) => new Client({ connection, identity }).workflow;
const statusIs = (runId: string, status: string) => until(async () => (await stateOf(db, runId)).status === status);
const corrections = async (reason: string) =>
  (await worker.metrics.corrections.get()).values.find((v) => v.labels.reason === reason)?.value ?? 0;

/**
 * A run that waits in Temporal, begun long enough ago to be looked at. Its execution has asked for it and has nothing to do:
 * before that, a workflow task that a slow machine lets time out would ask once more.
 */
async function aWaitingRun(): Promise<string> {
  const run = await aRun(db, { mode: 'wait' });
  await until(async () => (await stateOf(db, run)).epoch > 1);
  await until(async () => !(await as('test').getHandle(`run/${run}`).describe()).raw.pendingWorkflowTask);
  await db.pool.query(`update run_state set started = started - interval '10 s' where run = $1`, [run]);
  return run;
}

test('a run that Temporal lost is started again', async () => {
  const run = await aRun(db, { started: true });
  await statusIs(run, 'completed');
  expect(await corrections('lost')).toBeGreaterThanOrEqual(1);
});

test('a run that waits in peace is left alone', async () => {
  const run = await aWaitingRun();
  const before = await stateOf(db, run);
  // Two passes: the one under way when it began to wait, and one that looked at it.
  let [pass, passes] = [0, -1];
  await until(async () => {
    const { value: last = 0 } = (await worker.metrics.reconciled.get()).values[0] ?? {};
    if (last !== pass) [pass, passes] = [last, passes + 1];
    return passes === 2;
  });
  expect(await stateOf(db, run)).toEqual(before);
});

/** What takes many looks is begun with the suite, all at once, and waited for in its test. */
function begunEarly<T>(play: () => Promise<T>): () => Promise<T> {
  const played = Promise.withResolvers<T>();
  beforeAll(() => {
    play().then(played.resolve, played.reject);
    played.promise.catch(() => undefined);
  });
  return () => played.promise;
}

const killed = begunEarly(() =>
  Promise.all(
    ['history-service', 'tiu-other'].map(async (identity) => {
      const run = await aWaitingRun();
      const { epoch } = await stateOf(db, run);
      await as(identity).getHandle(`run/${run}`).terminate('test');
      await until(async () => (await stateOf(db, run)).epoch > epoch);
      return stateOf(db, run);
    }),
  ),
);
test('a run that the server or one of us terminated is restarted', async () => {
  for (const state of await killed()) expect(state).toMatchObject({ status: 'running', intent: null });
});

const ended = begunEarly(async () => {
  const run = await aWaitingRun();
  await as('ann@desk').getHandle(`run/${run}`).terminate('enough');
  await until(async () => (await stateOf(db, run)).intent === 'force');
  const { reason } = await stateOf(db, run);
  await statusIs(run, 'completed');
  return reason;
});
test('a run terminated by an operator is cancelled by force, with the reason', async () => {
  expect(await ended()).toBe('terminated in Temporal by ann@desk');
});

const dead = begunEarly(async () => {
  const run = await aRun(db, { mode: 'end', started: true });
  await statusIs(run, 'failed');
  return stateOf(db, run);
});
test('a run whose execution ends again and again while its row is open fails with engine_fault', async () => {
  expect(await dead()).toMatchObject({ restarts: 3, failure: { code: 'engine_fault' } });
});

const wedged = begunEarly(async () => {
  const first = await aRun(db, { mode: 'poison' });
  const last = await aRun(db, { mode: 'poison' });
  await until(async () => (await stateOf(db, last)).epoch > 1); // its execution has asked for it
  await db.pool.query('update run_state set restarts = 3 where run = $1', [last]);
  await statusIs(last, 'failed');
  await until(async () => (await stateOf(db, first)).restarts === 1);
  await db.pool.query(`update run set input = '{"mode":"finish"}' where id = $1`, [first]);
  return { first, last };
});
test('a wedged run is terminated and restarted; after three restarts it fails with engine_fault', async () => {
  const { first, last } = await wedged();
  expect((await stateOf(db, last)).failure?.code).toBe('engine_fault');
  expect((await as('test').getHandle(`run/${last}`).describe()).status.name).toBe('TERMINATED');
  await statusIs(first, 'completed');
});

test('a slice that Temporal lost is started again', async () => {
  const run = await aWaitingRun();
  await db.pool.query(
    `insert into slice (run, task, generation, k, workspace, lo, hi) select run, 0, 0, 7, workspace, 0, 10 from run_state where run = $1`,
    [run],
  );
  await db.pool.query(
    `insert into wait (run, task, item, generation, kind, workspace, dispatched) select run, 0, -1, 0, 'map', workspace, true from run_state where run = $1`,
    [run],
  );
  await until(() => worker.slices.length > 0);
  expect(worker.slices[0]).toEqual({ runId: run, task: 0, generation: 0, k: 7 });
  await db.pool.query('update slice set done = true where run = $1', [run]);
});

/** A run with a task that waits for an activity of a user's, whose execution was asked for long ago. */
async function aCall(started: boolean): Promise<string> {
  const run = await aWaitingRun();
  await db.pool.query(
    `insert into wait (run, task, item, generation, kind, workspace, dispatched, starts, asked_at)
      select run, 0, -1, 0, 'external', workspace, not $2::boolean, 1, case when not $2::boolean then now() - interval '10 s' end from run_state where run = $1`,
    [run, started],
  );
  if (started) {
    await until(() => worker.externals.some((external) => (external as { runId: string }).runId === run));
    await db.pool.query(`update wait set asked_at = asked_at - interval '10 s' where run = $1`, [run]);
  }
  return run;
}
const callsOf = (run: string) => worker.externals.filter((external) => (external as { runId: string }).runId === run).length;
const decisionOf = async (run: string) => {
  const { rows } = await db.pool.query<{ decision: string | null; code: string | null; message: string | null }>(
    `select decision, failure->>'code' as code, failure->>'message' as message from wait where run = $1 and kind = 'external'`,
    [run],
  );
  return rows[0];
};

test('what calls an activity and is lost is started again; what an operator ended fails its task, and what we ended does not', async () => {
  const [lost, ended, killed] = [await aCall(false), await aCall(true), await aCall(true)];
  await as('ann@desk').getHandle(`activity/${ended}/0/0`).terminate('enough');
  await as('tiu-other').getHandle(`activity/${killed}/0/0`).terminate('test');
  await until(() => callsOf(lost) === 1 && callsOf(killed) === 2);
  await until(async () => (await decisionOf(ended))?.decision === 'failed');
  expect(await decisionOf(ended)).toMatchObject({ code: 'activity_terminated', message: 'terminated in Temporal by ann@desk' });
  expect([(await decisionOf(lost))?.decision, (await decisionOf(killed))?.decision, callsOf(ended)]).toEqual([null, null, 1]);
  expect(await corrections('activity')).toBe(3);
  await db.pool.query(`update wait set closed = true where kind = 'external'`);
});
