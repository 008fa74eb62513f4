import { expect, test } from '@jest/globals';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { heldBack } from '../../../src/domain/plan/heldBack.ts';
import { next, type Steps } from '../../../src/domain/plan/next.ts';
import { ranksOf, sequenceOf } from '../../../src/domain/plan/order.ts';
import { COMPLETED, isFinal, statusOf, WAITING } from '../../../src/domain/plan/outcome.ts';
import { takesPlace } from '../../../src/domain/plan/places.ts';
import { CONTROL, EFFECT, type Graph, type Plan } from '../../../src/domain/plan/plan.ts';
import { tellStrategy } from '../../../src/domain/plan/strategy.ts';
import { createState, decide, record, recordRows, RUN, UNDECIDED, verdict, type GraphState } from '../../../src/domain/plan/state.ts';
import { PRIORITIES } from '../../../src/domain/run/priority.ts';
import { aPlan } from '../../support/anEngine.ts';
import { aRandom, aRandomGraph, expected, type RandomGraph } from '../../support/aGraph.ts';

const text: JsonObject = { type: 'transform', with: { value: 1 } };
const call: JsonObject = { type: 'http', with: { url: 'https://example.org/' } };
const after = (task: JsonObject, ...dependsOn: string[]): JsonObject => ({ ...task, dependsOn });
const define = (tasks: JsonObject, more: JsonObject = {}): JsonObject => ({ dsl: 'tiu/1', name: 'ordered', tasks, ...more });
const planOf = (tasks: JsonObject, more: JsonObject = {}): Plan => aPlan(define(tasks, more));

const USED = ['sequential', 'parallel', 'priority_based', 'balanced'] as const;
type Used = (typeof USED)[number];
type Ordered = RandomGraph & { used: Used };

/** A random graph with a strategy; some of its effects are mapped or children. Numbers are an order that works already. */
function anOrderedGraph(random: () => number): Ordered {
  const { graph: bare, behaviour } = aRandomGraph(random);
  const used = USED[Math.floor(random() * USED.length)] ?? 'parallel';
  const classes = bare.classes.map((each) => (each === EFFECT && random() < 0.2 ? CONTROL : each));
  const kinds = bare.kinds.map((kind, i) => (classes[i] === CONTROL && kind !== 'switch' ? (random() < 0.3 ? 'workflow' : 'http') : kind));
  const graph: Graph = { ...bare, classes, kinds };
  if (used === 'sequential') return { graph: { ...graph, inTurn: 1 }, behaviour, used };
  const places = random() < 0.7 ? { places: 1 + Math.floor(random() * 3) } : {};
  const priorities = new Map(graph.names.map((name) => [name, PRIORITIES[Math.floor(random() * 4)] ?? 'normal']));
  const rank = used === 'parallel' ? {} : { rank: ranksOf(graph, { priorities, written: graph.names, byChain: used === 'balanced' }) };
  return { graph: { ...graph, ...places, ...rank }, behaviour, used };
}

const readyOf = (state: GraphState): number[] =>
  state.graph.names.map((_, task) => task).filter((task) => state.outcome[task] === 0 && verdict(state, task) !== UNDECIDED);

