import { expect, test } from '@jest/globals';
import { BLOCKED, COMPLETED, outcomeOf, SKIPPED, statusOf } from '../../../src/domain/plan/outcome.ts';
import { EFFECT } from '../../../src/domain/plan/plan.ts';
import { next } from '../../../src/domain/plan/next.ts';
import {
  createState,
  decide,
  failures,
  hasFailedForGood,
  record,
  recordRows,
  releaser,
  rowOf,
  RUN,
  verdict,
} from '../../../src/domain/plan/state.ts';
import { aRandom, aRandomGraph, expected, type RandomGraph } from '../../support/aGraph.ts';

/** Drives a graph by `next` alone, finishing what was started in a random order. */
function drive({ graph, behaviour }: RandomGraph, random: () => number) {
  const state = createState(graph);
  const running: number[] = [];
  const order: number[] = [];
  let seq = 0;
  for (let turn = 0; state.open > 0; turn++) {
    if (turn > 1_000) throw new Error('does not end');
    const steps = next(state, null, 3);
    running.push(...steps.effects, ...steps.roots);
    const task = running.splice(Math.floor(random() * running.length), 1)[0] ?? -1;
    const decided = verdict(state, task);
    expect(decided).not.toBe(0);
    for (const [dependency] of graph.deps[task] ?? []) if (decided !== RUN || graph.need[task] === 0) expect(order).toContain(dependency);
    const outcome = decided === RUN ? (behaviour[task]?.ends ?? COMPLETED) : decided;
    order.push(task);
    state.busy.delete(task);
    record(state, { task, outcome, seq: ++seq, branch: outcome === COMPLETED ? (behaviour[task]?.take ?? 0) : 0 });
  }
  return state;
}

test('2,000 random graphs end as the reference model says, in whatever order their tasks finish', () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = aRandom(seed);
    const random_graph = aRandomGraph(random);
    const model = expected(random_graph);
    const state = drive(random_graph, random);
    expect({ seed, outcomes: state.outcome.map(statusOf), status: decide(state, null) }).toEqual({
      seed,
      outcomes: model.outcomes.map(statusOf),
      status: model.status,
    });
  }
});

const graph = (deps: [number, number][][], more: Partial<RandomGraph['graph']> = {}) => ({
  names: deps.map((_, i) => `t${i}`),
  kinds: deps.map(() => 'transform'),
  classes: deps.map(() => 0),
  deps,
  need: deps.map(() => 0),
  tolerant: deps.map((): 0 | 1 => 0),
  failFast: 0 as 0 | 1,
  ...more,
});
const DONE = 0b10;

test('older news changes nothing', () => {
  const state = createState(graph([[], [[0, DONE]]]));
  expect(record(state, { task: 0, outcome: 1, seq: 5 })).toBe(true);
  expect(record(state, { task: 0, outcome: 2, seq: 4 })).toBe(false);
  expect(state.outcome[0]).toBe(COMPLETED);
});

test('a task reset by a higher seq opens again, and so does what depended on it', () => {
  const state = createState(graph([[], [[0, DONE]]]));
  record(state, { task: 0, outcome: 1, seq: 1 });
  expect([...state.ready]).toEqual([1]);
  record(state, { task: 0, outcome: 0, seq: 2, generation: 1 });
  expect([...state.ready]).toEqual([0]);
  expect(state.open).toBe(2);
});

test('skipped against blocked does not depend on the order in which dependencies settle', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const state = createState(
      graph([
        [],
        [],
        [
          [0, DONE],
          [1, DONE],
        ],
      ]),
    );
    let seq = 0;
    for (const task of order) record(state, { task, outcome: task === 0 ? 2 : 3, seq: ++seq });
    expect(verdict(state, 2)).toBe(BLOCKED);
  }
  const skipped = createState(graph([[], [[0, DONE]]]));
  record(skipped, { task: 0, outcome: SKIPPED, seq: 1 });
  expect(verdict(skipped, 1)).toBe(SKIPPED);
});

test('exactly one of two concurrent owners releases their common dependant', () => {
  const state = createState(
    graph([
      [],
      [],
      [
        [0, DONE],
        [1, DONE],
      ],
    ]),
  );
  record(state, { task: 0, outcome: 1, seq: 10 });
  record(state, { task: 1, outcome: 1, seq: 12 });
  expect(releaser(state, 2)).toBe(1);
});

