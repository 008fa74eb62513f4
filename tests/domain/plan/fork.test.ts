import { expect, test } from '@jest/globals';
import { forkOf, type Fork, type ForkWish, type Why } from '../../../src/domain/plan/fork.ts';
import { COMPENSATED, COMPLETED, PENDING, SKIPPED, statusOf, type Outcome } from '../../../src/domain/plan/outcome.ts';
import type { Graph } from '../../../src/domain/plan/plan.ts';
import { createState, record, RUN, verdict } from '../../../src/domain/plan/state.ts';
import { aRandom, aRandomGraph, expected, type RandomGraph } from '../../support/aGraph.ts';

const KEEPABLE: readonly Outcome[] = [COMPLETED, SKIPPED];

/** How the tasks of a random graph ended in a run that was broken off somewhere and undone in part. */
function anEnd(random_graph: RandomGraph, random: () => number): Outcome[] {
  const { outcomes } = expected(random_graph);
  const until = random() < 0.5 ? outcomes.length : Math.floor(random() * outcomes.length);
  return outcomes.map((outcome, task) => {
    if (task >= until) return PENDING;
    return outcome === COMPLETED && random() < 0.05 ? COMPENSATED : outcome;
  });
}

function aWish({ graph }: RandomGraph, outcomes: readonly Outcome[], random: () => number): ForkWish {
  const some = (share: number) => graph.names.flatMap((_, task) => (random() < share ? [task] : []));
  const ended = new Map(outcomes.map((outcome, task) => [task, statusOf(outcome)]));
  const direct = new Map(some(0.1).map((task): [number, Why] => [task, { type: 'asked' }]));
  return { ended, direct, given: new Set(some(0.05)), partial: new Set(some(0.5)) };
}

/** All that a task depends on, directly or not. */
function dependenciesOf(graph: Graph, task: number, found = new Set<number>()): Set<number> {
  for (const [dependency] of graph.deps[task] ?? []) {
    if (!found.has(dependency)) dependenciesOf(graph, dependency, found.add(dependency));
  }
  return found;
}

/** What is wrong with a fork, in words; told without looking at how it is decided. */
function faultsOf(graph: Graph, { ended, direct, given }: ForkWish, fork: Fork): string[] {
  const faults: string[] = [];
  const kept = new Set(fork.kept);
  const goesAnew = (task: number) => fork.again.has(task) || given.has(task);
  graph.names.forEach((name, task) => {
    const places = [kept.has(task), fork.again.has(task), fork.given.includes(task)].filter(Boolean).length;
    if (places !== 1) faults.push(`${name} is in ${places} places`);
    if (given.has(task) !== fork.given.includes(task)) faults.push(`${name} is given or not`);
  });
  for (const task of kept) {
    for (const dependency of dependenciesOf(graph, task))
      if (goesAnew(dependency)) faults.push(`t${task} is kept and depends on t${dependency}`);
    if (!['completed', 'skipped'].includes(ended.get(task) ?? '')) faults.push(`t${task} is kept and was ${String(ended.get(task))}`);
    if (direct.has(task)) faults.push(`t${task} is kept and has a reason to run`);
  }
  for (const task of fork.keepItems) {
    if (fork.again.get(task)?.type !== 'unfinished') faults.push(`t${task} keeps items and runs again for more than its own end`);
    for (const dependency of dependenciesOf(graph, task))
      if (goesAnew(dependency)) faults.push(`t${task} keeps items and depends on t${dependency}`);
  }
  for (const [task, why] of fork.again) {
    const isSo =
      why.type === 'unfinished'
        ? !['completed', 'skipped'].includes(why.status) && why.status === ended.get(task)
        : why.type === 'depends'
          ? goesAnew(why.on) && graph.deps[task]?.some(([dependency]) => dependency === why.on)
          : direct.get(task) === why;
    if (!isSo) faults.push(`t${task} runs again for no reason: ${JSON.stringify(why)}`);
  }
  return faults;
}

test('of 3,000 random runs: what runs again has a reason, and nothing kept depends on it', () => {
  const seen = { kept: 0, again: 0, given: 0, items: 0 };
  for (let seed = 1; seed <= 3_000; seed++) {
    const random = aRandom(seed);
    const random_graph = aRandomGraph(random);
    const wish = aWish(random_graph, anEnd(random_graph, random), random);
    const fork = forkOf(random_graph.graph, wish);
    expect({ seed, faults: faultsOf(random_graph.graph, wish, fork) }).toEqual({ seed, faults: [] });
    seen.kept += fork.kept.length;
    seen.again += fork.again.size;
    seen.given += fork.given.length;
    seen.items += fork.keepItems.length;
  }
  expect(Math.min(seen.kept, seen.again, seen.given, seen.items)).toBeGreaterThan(500);
});

/** Runs what is left of a graph, whose tasks do as they did before. @returns all outcomes */
function finish({ graph, behaviour }: RandomGraph, kept: readonly { task: number; outcome: Outcome }[]): Outcome[] {
  const state = createState(graph);
  let seq = 0;
  const end = (task: number, outcome: Outcome) =>
    record(state, { task, outcome, seq: ++seq, branch: outcome === COMPLETED ? (behaviour[task]?.take ?? 0) : 0 });
  for (const { task, outcome } of kept) end(task, outcome);
  for (let [task] = state.ready; task !== undefined; [task] = state.ready) {
    const decided = verdict(state, task);
    end(task, decided === RUN ? (behaviour[task]?.ends ?? COMPLETED) : decided);
  }
  return state.outcome;
}

test('a fork in which nothing has changed ends as a run from the start: 2,000 random runs', () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = aRandom(seed);
    const random_graph = aRandomGraph(random);
    const outcomes = anEnd(random_graph, random);
    const { kept } = forkOf(random_graph.graph, { ...aWish(random_graph, outcomes, random), given: new Set() });
    const seeds = kept.map((task) => ({ task, outcome: outcomes[task] ?? PENDING }));
    expect(seeds.every(({ outcome }) => KEEPABLE.includes(outcome))).toBe(true);
    expect({ seed, outcomes: finish(random_graph, seeds) }).toEqual({ seed, outcomes: expected(random_graph).outcomes });
  }
});
