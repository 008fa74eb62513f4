import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  claimExternals,
  claimUntoldExternals,
  decideExternal,
  endExternalRow,
  forgetExternal,
  openExternals,
  type ExternalKey,
} from '../../src/db/externals.ts';
import { sweepLimits } from '../../src/db/limits.ts';
import { createClaims } from '../../src/db/claims.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await anEngine();
});
afterAll(() => engine.close());

const activity = (fields: JsonObject = {}, task: JsonObject = {}): JsonObject => ({
  type: 'activity',
  with: { taskQueue: 'billing', activity: 'charge', args: ['${tasks.n.output}', { of: '${input.of}' }], ...fields },
  ...task,
});
const define = (task: JsonObject, more: JsonObject = {}): JsonObject => ({
  ...{ dsl: 'tiu/1', name: 'test', ...more },
  tasks: { n: { type: 'transform', with: { value: 21 } }, a: task },
});

type Begun = ExternalKey & { epoch: number };

/** A run whose activity waits to be called. */
async function aCall(task: JsonObject = activity(), input: Json = { of: 'x' }, more: JsonObject = {}): Promise<Begun> {
  const plan = aPlan(define(task, more));
  const runId = await engine.submit(plan, input);
  const loaded = await engine.inActivity(engine.activities.loadRun, runId);
  return { runId, task: plan.graph.names.indexOf('a'), generation: 0, epoch: 'ended' in loaded ? 0 : loaded.epoch };
}
const keyOf = ({ runId, task, generation }: ExternalKey): ExternalKey => ({ runId, task, generation });
const load = (id: ExternalKey) => engine.inActivity(engine.activities.loadExternal, keyOf(id));
const end = (id: ExternalKey, ...rest: [Parameters<Engine['activities']['endExternal']>[1], (Json | Uint8Array)?]) =>
  engine.inActivity(engine.activities.endExternal, keyOf(id), ...rest);
const changes = (id: Begun) =>
  engine.inActivity(engine.activities.readChanges, { runId: id.runId, epoch: id.epoch, since: 0 }) as Promise<{ rows: Json[] }>;
const statusOf = async (id: ExternalKey) => (await engine.statuses(id.runId)).a;
const rowOf = async (id: ExternalKey) => {
  const { rows } = await engine.db.pool.query<JsonObject>(
    `select status, output, encode(output_ref, 'hex') as ref, output_size as size, failure from task where run = $1 and task = $2`,
    [id.runId, id.task],
  );
  return rows[0];
};
const isUntold = async (id: ExternalKey) => (await engine.db.pool.query('select from untold where run = $1', [id.runId])).rowCount === 1;
const claimed = async (id: ExternalKey) => (await claimExternals(engine.db, 1_000)).filter(({ runId }) => runId === id.runId).length;
const untold = async (id: ExternalKey) => (await claimUntoldExternals(engine.db, 1_000)).filter(({ runId }) => runId === id.runId);
const cancel = (id: ExternalKey, force = false) =>
  engine.commands.command({ type: 'cancel', run: id.runId, workspace: engine.workspace, by: 'key:1', force });

test('what it is called with is evaluated when it is called, and stored nowhere', async () => {
  const id = await aCall(activity({ heartbeat: { seconds: 5 } }, { timeout: 'PT7S', retry: { limit: 1, delay: 'PT1S' } }));
  expect(await rowOf(id)).toMatchObject({ status: 'waiting', output: null, ref: null });
  expect(await load(id)).toMatchObject({
    ...{ taskQueue: 'billing', activity: 'charge', args: [21, { of: 'x' }], summary: 'a' },
    ...{ timeoutMs: 7_000, startMs: 1_000, heartbeatMs: 5_000, retry: { maximumAttempts: 2, initialInterval: 1_000 } },
  });
  const waiting = (await engine.events(id.runId)).find(({ type }) => type === 'task.waiting');
  expect(waiting?.data).toEqual({ taskQueue: 'billing', activity: 'charge' });
});

