import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Database } from '../../src/db/database.ts';
import { createCommands, type Commands } from '../../src/db/commands.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { Refused, Stale } from '../../src/db/journal/record.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRecord, someRuns, statement, WORKSPACE } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
let journal: Journal;
let commands: Commands;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  journal = createJournal({ url: base.url });
  commands = createCommands({ url: base.url });
});
afterAll(async () => {
  await journal.close();
  await commands.close();
  await base.drop();
});

const aRun = async (tasks = 10): Promise<string> => (await someRuns(db, 1, tasks))[0] ?? '';
const one = async (text: string, ...values: unknown[]): Promise<Record<string, unknown>> =>
  (await db.rows(statement(text, values)))[0] ?? {};
const stateOf = (run: string) => one('select *, last_seq::int, command_seq::int, applied_seq::int from run_state where run = $1', run);
const taskOf = (run: string, task = 0) => one('select *, seq::int from task where run = $1 and task = $2 and item = -1', run, task);
const eventsOf = async (run: string) =>
  (
    await db.rows<{ seq: number; type: string; task: number | null; item: number | null; attempt: number | null; data: unknown }>({
      name: 'events',
      text: 'select seq::int, type, task, item, attempt, data from run_event where run = $1 order by seq',
      values: [run],
    })
  ).map((e) => ({ ...e, seq: e.seq }));
const cancel = (run: string) => commands.command({ run, workspace: WORKSPACE, type: 'cancel', reason: 'enough', by: 'key:1' });

test('a result, its event and the counters of the run commit together', async () => {
  const run = await aRun();
  const committed = await journal.push(aRecord(run, { output: '{"z":1,"a":"\\u0000\\ud800"}', branch: 2 }));
  expect(committed).toEqual({ seq: 2, lastSeq: 2, intent: null, unseen: false, closed: null });
  expect(await stateOf(run)).toMatchObject({ open: 9, failed: 0, last_seq: 2, status: 'running' });
  expect(await taskOf(run)).toMatchObject({
    status: 'completed',
    seq: 2,
    attempt: 1,
    branch: 2,
    output: { z: 1, a: '\u0000\ud800' },
    output_size: 26,
  });
  expect((await eventsOf(run))[1]).toEqual({ seq: 2, type: 'task.completed', task: 0, item: null, attempt: 1, data: null });
});

test('records that arrive together get consecutive numbers in order of arrival', async () => {
  const run = await aRun();
  const all = await Promise.all([3, 1, 2].map((task) => journal.push(aRecord(run, { task }))));
  expect(all.map((c) => c.seq)).toEqual([2, 3, 4]);
  expect(all.map((c) => c.lastSeq)).toEqual([4, 4, 4]);
  expect((await eventsOf(run)).slice(1).map((e) => e.task)).toEqual([3, 1, 2]);
  expect((await taskOf(run, 2)).seq).toBe(4);
});

test('a start mark and the end of the same attempt become one row and one event', async () => {
  const run = await aRun();
  const [start, end] = await Promise.all([
    journal.push(aRecord(run, { status: 'running', deadlineMs: 60_000 })),
    journal.push(aRecord(run, { status: 'completed', output: '1' })),
  ]);
  expect([start.seq, end.seq]).toEqual([2, 2]);
  expect((await eventsOf(run)).map((e) => e.type)).toEqual(['run.accepted', 'task.completed']);
  expect(await one('select count(*)::int as n from wait where run = $1 and kind = $2', run, 'deadline')).toEqual({ n: 1 });
});

test('a start mark and the end of another attempt stay two events', async () => {
  const run = await aRun();
  await Promise.all([
    journal.push(aRecord(run, { status: 'running' })),
    journal.push(aRecord(run, { status: 'completed', attempt: 2, token: randomUUID() })),
  ]);
  expect((await eventsOf(run)).map((e) => e.type)).toEqual(['run.accepted', 'task.started', 'task.completed']);
});

