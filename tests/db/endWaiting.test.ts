import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../src/domain/json.ts';
import { claimCorrection, openRuns } from '../../src/db/reconcile.ts';
import { claimReminders } from '../../src/db/approvalNotices.ts';
import { retryOrder } from '../../src/db/retryOrder.ts';
import { claimUnshown, forgetUnshown } from '../../src/db/unshown.ts';
import { aPlan, anEngine, type Engine } from '../support/anEngine.ts';
import { ask, aWaiter, definitionOf, endByExecution, hour } from './aWaiter.ts';

const FIRST = '00000000-0000-0000-0000-000000000000';

let engine: Engine;
beforeAll(async () => {
  engine = await anEngine();
});
afterAll(() => engine.close());

const sql = async <R extends object>(text: string, ...values: unknown[]) => (await engine.db.pool.query<R>(text, values)).rows;
const cancel = (run: string, force = false) =>
  engine.commands.command({ type: 'cancel', run, workspace: engine.workspace, by: 'key:1', force });
const endWaiting = async (...runs: string[]) =>
  (await sql<{ ended: string[] }>('select end_waiting_v1($1) as ended', runs))[0]?.ended ?? [];
const statusOf = async (run: string) => (await engine.state(run)).status;
const unshown = async (run: string) => (await sql('select from unshown where run = $1', run)).length > 0;

const transform: JsonObject = { type: 'transform', with: { value: 1 } };
const http: JsonObject = { type: 'http', with: { url: 'http://127.0.0.1:9' } };
const approval: JsonObject = {
  type: 'approval',
  with: { message: 'go?', remind: { every: 'PT1H' }, escalate: { afterMs: 3_600_000, approvers: ['key:2'] } },
  deadline: 'P1D',
};
const DEFINITIONS: Record<string, JsonObject> = {
  timer: definitionOf({ w: hour }),
  'approval with reminders': definitionOf({ ask: approval, then: { ...transform, dependsOn: ['ask'] } }),
  'event with a deadline': definitionOf({ got: { type: 'event', with: { name: 'e', key: 'k' }, deadline: 'P1D' } }),
  'what is done stays': definitionOf({
    a: transform,
    no: { ...transform, if: '${false}' },
    w: { ...hour, dependsOn: ['a'] },
    each: { ...http, map: { items: [1, 2] }, dependsOn: ['w'] },
    last: { ...http, dependsOn: ['each', 'no'] },
  }),
};

/** What of a run anybody can see, without times and ids. */
async function leftOf(run: string) {
  const [state] = await sql(
    'select status, intent, reason, open, failed, last_seq::int, command_seq::int, phase, decided, paused, failure from run_state where run = $1',
    run,
  );
  return {
    state,
    events: await sql(
      `select seq::int, type, task, item, attempt, case when type <> 'run.waiting' then data end as data, at is not null as at
        from run_event where run = $1 and seq > 1 order by seq`,
      run,
    ),
    tasks: await sql(
      `select task, item, generation, status, attempt, losses, branch, token is null as tokenless, seq::int, output, failure, next_at, started is null as unstarted, finished is null as unfinished, deadline is null as unbounded
        from task where run = $1 order by task, item, generation`,
      run,
    ),
    waits: await sql('select task, kind, closed, decision, output, reminded from wait where run = $1 order by task, kind', run),
    outputs: await sql('select from run_output where run = $1', run),
  };
}

test.each(Object.entries(DEFINITIONS).flatMap(([name, definition]) => [false, true].map((force) => ({ name, definition, force }))))(
  '$name, force $force: what a run leaves that ends where it stands is what its execution would have left',
  async ({ definition, force }) => {
    const [here, there] = [await aWaiter(engine, definition), await aWaiter(engine, definition)];
    expect(await statusOf(here.run)).toBe('waiting');
    await cancel(here.run, force);
    await ask(engine, there.run, force);
    expect(await endByExecution(engine, there)).toBe('cancelled');
    expect(await leftOf(here.run)).toEqual(await leftOf(there.run));
    expect(await statusOf(here.run)).toBe('cancelled');
    expect([await unshown(here.run), await unshown(there.run)]).toEqual([true, false]);
  },
);

