import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createClaims } from '../../src/db/claims.ts';
import { admit, type BegunRow } from '../../src/db/dispatch.ts';
import type { Json } from '../../src/domain/json.ts';
import { isFinalStatus, outcomeOf, statusOf, TASK_STATUSES } from '../../src/domain/plan/outcome.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';
import { aRandom, aRandomGraph, expected, joinOf } from '../support/aGraph.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await anEngine();
});
afterAll(() => engine.close());

const transform = (value: Json, more: object = {}) => ({ type: 'transform', with: { value }, ...more });
const define = (tasks: object, more: object = {}): Json => ({ dsl: 'tiu/1', name: 'test', tasks, ...more }) as Json;

async function gapless(runId: string): Promise<void> {
  const events = await engine.events(runId);
  expect(events.map((event) => Number(event.seq))).toEqual(events.map((_, i) => i + 1));
}

test('a chain of inline tasks runs to its end in one activity, with its output', async () => {
  const runId = await engine.run(
    define(
      { a: transform('${input.n + 1}'), b: transform('${tasks.a.output * 2}') },
      { output: { value: { twice: '${tasks.b.output}' } } },
    ),
    { n: 20 },
  );
  expect(await engine.statuses(runId)).toEqual({ a: 'completed', b: 'completed' });
  expect(await engine.output(runId)).toEqual({ twice: 42 });
  expect((await engine.events(runId)).at(-1)?.type).toBe('run.completed');
  await gapless(runId);
});

test('a switch runs the branch it takes and skips the others, and what depends on them', async () => {
  const tasks = {
    pick: {
      type: 'switch',
      with: {
        cases: [
          { if: 'input.n > 5', then: ['big'] },
          { if: 'input.n > 1', then: ['small'] },
        ],
        else: ['none'],
      },
    },
    big: transform('big'),
    small: transform('small'),
    none: transform('none'),
    after: transform('x', { dependsOn: ['big'] }),
    end: transform('y', { dependsOn: [{ task: 'small', when: ['completed', 'skipped'] }] }),
  };
  const runId = await engine.run(define(tasks), { n: 3 });
  expect(await engine.statuses(runId)).toEqual({
    pick: 'completed',
    big: 'skipped',
    small: 'completed',
    none: 'skipped',
    after: 'skipped',
    end: 'completed',
  });
});

test('a failed assertion fails the run with the task and its code, and blocks what depends on it', async () => {
  const runId = await engine.run(
    define({
      check: { type: 'assert', with: { that: 'input.n > 5', message: 'n is ${input.n}' } },
      after: transform(1, { dependsOn: ['check'] }),
    }),
    { n: 3 },
  );
  expect(await engine.statuses(runId)).toEqual({ check: 'failed', after: 'blocked' });
  const state = await engine.state(runId);
  expect(state.status).toBe('failed');
  expect(state.failure).toMatchObject({ code: 'assertion_failed', data: { task: 'check' } });
});

test('failFast cancels what has not begun', async () => {
  const plan = define(
    {
      bad: { type: 'assert', with: { that: 'false' } },
      gate: { type: 'wait', with: { for: 'PT1H' } },
      after: transform(1, { dependsOn: ['gate'] }),
    },
    { onError: 'failFast' },
  );
  const runId = await engine.submit(aPlan(plan));
  const loaded = await engine.inActivity(engine.activities.loadRun, runId);
  if ('ended' in loaded) throw new Error('ended');
  expect(loaded.rows).toContainEqual(expect.arrayContaining(['bad', 'failed']));
  const swept = await engine.inActivity(engine.activities.sweep, { runId, epoch: loaded.epoch, tasks: [1, 2], intent: 'fail' as const });
  expect(swept).toMatchObject({ intent: 'fail' });
  expect(await engine.inActivity(engine.activities.finishRun, { runId, epoch: loaded.epoch })).toMatchObject({
    ended: { status: 'failed', failedTask: 'bad' },
  });
  await gapless(runId);
});

test('a map keeps the order of its items, skips by its condition and tolerates what it may', async () => {
  const tasks = {
    each: {
      type: 'transform',
      map: { items: '${input.xs}', as: 'x', if: '${x != 3}', tolerate: { count: 1 } },
      with: { value: '${10 / x}' },
    },
    sum: transform('${sum(tasks.each.output)}'),
    states: transform('${tasks.each.items.map(i, i.status)}'),
  };
  const runId = await engine.run(define(tasks, { output: { value: ['${tasks.sum.output}', '${tasks.states.output}'] } }), {
    xs: [1, 2, 3, 5],
  });
  expect(await engine.output(runId)).toEqual([17, ['completed', 'completed', 'skipped', 'completed']]);
});