test('started is set once and a lost attempt is counted', async () => {
  const run = await aRun();
  await journal.push(aRecord(run, { status: 'running' }));
  const { started } = await taskOf(run);
  await journal.push(aRecord(run, { status: 'running', attempt: 2, token: randomUUID(), lost: true }));
  expect(await taskOf(run)).toMatchObject({ started, attempt: 2, losses: 1, finished: null });
});

test('a failure is the data of its event, and a retry says when', async () => {
  const run = await aRun();
  const failure = '{"code":"http_status","message":"503"}';
  await journal.push(aRecord(run, { status: 'retrying', failure, nextMs: 5_000 }));
  expect((await eventsOf(run))[1]).toMatchObject({ type: 'task.retrying', data: { code: 'http_status', message: '503' } });
  const inMs = await one('select extract(epoch from next_at - clock_timestamp())::float8 * 1000 as ms from task where run = $1', run);
  expect(inMs.ms).toBeGreaterThan(3_000);
  await journal.push(aRecord(run, { status: 'failed', failure, attempt: 2 }));
  expect(await stateOf(run)).toMatchObject({ open: 9, failed: 1 });
});

test('items of a map change no counter of the run', async () => {
  const run = await aRun();
  await journal.push(aRecord(run, { item: 0, status: 'failed', failure: '{}' }));
  expect(await stateOf(run)).toMatchObject({ open: 10, failed: 0, last_seq: 2 });
  expect((await eventsOf(run))[1]).toMatchObject({ type: 'task.failed', task: 0, item: 0 });
});

test('a wait and its slices open in the commit of their task, once', async () => {
  const run = await aRun();
  await Promise.all([
    journal.push(aRecord(run, { task: 0, status: 'waiting', wait: { kind: 'timer', untilMs: 1_000 } })),
    journal.push(aRecord(run, { task: 1, status: 'waiting', wait: { kind: 'timer', until: '2030-01-01T00:00:00.000Z' } })),
    journal.push(
      aRecord(run, {
        task: 2,
        status: 'waiting',
        wait: {
          kind: 'map',
          slices: [
            [0, 5],
            [5, 7],
          ],
        },
        deadlineMs: 9_000,
      }),
    ),
  ]);
  await journal.push(aRecord(run, { task: 0, attempt: 2, status: 'waiting', wait: { kind: 'timer', untilMs: 999_000 } }));
  const waits = await db.rows<{ task: number; kind: string; parts: number | null; at: string | null; soon: boolean }>({
    name: 'waits',
    text: `select task, kind, parts, to_char(until at time zone 'utc', 'YYYY-MM-DD HH24:MI') as at, until < clock_timestamp() + interval '1 s' as soon from wait where run = $1 order by task, kind`,
    values: [run],
  });
  expect(waits.map((w) => [w.task, w.kind, w.parts])).toEqual([
    [0, 'timer', null],
    [1, 'timer', null],
    [2, 'deadline', null],
    [2, 'map', 2],
  ]);
  expect(waits[0]?.soon).toBe(true);
  expect(waits[1]?.at).toBe('2030-01-01 00:00');
  expect(await db.rows({ name: 'slices', text: 'select task, k, lo, hi from slice where run = $1 order by k', values: [run] })).toEqual([
    { task: 2, k: 0, lo: 0, hi: 5 },
    { task: 2, k: 1, lo: 5, hi: 7 },
  ]);
  expect((await taskOf(run, 2)).deadline).not.toBeNull();
});

test.each([
  ['another token of the same attempt', {}, { token: randomUUID() }],
  ['a lower attempt', { attempt: 2 }, { attempt: 1 }],
])('the fence refuses %s', async (_what, held, late) => {
  const run = await aRun();
  await journal.push(aRecord(run, { status: 'running', ...held }));
  await expect(journal.push(aRecord(run, late))).rejects.toBeInstanceOf(Refused);
  expect(await stateOf(run)).toMatchObject({ open: 10, last_seq: 2 });
});