test('force leaves out what cleans up, as the execution does', async () => {
  const definition = definitionOf({ a: { ...transform, compensate: http }, w: { ...hour, dependsOn: ['a'] } }, { finally: { f: http } });
  const [here, there] = [await aWaiter(engine, definition), await aWaiter(engine, definition)];
  await cancel(here.run, true);
  await ask(engine, there.run, true);
  expect(await endByExecution(engine, there)).toBe('cancelled');
  expect(await leftOf(here.run)).toEqual(await leftOf(there.run));
});

type Standing = { name: string; definition?: JsonObject; but?: string };
const waits = (what: string) => `update wait set ${what} where run = $1`;
const state = (what: string) => `update run_state set ${what} where run = $1`;
const STANDINGS: Standing[] = [
  { name: 'something may be in flight', but: state(`status = 'running'`) },
  { name: 'it is queued', but: state(`status = 'queued', started = null`) },
  { name: 'it is paused', but: state(`status = 'paused', paused = true`) },
  { name: 'a task of it is paused', but: state(`held = '{0}'`) },
  { name: 'it compensates', but: state('phase = 1') },
  { name: 'it is in finally', but: state('phase = 2') },
  { name: 'it has compensations', definition: definitionOf({ a: { ...transform, compensate: http }, w: { ...hour, dependsOn: ['a'] } }) },
  { name: 'it has a finally', definition: definitionOf({ w: hour }, { finally: { f: transform } }) },
  { name: 'a segment holds it', but: state('seg_open = 1') },
  { name: 'a task is at work', but: `update task set status = 'running' where run = $1` },
  { name: 'a task is tried again', but: `update task set status = 'retrying' where run = $1` },
  ...['map', 'child', 'external', 'limit'].map((kind) => ({ name: `it waits for a ${kind}`, but: waits(`kind = '${kind}'`) })),
  { name: 'a wait is due', but: waits(`until = now() - interval '1 ms'`) },
  { name: 'a wait is decided', but: waits(`decision = 'completed'`) },
  {
    name: 'its plan is too large to look at',
    definition: definitionOf({ w: hour, x: { ...transform, with: { value: noise(40_000) }, dependsOn: ['w'] } }),
  },
  { name: 'it has too many tasks', but: state('total = 5001') },
];

test.each(STANDINGS)('$name: it is left to its execution', async ({ definition = definitionOf({ w: hour }), but }) => {
  const { run } = await aWaiter(engine, definition);
  if (but !== undefined) await sql(but, run);
  await ask(engine, run);
  const before = await leftOf(run);
  expect(await endWaiting(run)).toEqual([]);
  expect(await leftOf(run)).toEqual(before);
  expect(await unshown(run)).toBe(false);
});

/** Text that does not compress. */
function noise(length: number): string {
  return Array.from({ length: Math.ceil(length / 36) }, () => randomUUID()).join('');
}

test('a run that was asked nothing, or for something else, is left alone', async () => {
  const [idle, late, mine] = await Promise.all([0, 1, 2].map(() => aWaiter(engine, definitionOf({ w: hour }))));
  await sql(`update run_state set intent = 'timeout' where run = $1`, late?.run);
  await ask(engine, mine?.run ?? '');
  expect(await endWaiting(idle?.run ?? '', late?.run ?? '', mine?.run ?? '')).toEqual([mine?.run]);
});

test('as many tasks as one commit may hold are ended with it, and the runs beyond are left', async () => {
  const waiters = await Promise.all([0, 1, 2].map(() => aWaiter(engine, definitionOf({ w: hour }))));
  const runs = waiters.map(({ run }) => run).sort();
  await sql('update run_state set total = 2500 where run = any($1)', runs);
  for (const run of runs) await ask(engine, run);
  expect(await endWaiting(...runs)).toEqual(runs.slice(0, 2));
});

test('whatever an execution writes after that is refused, and it reads how its run has ended', async () => {
  const {
    run,
    epoch,
    state: known,
    cursor,
  } = await aWaiter(engine, definitionOf({ a: transform, w: { ...hour, dependsOn: ['a'] }, x: { ...http, dependsOn: ['w'] } }));
  await cancel(run);
  const { activities, inActivity } = engine;
  expect(await inActivity(activities.sweep, { runId: run, epoch, tasks: [1], intent: 'cancel' })).toEqual({ stale: true });
  expect(await endByExecution(engine, { run, epoch, state: known, cursor })).toBe('cancelled');
  expect(known.open).toBe(0);
  expect(await unshown(run)).toBe(false);
  expect(await inActivity(activities.readChanges, { runId: randomUUID(), epoch, since: 0 })).toEqual({ stale: true });
});