test.each<[string, Json, Json[]]>([
  ['a list is the arguments', '${[1, 2]}', [1, 2]],
  ['anything else is the one argument', { a: '${input.of}' }, [{ a: 'x' }]],
  ['null is none', null, []],
  ['null by an expression is none, either', '${input.nothing}', []],
  ['a list of null is one', [null], [null]],
])('%s', async (_, args, expected) => {
  expect(await load(await aCall(activity({ args }), { of: 'x', nothing: null }))).toMatchObject({ args: expected });
});

test.each<[string, JsonObject, string]>([
  ['arguments beyond the limit', activity({ args: '${join(range(0, 1021).map(i, "x"), "")}' }), 'arguments_too_large'],
  ['a task queue that may not be used', activity({ taskQueue: '${"ours"}' }), 'task_queue_not_allowed'],
  ['a name that is none', activity({ activity: '${tasks.n.output}' }), 'invalid_task_input'],
  ['a heartbeat of nothing', activity({ heartbeat: 'PT0S' }), 'invalid_task_input'],
  ['an expression that fails', activity({ args: '${input.nothing.more}' }), 'expression_failed'],
])('%s fail the task before anything is started', async (_, task, code) => {
  const id = await aCall(task);
  expect(await rowOf(id)).toMatchObject({ status: 'failed', failure: { code } });
  expect(await claimed(id)).toBe(0);
});

test('arguments as large as may be', async () => {
  // one text: 1,024 bytes with quotes and brackets
  expect(await load(await aCall(activity({ args: '${join(range(0, 1020).map(i, "x"), "")}' })))).toMatchObject({
    args: [expect.any(String)],
  });
});

test('its end is in the row of the task, once, and its run is told and sees it', async () => {
  const id = await aCall();
  await end(id, { status: 'completed' }, { paid: 42 });
  expect(await rowOf(id)).toMatchObject({ status: 'completed', output: { paid: 42 } });
  expect(await isUntold(id)).toBe(true);
  await end(id, { status: 'failed', failure: { code: 'activity_failed', message: 'late' } });
  expect(await rowOf(id)).toMatchObject({ status: 'completed' });
  expect((await changes(id)).rows).toContainEqual(['a', 'completed', expect.any(Number)]);
  expect((await engine.events(id.runId)).filter(({ task, type }) => task === id.task && type !== 'task.waiting')).toHaveLength(1);
  expect(await load(id)).toEqual({ over: true });
});

test('an execution that lost its way between the row and the wait closes the wait when it is started again', async () => {
  const id = await aCall();
  await claimed(id);
  await end(id, { status: 'completed' }, 1);
  await engine.db.pool.query(`update wait set closed = false, child_ended = false where run = $1`, [id.runId]);
  await engine.db.pool.query(`delete from untold where run = $1`, [id.runId]);
  expect(await load(id)).toEqual({ over: true });
  expect(await isUntold(id)).toBe(true);
  expect((await engine.db.pool.query('select from wait where run = $1 and not closed', [id.runId])).rowCount).toBe(0);
});

test('nothing at all is null; a large output goes to the object store; bytes, and what the schema refuses, fail the task', async () => {
  const [none, large, bytes, wrong] = [
    await aCall(),
    await aCall(),
    await aCall(),
    await aCall(activity({}, { output: { schema: { type: 'string' } } })),
  ];
  await end(none, { status: 'completed' });
  await end(large, { status: 'completed' }, 'x'.repeat(70_000));
  await end(bytes, { status: 'completed' }, new Uint8Array([1]));
  await end(wrong, { status: 'completed' }, 5);
  expect(await rowOf(none)).toMatchObject({ status: 'completed', output: null });
  expect(await rowOf(large)).toMatchObject({
    status: 'completed',
    output: null,
    ref: expect.stringMatching(/^[0-9a-f]{64}$/),
    size: 70_002,
  });
  for (const id of [bytes, wrong]) expect(await rowOf(id)).toMatchObject({ status: 'failed', failure: { code: 'invalid_task_output' } });
});