/** What a step does to the rules, in words. @param before tasks that were ready and not at work */
function faultsOf({ graph, used }: Ordered, state: GraphState, { steps, before }: { steps: Steps; before: number[] }): string[] {
  const begun = [...steps.effects, ...steps.roots];
  const atWork = graph.names.map((_, task) => task).filter((task) => state.busy.has(task) || state.waiting.has(task));
  const faults: string[] = [];
  const rest = before.filter((task) => !begun.includes(task));
  const told = heldBack(state).map(({ task }) => task);
  if (told.sort((a, b) => a - b).join() !== rest.join()) faults.push('what is left is told otherwise');
  if (used === 'sequential') {
    if (begun.length === 0 ? atWork.length === 0 : atWork.length > begun.length) faults.push('not one at a time');
    if (steps.effects.length > 0 && begun.length > 1) faults.push('an effect and something else');
    const least = Math.min(...begun);
    if (begun.some((task, i) => task < (begun[i - 1] ?? 0))) faults.push('roots out of order');
    if (graph.names.some((_, task) => task < least && begun.length > 0 && !isFinal(state.outcome[task] ?? 0))) faults.push('not its turn');
    return faults;
  }
  const runs = (task: number): boolean => verdict(state, task) === RUN && takesPlace(graph, task);
  const holders = atWork.filter((task) => state.waiting.has(task) || runs(task));
  if (holders.filter((task) => takesPlace(graph, task)).length > (graph.places ?? Infinity)) faults.push('more than there are places');
  if (rest.some((task) => !runs(task))) faults.push('what takes no place was left');
  if (graph.places === undefined && rest.length > 0) faults.push('something was left');
  const rankOf = (task: number): number => graph.rank?.[task] ?? 0;
  const overtaken = rest.some((left) => begun.some((task) => runs(task) && rankOf(task) > rankOf(left)));
  if (overtaken) faults.push('a task of a higher rank went first');
  return faults;
}

/** Drives a graph by `next` alone, finishing what was started in a random order; some of it waits first. */
function drive(ordered: Ordered, random: () => number): { state: GraphState; faults: string[]; largest: number } {
  const { graph, behaviour } = ordered;
  const state = createState(graph);
  const running: number[] = [];
  const faults: string[] = [];
  const waited = new Set<number>();
  let [seq, largest] = [0, 0];
  for (let turn = 0; state.open > 0 && turn < 1_000; turn++) {
    const before = readyOf(state).filter((task) => !state.busy.has(task));
    const steps = next(state, null, 500);
    faults.push(...faultsOf(ordered, state, { steps, before }));
    running.push(...steps.effects, ...steps.roots);
    largest = Math.max(largest, running.length);
    const [task = -1] = running.splice(graph.inTurn ? 0 : Math.floor(random() * running.length), 1);
    // of roots that go one at a time the first is at work; the time of the segment is up when it ends
    if (graph.inTurn) for (const left of running.splice(0)) state.busy.delete(left);
    const decided = verdict(state, task);
    const waits = decided === RUN && graph.classes[task] !== 0 && !waited.has(task) && random() < 0.3;
    waited.add(task);
    const outcome = waits ? WAITING : decided === RUN ? (behaviour[task]?.ends ?? COMPLETED) : decided;
    state.busy.delete(task);
    record(state, { task, outcome, seq: ++seq, branch: outcome === COMPLETED ? (behaviour[task]?.take ?? 0) : 0 });
    if (waits) running.push(task);
  }
  if (state.open > 0) faults.push('does not end');
  return { state, faults, largest };
}

test('4,000 random graphs break no rule of their strategy at any step, and end as the reference model says', () => {
  const seen: Record<string, number> = {};
  for (let seed = 1; seed <= 4_000; seed++) {
    const random = aRandom(seed);
    const ordered = anOrderedGraph(random);
    const { state, faults, largest } = drive(ordered, random);
    const model = expected(ordered);
    expect({ seed, used: ordered.used, faults, outcomes: state.outcome.map(statusOf), status: decide(state, null) }).toEqual({
      ...{ seed, used: ordered.used, faults: [] },
      ...{ outcomes: model.outcomes.map(statusOf), status: model.status },
    });
    seen[ordered.used] = Math.max(seen[ordered.used] ?? 0, largest);
  }
  expect(Object.keys(seen).sort()).toEqual([...USED].sort());
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(3);
});

test('tasks go one at a time as they were written, each after what it depends on', () => {
  const tasks = { z: text, late: after(text, 'a'), m: call, a: after(text, 'z') };
  expect(planOf(tasks, { strategy: 'sequential' }).graph).toMatchObject({ names: ['z', 'm', 'a', 'late'], inTurn: 1 });
  expect(planOf(tasks).graph.names).toEqual(['m', 'z', 'a', 'late']);
  expect(planOf(tasks).graph).not.toHaveProperty('inTurn');
  const last = { y: text, x: text };
  expect(planOf(tasks, { strategy: 'sequential', finally: last }).graph.names).toEqual(['z', 'm', 'a', 'late', 'y', 'x']);
});