test('an execution that begins anew reads it too', async () => {
  const { run } = await aWaiter(engine, definitionOf({ w: hour }));
  await cancel(run);
  expect(await engine.inActivity(engine.activities.loadRun, run)).toMatchObject({ ended: { status: 'cancelled' } });
  expect(await unshown(run)).toBe(false);
});

test('nobody who repairs finds it, or takes a correction of it who found it before', async () => {
  const { run, epoch } = await aWaiter(engine, definitionOf({ w: hour }));
  await sql(`update run_state set started = started - interval '1 minute', owner_until = null where run = $1`, run);
  const found = async () => (await openRuns(engine.db, { after: FIRST, limit: 1_000 })).some(({ runId }) => runId === run);
  expect(await found()).toBe(true);
  await cancel(run);
  expect(await found()).toBe(false);
  expect(await claimCorrection(engine.db, { runId: run, epoch }, true)).toBe(false);
  expect(await sql('select owner, restarts from run_state where run = $1', run)).toEqual([{ owner: null, restarts: 0 }]);
});

test('a reminder of an approval that ended so does not go out', async () => {
  const { run } = await aWaiter(engine, DEFINITIONS['approval with reminders'] ?? {});
  await sql(`update wait set remind_at = now() - interval '1 s' where run = $1`, run);
  await cancel(run);
  expect((await claimReminders(engine.db, 100)).filter((one) => one.run === run)).toEqual([]);
});

test('a parent learns of the end of its child', async () => {
  const [parent, child] = [await aWaiter(engine, definitionOf({ w: hour })), await aWaiter(engine, definitionOf({ w: hour }))];
  await sql(
    `insert into wait (run, task, item, generation, kind, workspace, child) values ($1, 0, -1, 0, 'child', $2, $3)`,
    parent.run,
    engine.workspace,
    child.run,
  );
  await cancel(child.run);
  expect(await sql(`select child_ended, decision from wait where run = $1 and kind = 'child'`, parent.run)).toEqual([
    { child_ended: true, decision: 'cancelled' },
  ]);
  expect(await sql('select from untold where run = $1', parent.run)).toHaveLength(1);
});

test('executions are told a few at a time, the others when these have learned; one that does not is told later and later', async () => {
  await sql('delete from unshown');
  const runs = (await Promise.all([0, 1, 2].map(() => aWaiter(engine, definitionOf({ w: hour }))))).map(({ run }) => run).sort();
  for (const run of runs) await cancel(run);
  const told = async (most: number) => (await claimUnshown(engine.db, most)).map(({ runId, asked }) => [runId, asked]);
  const later = (seconds: number) => sql(`update unshown set asked_at = asked_at - $1::int * interval '1 s'`, seconds);
  expect(await told(2)).toEqual([
    [runs[0], 0],
    [runs[1], 0],
  ]);
  expect(await told(2)).toEqual([]);
  await forgetUnshown(engine.db, runs[0] ?? '');
  expect(await told(2)).toEqual([[runs[2], 0]]);
  await later(9);
  expect(await told(9)).toEqual([]);
  await later(2);
  expect(await told(9)).toEqual([
    [runs[1], 1],
    [runs[2], 1],
  ]);
  await later(11);
  expect(await told(9)).toEqual([]);
  await later(10);
  expect(await told(9)).toEqual([
    [runs[1], 2],
    [runs[2], 2],
  ]);
});

test('a run that is opened again has nothing to show', async () => {
  await sql('delete from unshown');
  const definition = definitionOf({ w: hour });
  const { run } = await aWaiter(engine, definition);
  await cancel(run);
  const order = await retryOrder(engine.db, { id: run, graph: aPlan(definition).graph }, undefined);
  await engine.commands.command({ ...order, run, workspace: engine.workspace, by: 'key:1' });
  expect(await claimUnshown(engine.db, 9)).toEqual([]);
  expect(await unshown(run)).toBe(false);
});