test.each(['failed', 'timed_out', 'cancelled'] as const)('it may end %s', async (status) => {
  const id = await aCall();
  const failure = { code: 'activity_failed', message: 'no', data: { type: 'NoMoney' } };
  await end(id, { status, failure });
  expect(await rowOf(id)).toMatchObject({ status, failure });
});

test('it is started once, and again when it is forgotten', async () => {
  const id = await aCall();
  expect([await claimed(id), await claimed(id)]).toEqual([1, 0]);
  expect(await openExternals(engine.db, 1_000)).not.toContainEqual(expect.objectContaining({ runId: id.runId })); // it has just been asked for
  await engine.db.pool.query(`update wait set asked_at = asked_at - interval '10 s' where run = $1`, [id.runId]);
  expect(await openExternals(engine.db, 1_000)).toContainEqual({ ...keyOf(id), starts: 1, untaken: null });
  expect([await forgetExternal(engine.db, keyOf(id)), await forgetExternal(engine.db, keyOf(id))]).toEqual([true, false]);
  expect(await claimed(id)).toBe(1);
});

test('a cancel of its run is told to it, again after a while, until it has ended', async () => {
  const id = await aCall();
  await claimed(id);
  expect(await untold(id)).toEqual([]);
  await cancel(id);
  expect(await untold(id)).toEqual([{ ...keyOf(id), dispatched: true, open: true }]);
  expect(await untold(id)).toEqual([]);
  await engine.db.pool.query(`update wait set told_at = told_at - interval '11 s' where run = $1`, [id.runId]);
  expect(await untold(id)).toHaveLength(1);
  await end(id, { status: 'cancelled', failure: { code: 'task_cancelled', message: '' } });
  await engine.db.pool.query(`update wait set told_at = null where run = $1`, [id.runId]);
  expect(await untold(id)).toEqual([]);
});

test('one that has not been started is not started any more when its run is cancelled, and its task ends', async () => {
  const id = await aCall();
  await cancel(id);
  expect(await claimed(id)).toBe(0);
  expect(await untold(id)).toEqual([{ ...keyOf(id), dispatched: false, open: true }]);
  expect(await load(id)).toEqual({ over: true }); // one that is on its way all the same
  expect(await rowOf(id)).toMatchObject({ status: 'cancelled', failure: { code: 'task_cancelled' } });
});

test('what has no execution to say so is decided by its row, once', async () => {
  const id = await aCall();
  const failed = { status: 'failed', failure: { code: 'activity_terminated', message: 'by ann' } } as const;
  expect([await decideExternal(engine.db, keyOf(id), failed), await decideExternal(engine.db, keyOf(id), failed)]).toEqual([true, false]);
  await changes(id);
  expect(await rowOf(id)).toMatchObject({ status: 'failed', failure: failed.failure });
});

test('a deadline ends the task, and what calls the activity is told', async () => {
  const id = await aCall(activity({}, { deadline: 'PT0.001S' }));
  await claimed(id);
  for (let status = 'waiting'; status === 'waiting'; status = (await statusOf(id)) ?? '') await changes(id);
  expect(await rowOf(id)).toMatchObject({ status: 'timed_out', failure: { code: 'deadline_exceeded' } });
  expect(await untold(id)).toEqual([{ ...keyOf(id), dispatched: true, open: false }]);
  await endExternalRow(engine.db, keyOf(id));
  await end(id, { status: 'completed' }, 'too late');
  expect(await rowOf(id)).toMatchObject({ status: 'timed_out' });
});

test('a pause stops neither its start nor its end', async () => {
  const id = await aCall();
  await engine.commands.command({ type: 'pause', run: id.runId, workspace: engine.workspace, by: 'key:1' });
  expect([await claimed(id), await untold(id)]).toEqual([1, []]);
  expect(await load(id)).toMatchObject({ activity: 'charge' });
  await end(id, { status: 'completed' }, 1);
  expect(await statusOf(id)).toBe('completed');
});

const limited = (key: string, more: JsonObject = {}) => activity({}, { limits: [{ key, concurrency: 1, ...more }] });
const holders = async (key: string) =>
  (await engine.db.pool.query<{ run: string }>('select run from lease where key = $1 order by slot', [key])).rows.map(({ run }) => run);