test('with join any the first satisfied edge releases', () => {
  const state = createState(
    graph(
      [
        [],
        [],
        [
          [0, DONE],
          [1, DONE],
        ],
      ],
      { need: [0, 0, 1] },
    ),
  );
  record(state, { task: 0, outcome: 2, seq: 10 });
  record(state, { task: 1, outcome: 1, seq: 12 });
  expect(releaser(state, 2)).toBe(1);
});

test('a quorum is reached with the satisfied edge that makes it up, and is out of reach only when all have settled', () => {
  const three = graph(
    [
      [],
      [],
      [],
      [
        [0, DONE],
        [1, DONE],
        [2, DONE],
      ],
    ],
    { need: [0, 0, 0, 2] },
  );
  const reached = createState(three);
  record(reached, { task: 1, outcome: 1, seq: 10 });
  record(reached, { task: 0, outcome: 2, seq: 11 });
  expect(verdict(reached, 3)).toBe(0);
  record(reached, { task: 2, outcome: 1, seq: 12 });
  expect([verdict(reached, 3), releaser(reached, 3)]).toEqual([RUN, 2]);
  const missed = createState(three);
  record(missed, { task: 0, outcome: 2, seq: 10 });
  record(missed, { task: 1, outcome: 2, seq: 11 });
  expect(verdict(missed, 3)).toBe(0);
  record(missed, { task: 2, outcome: 1, seq: 12 });
  expect(statusOf(verdict(missed, 3))).toBe('blocked');
});

test('effects beyond the room wait, inline tasks do not', () => {
  const state = createState(graph([[], [], []], { classes: [EFFECT, EFFECT, 0] }));
  expect(next(state, null, 1)).toEqual({ effects: [0], roots: [2] });
  expect(next(state, null, 0)).toEqual({ effects: [], roots: [] });
});

test('a cancel sweeps what nobody is at work on, a forced one all', () => {
  const state = createState(graph([[], [], [[0, DONE]]]));
  state.busy.add(0);
  expect(next(state, 'cancel', 9).sweep?.tasks).toEqual([1, 2]);
  expect(next(state, 'force', 9).sweep?.tasks).toEqual([0, 1, 2]);
});

test('failFast acts at the first failure that nothing can mend any more', () => {
  const handled = createState(graph([[], [[0, 0b100]], []], { failFast: 1 }));
  record(handled, { task: 0, outcome: 2, seq: 1 });
  expect(hasFailedForGood(handled)).toBe(false);
  record(handled, { task: 1, outcome: 2, seq: 2 });
  expect(next(handled, null, 9).sweep).toEqual({ tasks: [2], intent: 'fail' });
});

test('a handled failure does not fail the run, an unhandled one names its task', () => {
  const state = createState(graph([[], [[0, 0b100]]]));
  record(state, { task: 0, outcome: 2, seq: 1 });
  expect(failures(state)).toEqual([0]);
  record(state, { task: 1, outcome: 1, seq: 2 });
  expect(decide(state, null)).toBe('completed');
});

test('rows travel by name and come back the same', () => {
  const state = createState(graph([[], []]));
  record(state, { task: 1, outcome: 1, seq: 7, branch: 2 });
  const other = createState(graph([[], []]));
  recordRows(other, [rowOf(state, 1), ['t0', 'running', 9]]);
  expect(rowOf(other, 1)).toEqual(['t1', 'completed', 7, 0, 2]);
  expect(other.outcome[0]).toBe(0);
});

test('a plain cancel leaves what others carry out to its own end, a forced one does not', () => {
  for (const kind of ['activity', 'workflow']) {
    const state = createState(graph([[], []], { kinds: [kind, 'wait'], classes: [2, 2] }));
    for (const task of [0, 1]) record(state, { task, outcome: outcomeOf('waiting'), seq: task + 1 });
    expect(next(state, 'cancel', 9).sweep).toEqual({ tasks: [1], intent: 'cancel' });
    expect(next(state, 'force', 9).sweep).toEqual({ tasks: [0, 1], intent: 'force' });
  }
});