test('more failed items than tolerated fail the map', async () => {
  const runId = await engine.run(
    define({ each: { type: 'assert', map: { items: [1, 2, 3, 4], tolerate: { percent: 25 } }, with: { that: 'item > 2' } } }),
  );
  expect(await engine.state(runId)).toMatchObject({ status: 'failed', failure: { code: 'items_failed' } });
});

test('a matrix maps over every combination, axes by name, the last one fastest', async () => {
  const each = {
    type: 'transform',
    map: { matrix: { os: ['a', 'b'], node: [1, 2] }, as: 'm' },
    with: { value: '${m.os + string(m.node)}' },
  };
  const runId = await engine.run(define({ each }, { output: { value: '${tasks.each.output}' } }));
  expect(await engine.output(runId)).toEqual(['a1', 'b1', 'a2', 'b2']);
});

test.each([
  [
    [1, 2, 3, 4, 5],
    ['1,2', '3,4', '5'],
  ],
  [[1, 2], ['1,2']],
  [[], []],
])('a map in batches of two: %j', async (xs, expected) => {
  const each = { type: 'transform', map: { items: '${input.xs}', batch: 2, as: 'pair' }, with: { value: "${join(pair, ',')}" } };
  const runId = await engine.run(define({ each }, { output: { value: '${tasks.each.output}' } }), { xs });
  expect(await engine.output(runId)).toEqual(expected);
});

test('an output above 64 KiB goes to the object store once and reads back whole', async () => {
  const runId = await engine.run(
    define(
      { big: transform('${input.text}'), size: transform('${size(tasks.big.output)}') },
      { output: { value: '${tasks.size.output}' } },
    ),
    { text: 'x'.repeat(100_000) },
  );
  expect(await engine.output(runId)).toBe(100_000);
  expect(engine.objects.size).toBe(1);
});

test('a segment that runs again after its commits reports everything it owns and runs nothing twice', async () => {
  const plan = aPlan(define({ a: transform(1), gate: { type: 'wait', with: { for: 'PT1H' } }, b: transform('${tasks.a.output}') }));
  const runId = await engine.submit(plan);
  const first = await engine.inActivity(engine.activities.loadRun, runId);
  if ('ended' in first) throw new Error('ended');
  const before = await engine.events(runId);
  const again = await engine.inActivity(engine.activities.runSegment, { runId, epoch: first.epoch, roots: [0], sliceMs: 1_000 });
  expect(again).toMatchObject({
    rows: [
      ['a', 'completed', expect.any(Number)],
      ['b', 'completed', expect.any(Number)],
    ],
  });
  expect(await engine.events(runId)).toEqual(before);
});

/** A run of which `done` was recorded before its worker died, as it is begun anew. */
async function inItsMiddle(definition: Json, done: readonly (readonly [task: number, output: Json])[]): Promise<BegunRow> {
  const runId = await engine.submit(aPlan(definition));
  const begun = await admit(engine.db, { worker: engine.deps.worker, n: 100, claimMs: 60_000 });
  const run = begun.find((row) => row.runId === runId);
  if (!run) throw new Error('not begun');
  const record = { type: 'task', segment: {}, run: runId, epoch: run.epoch, token: randomUUID() } as const;
  for (const [task, output] of done)
    await engine.journal.push({
      ...record,
      ...{ task, item: -1, generation: 0, attempt: 1, status: 'completed', output: JSON.stringify(output) },
    });
  return { ...run, cursor: run.cursor + done.length };
}

const layers = define(
  {
    a: transform(1),
    b: transform(2),
    c: transform('${tasks.b.output + 1}'),
    d: transform('${tasks.c.output + 1}'),
  },
  { output: { value: ['${tasks.a.output}', '${tasks.d.output}'] } },
);

test('a run that is taken over in its middle is closed by the segment that ends it', async () => {
  const run = await inItsMiddle(layers, [
    [0, 10],
    [1, 20],
  ]);
  expect(await engine.carryAgain(run)).toBe('completed');
  expect(await engine.output(run.runId)).toEqual([10, 22]);
  await gapless(run.runId);
});

test('a run that is loaded in its middle is closed by the segment that ends it', async () => {
  const { runId } = await inItsMiddle(layers, [
    [0, 10],
    [1, 20],
  ]);
  expect(await engine.inActivity(engine.activities.loadRun, runId)).toMatchObject({ ended: { status: 'completed' } });
  expect(await engine.output(runId)).toEqual([10, 22]);
});

