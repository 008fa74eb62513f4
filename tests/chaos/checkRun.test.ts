import { expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/domain/json.ts';
import { checkRun, type Seen } from '../../bench/chaos/checkRun.ts';
import { define, transform } from './support/runs.ts';

const at = new Date(1_000);
const event = (seq: number, type: string, task: number | null = null) => ({ seq, type, task, item: null, attempt: null, at, data: null });
const RUN = 'r';

/** A run of one call that went well. */
const well = (): Seen => ({
  run: {
    id: RUN,
    definition: define({ a: { type: 'http', with: { url: 'http://127.0.0.1/' } }, b: transform(1, { dependsOn: ['a'] }) }),
    status: 'completed',
    output: 1,
  },
  state: {
    ...{ run: RUN, status: 'completed', intent: null, reason: null, open: 0, failed: 0, total: 2, last_seq: 5, epoch: 1, restarts: 0 },
    ...{ started: at, finished: at, failure: null },
  },
  tasks: [0, 1].map((task) => ({ run: RUN, task, item: -1, generation: 0, status: 'completed', seq: task + 3, attempt: 1, finished: at })),
  events: [
    ...[event(1, 'run.accepted'), event(2, 'run.started'), event(3, 'task.completed', 0), event(4, 'task.completed', 1)],
    event(5, 'run.completed'),
  ],
  calls: [{ key: `${RUN}/a/-/0`, path: '/', body: '', port: 1, at: 900, answered: 950 }],
  output: 1,
  late: () => false,
});

const kinds = (change: Partial<Seen>) => new Set(checkRun({ ...well(), ...change }).map(({ kind }) => kind));

test('a run that went well has no breach', () => {
  expect(checkRun(well())).toEqual([]);
});

test('a run may end in the queue, by its deadline or a cancel: then it has no beginning', () => {
  const ended = { ...well().state, started: null, status: 'timed_out', last_seq: 4 };
  const tasks = well().tasks.map((task) => ({ ...task, status: 'cancelled' as const, seq: task.task + 2 }));
  const events = [event(1, 'run.accepted'), event(2, 'task.cancelled', 0), event(3, 'task.cancelled', 1), event(4, 'run.timed_out')];
  const run = { ...well().run, status: 'timed_out' };
  expect(kinds({ run, state: ended, tasks, events, calls: [] })).toEqual(new Set());
  expect(kinds({ run, state: { ...ended, started: at }, tasks, events, calls: [] })).toEqual(new Set(['events']));
});

test('the checker sees what is broken', () => {
  const { state, events, calls } = well();
  const [call] = calls;
  if (!call) throw new Error('no call');
  expect(kinds({ state: { ...state, finished: null } })).toEqual(new Set(['stuck']));
  expect(kinds({ state: { ...state, open: 1 } })).toEqual(new Set(['counters']));
  expect(kinds({ output: 2 })).toEqual(new Set(['outcome']));
  expect(kinds({ events: events.slice(0, -1) })).toEqual(new Set(['events']));
  const twice = [...events.slice(0, 4), event(5, 'task.completed', 0), event(6, 'run.completed')];
  expect(kinds({ events: twice, state: { ...state, last_seq: 6 } })).toContain('again');
  expect(kinds({ calls: [call, { ...call, at: 2_000 }] })).toEqual(new Set(['again']));
  expect(kinds({ calls: [call, { ...call, body: 'other' }] })).toEqual(new Set(['effects']));
  expect(kinds({ calls: [] })).toEqual(new Set(['effects']));
});

test('a retry begins a new generation of what runs again, with calls of its own', () => {
  const more = (seq: number, type: string, task: number | null, data: JsonObject | null = null) => ({ ...event(seq, type, task), data });
  const [first] = well().tasks;
  const [call] = well().calls;
  if (!first || !call) throw new Error('no task, no call');
  const blocked = { run: RUN, task: 1, item: -1, generation: 0, status: 'blocked' as const, seq: 4, attempt: 0, finished: at };
  const again = (task: number, seq: number) => ({
    run: RUN,
    task,
    item: -1,
    generation: 1,
    status: 'completed' as const,
    seq,
    attempt: 1,
    finished: at,
  });
  const events = [
    ...[event(1, 'run.accepted'), event(2, 'run.started'), event(3, 'task.failed', 0), event(4, 'task.blocked', 1), event(5, 'run.failed')],
    ...[more(6, 'command.retry', null), more(7, 'run.reopened', null), more(8, 'task.pending', 0, { generation: 1 })],
    ...[
      more(9, 'task.pending', 1, { generation: 1 }),
      event(10, 'run.started'),
      event(11, 'task.completed', 0),
      event(12, 'task.completed', 1),
    ],
    event(13, 'run.completed'),
  ];
  const retried = {
    state: { ...well().state, last_seq: 13 },
    tasks: [{ ...first, status: 'failed' as const }, blocked, again(0, 11), again(1, 12)],
    events,
    calls: [call, { ...call, key: `${RUN}/a/-/1` }],
  };
  expect(kinds(retried)).toEqual(new Set());
  expect(kinds({ ...retried, calls: [call, { ...call, key: `${RUN}/a/-/1`, at: 2_000 }] })).toEqual(new Set(['again']));
  expect(kinds({ ...retried, calls: [call] })).toEqual(new Set(['effects']));
  expect(kinds({ ...retried, tasks: retried.tasks.slice(0, 3) })).toContain('events');
});

test('what a fork has kept was called by its source', () => {
  const [accepted, began, done, ...rest] = well().events;
  if (!accepted || !began || !done) throw new Error('no events');
  const events = [accepted, { ...done, seq: 2, data: { from: 'source' } }, { ...began, seq: 3 }, ...rest];
  const [first, second] = well().tasks;
  if (!first || !second) throw new Error('no tasks');
  expect(kinds({ events, tasks: [{ ...first, seq: 2 }, second], calls: [] })).toEqual(new Set());
});