test('a sequence of 10,000 tasks takes no time to speak of, whichever way they were written', () => {
  const ids = Array.from({ length: 10_000 }, (_, i) => `t${i}`);
  const free = new Map(ids.map((id) => [id, []]));
  expect(sequenceOf(free, [...ids].reverse())).toEqual([...ids].reverse());
  const fan = new Map(ids.map((id, i) => [id, i === 0 ? [] : [{ task: 't0' }]]));
  expect(sequenceOf(fan, [...ids].reverse())).toEqual(['t0', ...ids.slice(1).reverse()]);
});

test('adaptive: few tasks one at a time, independent ones in parallel, the rest balanced; and it says why', () => {
  const told = (tasks: JsonObject, more: JsonObject = { strategy: 'adaptive' }) => Object.values(tellStrategy(planOf(tasks, more)));
  const three = { a: text, b: text, c: after(text, 'a') };
  expect(told(three)).toEqual(['sequential', 'adaptive: at most 3 tasks']);
  expect(told({ ...three, c: text, d: text })).toEqual(['parallel', 'adaptive: no task depends on another']);
  expect(told({ ...three, d: text })).toEqual(['balanced', 'adaptive: more than 3 tasks, and some depend on others']);
  expect(told({ ...three, d: text }, { strategy: 'priority_based' })).toEqual(['priority_based', 'it was asked for']);
  expect(told(three, {})).toEqual(['parallel', 'no strategy was asked for']);
});

test('without the key a plan is what it was before there was one; parallel changes nothing but what is told', () => {
  const tasks = { a: call, b: after(text, 'a') };
  const { strategy, ...rest } = planOf(tasks, { strategy: 'parallel' });
  expect(strategy).toEqual({ asked: 'parallel', used: 'parallel', why: 'asked' });
  expect(rest).toEqual(planOf(tasks));
  expect(planOf(tasks, { maxConcurrency: 2 })).toEqual({ ...rest, graph: { ...rest.graph, places: 2 } });
});

test('a higher priority goes first, then the longer way behind, then what was written first', () => {
  const tasks = {
    plain: call,
    low: { ...call, priority: 'low' },
    long: call,
    critical: { ...call, priority: 'critical' },
    high: { ...call, priority: 'high' },
    next: after(call, 'long'),
  };
  const order = (strategy: string): (string | undefined)[] => {
    const { names, rank = [] } = planOf(tasks, { strategy }).graph;
    return names.map((_, place) => names[rank.indexOf(place)]);
  };
  expect(order('priority_based')).toEqual(['critical', 'high', 'plain', 'long', 'next', 'low']);
  expect(order('balanced')).toEqual(['critical', 'high', 'long', 'plain', 'next', 'low']);
});

test('what was begun before keeps its place: after a lost worker, and when its turn in a line has come', () => {
  const { graph } = planOf({ a: call, b: call, c: { ...call, priority: 'critical' } }, { strategy: 'priority_based', maxConcurrency: 1 });
  const lost = createState(graph);
  recordRows(lost, [['b', 'running', 3]]);
  expect(next(lost, null, 9).effects.map((task) => graph.names[task])).toEqual(['b']);
  const inLine = createState(graph);
  const b = graph.names.indexOf('b');
  record(inLine, { task: b, outcome: WAITING, seq: 3 });
  expect(next(inLine, null, 9).effects).toEqual([]);
  record(inLine, { task: b, outcome: 0, seq: 4 });
  expect(next(inLine, null, 9).effects).toEqual([b]);
});

test('what has begun keeps its place while it is paused, though its run is read anew', () => {
  const { graph } = planOf({ a: call, b: call }, { maxConcurrency: 1 });
  const state = createState(graph);
  state.held = new Set([0]);
  recordRows(state, [['a', 'retrying', 3]]);
  expect(next(state, null, 9)).toEqual({ effects: [], roots: [] });
  expect(heldBack(state)).toEqual([{ task: 1, why: 'max_concurrency', by: [0], position: 1 }]);
  state.held = new Set();
  expect(next(state, null, 9).effects).toEqual([0]);
});