test('a run that is taken over beside a task that somebody else has is not closed', async () => {
  const run = await inItsMiddle(layers, [[1, 20]]);
  await engine.db.rows({
    name: 'elsewhere',
    text: `insert into task (run, task, item, generation, workspace, status, attempt, token, seq) values ($1, 0, -1, 0, $2, 'waiting', 1, gen_random_uuid(), 3)`,
    values: [run.runId, run.workspace],
  });
  expect(await engine.carryAgain(run)).toBeNull();
  expect(await engine.state(run.runId)).toMatchObject({ status: 'running', open: 1 });
});

test('an older epoch writes nothing', async () => {
  const runId = await engine.submit(aPlan(define({ gate: { type: 'wait', with: { for: 'PT1H' } }, b: transform(1) })));
  const first = await engine.inActivity(engine.activities.loadRun, runId);
  await engine.inActivity(engine.activities.loadRun, runId);
  if ('ended' in first) throw new Error('ended');
  expect(await engine.inActivity(engine.activities.runSegment, { runId, epoch: first.epoch, roots: [1], sliceMs: 1_000 })).toEqual({
    stale: true,
  });
});

test('a due timer is settled by the next read, and a later one says when', async () => {
  const runId = await engine.submit(
    aPlan(define({ soon: { type: 'wait', with: { for: 'PT0S' } }, late: { type: 'wait', with: { for: 'PT1H' } } })),
  );
  const loaded = await engine.inActivity(engine.activities.loadRun, runId);
  if ('ended' in loaded) throw new Error('ended');
  const segment = await engine.inActivity(engine.activities.runSegment, { runId, epoch: loaded.epoch, roots: [0, 1], sliceMs: 1_000 });
  expect(segment).toMatchObject({ due: expect.any(Number) });
  const changes = await engine.inActivity(engine.activities.readChanges, { runId, epoch: loaded.epoch, since: loaded.cursor });
  expect(changes).toMatchObject({ rows: expect.arrayContaining([['soon', 'completed', expect.any(Number)]]) });
  expect((changes as { due: number }).due).toBeGreaterThan(3_500_000);
});

/** A random graph as a definition: conditions, joins, failures, maps and `onError`, whose model needs no timeouts and no switches. */
function aRandomDefinition(random: () => number) {
  const made = aRandomGraph(random);
  made.graph.deps = made.graph.deps.map((edges) => edges.map(([dependency, mask]) => [dependency, mask] as const));
  for (const behaviour of made.behaviour) if (statusOf(behaviour.ends) === 'timed_out') behaviour.ends = outcomeOf('failed');
  const tasks = Object.fromEntries(
    made.graph.names.map((name, task) => {
      const status = statusOf(made.behaviour[task]?.ends ?? 1);
      const dependsOn = (made.graph.deps[task] ?? []).map(([dependency, mask]) => ({
        task: `t${dependency}`,
        when: TASK_STATUSES.filter((_, bit) => bit > 0 && (mask >> bit) & 1),
      }));
      const isMap = random() < 0.2;
      const that = status === 'failed' ? (isMap ? 'item > 1' : 'false') : 'true';
      const options = {
        ...(isMap && { map: { items: [1, 2, 3] } }),
        ...(status === 'skipped' && { if: 'false' }),
        ...joinOf(made.graph.need[task]),
        ...(made.graph.tolerant[task] === 1 && { onError: 'continue' }),
        ...(dependsOn.length > 0 && { dependsOn }),
      };
      return [name, { type: 'assert', with: { that }, ...options }];
    }),
  );
  return { tasks, model: expected(made) };
}

const STRATEGIES = [undefined, 'sequential', 'balanced'] as const;

/** Tasks in the order in which they ended. */
const endsOf = async (runId: string): Promise<number[]> =>
  (await engine.events(runId)).flatMap(({ type, task, item }) =>
    task !== null && item === null && isFinalStatus(type.replace('task.', '') as 'completed') ? [task] : [],
  );

test('500 random definitions end in the database as the reference model says, under every strategy', async () => {
  for (let seed = 1; seed <= 500; seed++) {
    const { tasks, model } = aRandomDefinition(aRandom(seed * 7919));
    const strategy = STRATEGIES[seed % STRATEGIES.length];
    const runId = await engine.run(define(tasks, strategy && { strategy }));
    const ends = await endsOf(runId);
    if (strategy === 'sequential') expect({ seed, ends }).toEqual({ seed, ends: Object.keys(tasks).map((_, task) => task) });
    expect({ seed, ...(await engine.statuses(runId)) }).toEqual({
      seed,
      ...Object.fromEntries(model.outcomes.map((outcome, task) => [`t${task}`, statusOf(outcome)])),
    });
    expect((await engine.state(runId)).status).toBe(model.status);
  }
});