test('the fence refuses a finished row, whatever the attempt', async () => {
  const run = await aRun();
  await journal.push(aRecord(run, { output: '1' }));
  await expect(journal.push(aRecord(run, { output: '2', attempt: 9, token: randomUUID() }))).rejects.toBeInstanceOf(Refused);
  expect(await taskOf(run)).toMatchObject({ output: 1 });
});

test('the fence refuses an older epoch, and lets an effect pass', async () => {
  const run = await aRun();
  await one('update run_state set epoch = 2, seg_open = 1 where run = $1', run);
  await expect(journal.push(aRecord(run, { epoch: 1 }))).rejects.toBeInstanceOf(Stale);
  await journal.push(aRecord(run, { epoch: 0 }));
  expect(await stateOf(run)).toMatchObject({ open: 9, seg_open: 1 });
  await journal.push(aRecord(run, { epoch: 2, task: 1 }));
  expect(await stateOf(run)).toMatchObject({ open: 8, seg_open: 0 });
});

test('the fence refuses a closed run and one that does not exist', async () => {
  const run = await aRun(1);
  const [, close] = await Promise.all([
    journal.push(aRecord(run)),
    journal.push({ segment: {}, run, epoch: 1, type: 'close', status: 'completed' }),
  ]);
  expect(close.closed).toBe('completed');
  await expect(journal.push(aRecord(run, { task: 1, epoch: 0 }))).rejects.toBeInstanceOf(Stale);
  await expect(journal.push(aRecord(randomUUID()))).rejects.toBeInstanceOf(Stale);
});

test('a refused row leaves no hole: the rows beside it move up', async () => {
  const run = await aRun();
  await journal.push(aRecord(run, { task: 1 }));
  const all = await Promise.allSettled([0, 1, 2].map((task) => journal.push(aRecord(run, { task, output: `${task}`, attempt: 2 }))));
  expect(all.map((r) => (r.status === 'fulfilled' ? r.value.seq : (r.reason as Error).name))).toEqual([3, 'Refused', 4]);
  expect((await eventsOf(run)).map((e) => [e.seq, e.task])).toEqual([
    [1, null],
    [2, 1],
    [3, 0],
    [4, 2],
  ]);
  expect((await taskOf(run, 2)).seq).toBe(4);
});

test('items of a task that has ended are refused, whether they have a row or not', async () => {
  const run = await aRun();
  await Promise.all([
    journal.push(aRecord(run, { status: 'running' })),
    journal.push(aRecord(run, { item: 0, status: 'running' })),
    journal.push(aRecord(run, { item: 1 })),
  ]);
  await journal.push(aRecord(run));
  const late = [
    aRecord(run, { item: 0 }),
    aRecord(run, { item: 2, status: 'running' }),
    aRecord(run, { item: 3, generation: 1 }),
    aRecord(run, { task: 1 }),
  ];
  const all = await Promise.allSettled(late.map((record) => journal.push(record)));
  expect(all.map((r) => (r.status === 'fulfilled' ? r.value.seq : (r.reason as Error).name))).toEqual(['Refused', 'Refused', 6, 7]);
  expect((await eventsOf(run)).slice(5)).toMatchObject([
    { seq: 6, task: 0, item: 3 },
    { seq: 7, task: 1, item: null },
  ]);
  expect(await one('select count(*)::int as n from task where run = $1 and item = 2', run)).toEqual({ n: 0 });
});

test('what a segment pushed after a refused row is dropped with it', async () => {
  const run = await aRun();
  await journal.push(aRecord(run, { status: 'running' }));
  const segment = {};
  await expect(journal.push(aRecord(run, { segment, token: randomUUID() }))).rejects.toBeInstanceOf(Refused);
  await expect(journal.push(aRecord(run, { segment, task: 5 }))).rejects.toBeInstanceOf(Refused);
  expect(await taskOf(run, 5)).toEqual({});
});

