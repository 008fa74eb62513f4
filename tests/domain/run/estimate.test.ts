import { expect, test } from '@jest/globals';
import { estimate, type Past, type RunNow, type TaskNow } from '../../../src/domain/run/estimate.ts';
import type { Graph } from '../../../src/domain/plan/plan.ts';
import { aRandom, aRandomGraph } from '../../support/aGraph.ts';

const aGraph = (deps: number[][], need: number[] = []): Graph => ({
  names: deps.map((_, i) => `t${i}`),
  kinds: deps.map(() => 'transform'),
  classes: deps.map(() => 0),
  deps: deps.map((list) => list.map((dependency) => [dependency, 0b10])),
  need: deps.map((_, i) => need[i] ?? 0),
  tolerant: deps.map(() => 0),
  failFast: 0,
});
const NOW = 1_000_000;
const pending: TaskNow = { status: 'pending', started: undefined, finished: undefined };
const running = (forMs: number): TaskNow => ({ status: 'running', started: NOW - forMs, finished: undefined });
const completed = (tookMs: number): TaskNow => ({ status: 'completed', started: NOW - tookMs, finished: NOW });
const open = (tasks: TaskNow[]): RunNow => ({ state: 'open', now: NOW, tasks });

/** 0 before 1 and 2, both before 3. */
const diamond = aGraph([[], [0], [0], [1, 2]]);
const times = (n: number, past: Past): Past[] => Array.from({ length: n }, () => past);

test('what always took the same is foretold to the millisecond, along the longest way', () => {
  const past = times(5, [100, 50, 300, 20]);
  const at = (tasks: TaskNow[]) => estimate(diamond, open(tasks), past);
  const exactly = (ms: number) => ({ ms, low: ms, high: ms, runs: 5 });
  expect(at([pending, pending, pending, pending]).remaining).toEqual(exactly(420));
  expect(at([running(30), pending, pending, pending]).remaining).toEqual(exactly(390));
  expect(at([completed(100), running(10), running(10), pending]).remaining).toEqual(exactly(310));
  const almost = at([completed(120), completed(50), running(200), pending]);
  expect(almost.remaining).toEqual(exactly(120));
  expect(almost.path).toEqual([
    { task: 0, took: 120, expected: { ms: 100, low: 100, high: 100 } },
    { task: 2, took: undefined, expected: { ms: 300, low: 300, high: 300 } },
    { task: 3, took: undefined, expected: { ms: 20, low: 20, high: 20 } },
  ]);
});

test('where tasks go one at a time their times add up, whatever they depend on', () => {
  const sequence: Graph = { ...aGraph([[], [], [0], []]), inTurn: 1 };
  const past = times(5, [100, 50, 300, 20]);
  const left = (tasks: TaskNow[]) => estimate(sequence, open(tasks), past).remaining;
  expect(left([pending, pending, pending, pending])).toMatchObject({ ms: 470 });
  expect(left([completed(100), running(10), pending, pending])).toMatchObject({ ms: 360 });
  expect(left([running(40), completed(50), pending, pending])).toMatchObject({ ms: 380 }); // after a retry
  expect(estimate(sequence, open([completed(90), running(10), pending, pending]), past).path.map(({ task }) => task)).toEqual([0, 1, 2, 3]);
});

test('its error is where eight of ten earlier runs lie', () => {
  const past = Array.from({ length: 11 }, (_, i): Past => [100 + i * 10]);
  expect(estimate(aGraph([[]]), open([pending]), past).remaining).toEqual({ ms: 150, low: 110, high: 190, runs: 11 });
  // only runs that had taken as long by then say how it goes on
  expect(estimate(aGraph([[]]), open([running(175)]), past).remaining).toEqual({ ms: 15, low: 7, high: 23, runs: 3 });
});

test('without enough to rest on there is no estimate but a reason', () => {
  const one = aGraph([[]]);
  const reason = (run: RunNow, past: Past[]) => estimate(one, run, past).remaining;
  expect(reason(open([pending]), times(2, [100]))).toBe('too_few_runs');
  expect(estimate(one, open([pending]), times(2, [100])).path).toEqual([]);
  expect(reason(open([pending]), times(3, [100]))).toMatchObject({ ms: 100, runs: 3 });
  expect(reason(open([pending]), times(9, [undefined]))).toBe('too_few_runs');
  expect(reason(open([running(101)]), times(9, [100]))).toBe('longer_than_before');
  expect(reason(open([running(100)]), times(9, [100]))).toMatchObject({ ms: 0 });
  expect(reason({ ...open([pending]), state: 'queued' }, times(9, [100]))).toBe('queued');
  expect(reason({ ...open([completed(5)]), state: 'closed' }, times(9, [100]))).toBe('closed');
});

test('a join of some waits for as many of them as it needs', () => {
  const past = times(3, [100, 200, 900, 10]);
  const any = (need: number) =>
    estimate(aGraph([[], [], [], [0, 1, 2]], [0, 0, 0, need]), open([completed(1), completed(1), completed(1), pending]), past);
  expect(any(2).remaining).toMatchObject({ ms: 10 });
  const path = (need: number) =>
    estimate(
      aGraph([[], [], [], [0, 1, 2]], [0, 0, 0, need]),
      { state: 'closed', now: NOW, tasks: [100, 200, 900, 1_000].map(completed) },
      [],
    ).path.map(({ task }) => task);
  expect([path(1), path(2), path(0)]).toEqual([
    [0, 3],
    [1, 3],
    [2, 3],
  ]);
});

test('of a closed run the path is what happened, whatever is known of others', () => {
  const { path } = estimate(diamond, { state: 'closed', now: NOW, tasks: [completed(5), completed(70), completed(60), completed(1)] }, []);
  expect(path).toEqual([
    { task: 0, took: 5, expected: undefined },
    { task: 1, took: 70, expected: undefined },
    { task: 3, took: 1, expected: undefined },
  ]);
});

test('on 500 random graphs the low end, the middle and the high end are in order, and the path leads along edges', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = aRandom(seed);
    const { graph } = aRandomGraph(random);
    const tasks = graph.names.map(() => (random() < 0.3 ? completed(random() * 100) : random() < 0.3 ? running(random() * 50) : pending));
    const past = Array.from({ length: 12 }, () => graph.names.map(() => Math.floor(50 + random() * 500)));
    const { remaining, path } = estimate(graph, open(tasks), past);
    if (typeof remaining === 'string') throw new Error(`${seed}: ${remaining}`);
    expect(remaining.low <= remaining.ms && remaining.ms <= remaining.high && remaining.low >= 0).toBe(true);
    path.slice(1).forEach(({ task }, i) => {
      expect({ seed, from: graph.deps[task]?.map(([dependency]) => dependency) }).toMatchObject({
        from: expect.arrayContaining([path[i]?.task]) as unknown,
      });
    });
  }
});