test('a segment of busy tasks lets the event loop turn: its results are committed while it goes on', async () => {
  const busy = '${size(range(0, 2000).map(i, i * 2).filter(i, i % 3 == 0))}';
  const tasks = Object.fromEntries(
    Array.from({ length: 150 }, (_, i) => [`t${i}`, transform(busy, i === 0 ? {} : { dependsOn: [`t${i - 1}`] })]),
  );
  const before = engine.journal.stats.commits;
  const runId = await engine.submit(aPlan(define(tasks)));
  await engine.inActivity(engine.activities.loadRun, runId);
  expect(engine.journal.stats.commits - before).toBeGreaterThan(4);
});

test('tasks that go one at a time run in one segment in the order they were written, and none begins beside a wait', async () => {
  const gate = { type: 'wait', with: { for: 'PT1H' } };
  const tasks = { z: transform(1), y: transform(2, { dependsOn: ['z'] }), a: transform(3), gate, last: transform(4) };
  const runId = await engine.submit(aPlan(define(tasks, { strategy: 'sequential' })));
  const loaded = await engine.inActivity(engine.activities.loadRun, runId);
  if ('ended' in loaded) throw new Error('ended');
  expect(await endsOf(runId)).toEqual([0, 1, 2]);
  expect(await engine.statuses(runId)).toEqual({ z: 'completed', y: 'completed', a: 'completed', gate: 'waiting' });
  const again = await engine.inActivity(engine.activities.runSegment, { runId, epoch: loaded.epoch, roots: [3, 4], sliceMs: 1_000 });
  expect(again).toMatchObject({ rows: [['gate', 'waiting', expect.any(Number)]] });
  // whoever loads it anew does not pass the wait either
  await engine.inActivity(engine.activities.loadRun, runId);
  expect(await engine.statuses(runId)).not.toHaveProperty('last');
});

test('of inline tasks that are ready together the higher priority begins first', async () => {
  const tasks = { a: transform(1, { priority: 'low' }), b: transform(2), c: transform(3, { priority: 'critical' }) };
  const runId = await engine.run(define(tasks, { strategy: 'priority_based' }));
  expect(await endsOf(runId)).toEqual([2, 1, 0]);
});

test('a cancel that Temporal echoes is not taken for a second one, which would force', async () => {
  const runId = await engine.submit(aPlan(define({ w: { type: 'wait', with: { for: 'PT1H' } } })));
  const { workspace } = engine;
  const note = () => engine.commands.command({ run: runId, workspace, type: 'cancel', reason: 'noted', by: 'temporal' });
  engine.deps.noteCancel = async () => {
    await note();
  };
  await engine.inActivity(engine.activities.noteCancel, runId);
  await engine.inActivity(engine.activities.noteCancel, runId);
  expect((await engine.events(runId)).filter(({ type }) => type === 'command.cancel')).toHaveLength(1);
  expect(await engine.state(runId)).toMatchObject({ intent: 'cancel' });
});

test('an error that ends an activity says what kind it is, not its words nor where it happened', async () => {
  const thrown: unknown = await engine.inActivity(engine.activities.loadRun, 'no-uuid, but a secret').catch((error: unknown) => error);
  expect(thrown).toMatchObject({ name: 'ApplicationFailure', message: '22P02', stack: '' });
});

test('a map that is cancelled takes the items at work with it, and their attempts lose their hold', async () => {
  const each = { type: 'http', map: { items: [1, 2] }, with: { url: 'http://localhost/' } };
  const runId = await engine.submit(aPlan(define({ each })));
  const loaded = await engine.inActivity(engine.activities.loadRun, runId);
  if ('ended' in loaded) throw new Error('ended');
  const claimTask = createClaims(engine);
  const claim = { run: runId, epoch: 0, task: 0, generation: 0, token: randomUUID() };
  expect(await claimTask({ ...claim, item: 1 })).toMatchObject({ attempt: 1 });
  await engine.inActivity(engine.activities.sweep, { runId, epoch: loaded.epoch, tasks: [0], intent: 'force' as const });
  const events = await engine.events(runId);
  expect(events.slice(-2).map(({ type, item }) => [type, item])).toEqual([
    ['task.cancelled', 1],
    ['task.cancelled', null],
  ]);
  await gapless(runId);
  expect(await claimTask({ ...claim, item: 0 })).toEqual({ stale: true });
});