test('a closed run has its output, and its last event', async () => {
  const run = await aRun(2);
  await journal.push(aRecord(run, { task: 0 }));
  const early = await journal.push({ segment: {}, run, epoch: 1, type: 'close', status: 'completed' });
  expect(early).toMatchObject({ closed: null, lastSeq: 2 });
  const [task, close] = await Promise.all([
    journal.push(aRecord(run, { task: 1 })),
    journal.push({ segment: {}, run, epoch: 1, type: 'close', status: 'completed', output: '{"n":1}' }),
  ]);
  expect(task).toMatchObject({ seq: 3, lastSeq: 4, closed: 'completed' });
  expect(close).toEqual({ seq: 4, lastSeq: 4, intent: null, unseen: false, closed: 'completed' });
  expect(await stateOf(run)).toMatchObject({ status: 'completed', open: 0, last_seq: 4 });
  expect((await stateOf(run)).finished).not.toBeNull();
  expect((await eventsOf(run)).at(-1)).toMatchObject({ seq: 4, type: 'run.completed' });
  expect(await one('select output, output_size from run_output where run = $1', run)).toEqual({ output: { n: 1 }, output_size: 7 });
});

test('closing is refused while a command is unseen, and accepted once it is applied and the status agrees', async () => {
  const run = await aRun(1);
  const seq = await cancel(run);
  const close = (given: { status: 'completed' | 'cancelled'; applied?: number }) =>
    journal.push({ segment: {}, run, epoch: 1, type: 'close', ...given });
  await journal.push(aRecord(run));
  expect(await close({ status: 'cancelled' })).toMatchObject({ closed: null, unseen: true, intent: 'cancel' });
  expect(await close({ status: 'completed', applied: seq })).toMatchObject({ closed: null, unseen: false });
  expect(await close({ status: 'cancelled', applied: seq })).toMatchObject({ closed: 'cancelled' });
});

test.each([
  ['timeout', 'timed_out'],
  ['fail', 'failed'],
  ['force', 'cancelled'],
] as const)('a run with intent %s closes as %s only', async (intent, status) => {
  const run = await aRun(0);
  await one('update run_state set intent = $2 where run = $1', run, intent);
  const close = (as: 'completed' | typeof status) => journal.push({ segment: {}, run, epoch: 1, type: 'close', status: as });
  expect(await close('completed')).toMatchObject({ closed: null });
  expect(await close(status)).toMatchObject({ closed: status });
});

test('a commit after the deadline turns the intent to timeout', async () => {
  const run = await aRun();
  await one(`update run_state set deadline = clock_timestamp() - interval '1 s', status = 'waiting' where run = $1`, run);
  expect(await journal.push(aRecord(run))).toMatchObject({ intent: 'timeout' });
  expect(await stateOf(run)).toMatchObject({ intent: 'timeout', status: 'running' });
});

test('a commit without rows applies commands and writes no event', async () => {
  const run = await aRun();
  const applied = await cancel(run);
  expect(await journal.push({ segment: {}, run, epoch: 0, type: 'applied', applied })).toMatchObject({
    unseen: false,
    lastSeq: 2,
    intent: 'cancel',
  });
});

test('subscribers are told of the run, and the dispatcher of a wait', async () => {
  const run = await aRun();
  const listener = new pg.Client(base.url);
  await listener.connect();
  await listener.query('listen run');
  await listener.query('listen kick');
  const heard = new Promise<string[]>((resolve) => {
    const seen: string[] = [];
    listener.on('notification', ({ channel, payload }) => {
      seen.push(`${channel} ${payload ?? ''}`);
      if (seen.length === 2) resolve(seen);
    });
  });
  await journal.push(aRecord(run, { status: 'waiting', wait: { kind: 'timer', untilMs: 1 } }));
  expect((await heard).sort()).toEqual(['kick wait', `run ${run}`]);
  await listener.end();
});

test('times follow the numbers of a run', async () => {
  const run = await aRun(200);
  await Promise.all(Array.from({ length: 200 }, (_, task) => journal.push(aRecord(run, { task }))));
  const back = await one(
    'select count(*)::int as n from (select at < lag(at) over (order by seq) as b from run_event where run = $1) x where b',
    run,
  );
  expect(back).toEqual({ n: 0 });
});