test('an effect whose end is known frees its place, though its activity goes on with others', () => {
  const { graph } = planOf({ a: call, b: call, c: call }, { maxConcurrency: 2 });
  const state = createState(graph);
  expect(next(state, null, 500).effects).toEqual([0, 1]);
  record(state, { task: 0, outcome: COMPLETED, seq: 1 });
  expect(next(state, null, 500).effects).toEqual([2]);
});

test('maps over effects and children take a place each, waits and what is computed none', () => {
  const each = { ...call, map: { items: [1, 2] } };
  const child = { type: 'workflow', with: { name: 'other' } };
  const wait = { type: 'wait', with: { for: 'PT1S' } };
  const { graph } = planOf({ a: each, b: child, c: wait, d: text, e: call }, { maxConcurrency: 2 });
  const state = createState(graph);
  const names = (tasks: number[]) => tasks.map((task) => graph.names[task]);
  const first = next(state, null, 500);
  expect([names(first.roots), names(first.effects)]).toEqual([['a', 'b', 'c', 'd'], []]);
  state.busy.clear();
  for (const task of [0, 1, 2]) record(state, { task, outcome: WAITING, seq: task + 1 });
  record(state, { task: 3, outcome: COMPLETED, seq: 5 });
  expect(next(state, null, 500)).toEqual({ effects: [], roots: [] });
  record(state, { task: 1, outcome: COMPLETED, seq: 6 });
  expect(names(next(state, null, 500).effects)).toEqual(['e']);
});

test('a task that is held holds up those after it, one at a time; others pass it where there is room', () => {
  const tasks = { a: text, b: text, c: text, d: text };
  const sequence = createState(planOf(tasks, { strategy: 'sequential' }).graph);
  sequence.held = new Set([1]);
  expect(next(sequence, null, 9).roots).toEqual([0]);
  const ranked = createState(planOf(tasks, { strategy: 'balanced' }).graph);
  ranked.held = new Set([1]);
  expect(next(ranked, null, 9).roots).toEqual([0, 2, 3]);
});

const issuesOf = (tasks: JsonObject, more: JsonObject) =>
  readDefinitionValue(define(tasks, more)).issues.map(({ code, pointer }) => `${code} ${pointer}`);

test.each<[string, JsonObject, JsonObject, string[]]>([
  ['a strategy that is none', { a: call }, { strategy: 'fast' }, ['invalid_value /strategy']],
  ['no place', { a: call }, { maxConcurrency: 0 }, ['invalid_value /maxConcurrency']],
  ['too many places', { a: call }, { maxConcurrency: 501 }, ['invalid_value /maxConcurrency']],
  ['the most places', { a: call }, { maxConcurrency: 500 }, []],
  ['places one at a time', { a: call }, { strategy: 'sequential', maxConcurrency: 2 }, ['not_applicable /maxConcurrency']],
  ['a priority that nobody looks at', { a: { ...call, priority: 'high' } }, {}, ['not_applicable /tasks/a/priority']],
  [
    'one in finally',
    { a: call },
    { strategy: 'sequential', finally: { z: { ...call, priority: 'low' } } },
    ['not_applicable /finally/z/priority'],
  ],
  ['a priority that is none', { a: { ...call, priority: 'medium' } }, { strategy: 'balanced' }, ['invalid_value /tasks/a/priority']],
  ['a priority that adaptive may look at', { a: { ...call, priority: 'low' } }, { strategy: 'adaptive' }, []],
])('%s', (_, tasks, more, issues) => {
  expect(issuesOf(tasks, more)).toEqual(issues);
});

test('two orders of tasks are two definitions only where the strategy looks at the order', () => {
  const order = (more: JsonObject) => {
    const [one, other] = [
      { a: text, b: text },
      { b: text, a: text },
    ].map((tasks) => JSON.stringify(planOf(tasks, more)));
    return one === other;
  };
  expect([order({}), order({ strategy: 'parallel' }), order({ strategy: 'sequential' }), order({ strategy: 'balanced' })]).toEqual([
    ...[true, true, false, false],
  ]);
});