const line = async (key: string) =>
  (
    await engine.db.pool.query<{ run: string }>(
      `select run from wait where limit_key = $1 and kind = 'limit' and not closed order by since`,
      [key],
    )
  ).rows.map(({ run }) => run);

test('an activity holds a slot of its limit until it has ended; the next stands in line and asks again', async () => {
  const [first, second, third] = [await aCall(limited('till')), await aCall(limited('till')), await aCall(limited('till'))];
  expect(await load(first)).toMatchObject({ activity: 'charge' });
  expect(await load(first)).toMatchObject({ activity: 'charge' }); // its execution was lost, and asks anew
  expect(await load(second)).toEqual({ retryInMs: 200 });
  expect(await load(third)).toEqual({ retryInMs: 250 });
  await sweepLimits(engine.db); // nobody renews what it holds
  expect([await holders('till'), await line('till')]).toEqual([[first.runId], [second.runId, third.runId]]);
  await end(first, { status: 'completed' }, 1);
  expect(await load(third)).toMatchObject({ retryInMs: 250 }); // nobody overtakes
  expect(await load(second)).toMatchObject({ activity: 'charge' });
  expect([await holders('till'), await line('till')]).toEqual([[second.runId], [third.runId]]);
  await end(second, { status: 'failed', failure: { code: 'activity_failed', message: 'no' } });
  await load(third);
  await end(third, { status: 'completed' }, 1);
  expect([await holders('till'), await line('till')]).toEqual([[], []]);
});

test('limits of the run hold for its activities too, and effects stand in the same line', async () => {
  const id = await aCall(activity(), { of: 'shop' }, { limits: [{ key: '${input.of}', concurrency: 1 }] });
  expect(await load(id)).toMatchObject({ activity: 'charge' });
  const effect = await engine.submit(
    aPlan({ dsl: 'tiu/1', name: 'test', tasks: { a: { type: 'http', with: { url: 'https://example.org/' } } } }),
  );
  const loaded = await engine.inActivity(engine.activities.loadRun, effect);
  const epoch = 'ended' in loaded ? 0 : loaded.epoch;
  const claim = () =>
    createClaims({ db: engine.db })({
      ...{ run: effect, task: 0, item: -1, generation: 0, epoch, token: '00000000-0000-4000-8000-000000000001' },
      limits: [{ key: 'shop', concurrency: 1 }],
    });
  expect(await claim()).toHaveProperty('waiting');
  await end(id, { status: 'completed' }, 1);
  const { rows } = await engine.db.pool.query(`select decision from wait where run = $1 and kind = 'limit'`, [effect]);
  expect(rows).toEqual([{ decision: 'granted' }]);
});

test('one that ends while it is in line, or whose run is closed, holds and waits for nothing', async () => {
  const [first, second] = [await aCall(limited('desk')), await aCall(limited('desk'))];
  await load(first);
  await load(second);
  await cancel(second);
  expect(await load(second)).toEqual({ over: true });
  expect(await line('desk')).toEqual([]);
  await engine.db.pool.query(`update run_state set finished = now(), status = 'cancelled' where run = $1`, [first.runId]);
  await sweepLimits(engine.db);
  expect(await holders('desk')).toEqual([]);
});

test('a rate holds it back until its token is there, and it asks within 5 s; a key that is none fails it', async () => {
  const rate = { key: 'slow', rate: { limit: 1, per: 'PT1H' } };
  const [first, second] = [await aCall(activity({}, { limits: [rate] })), await aCall(activity({}, { limits: [rate] }))];
  expect(await load(first)).toMatchObject({ activity: 'charge' });
  expect(await load(second)).toEqual({ retryInMs: 5_000 });
  const wrong = await aCall(activity({}, { limits: [{ key: '${input.of}', concurrency: 1 }] }), { of: '' });
  expect(await load(wrong)).toEqual({ over: true });
  expect(await rowOf(wrong)).toMatchObject({ status: 'failed', failure: { code: 'invalid_task_input' } });
});
