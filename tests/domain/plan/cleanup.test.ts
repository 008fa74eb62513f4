import { expect, test } from '@jest/globals';
import { cleanupOf } from '../../../src/domain/plan/cleanup.ts';
import { next } from '../../../src/domain/plan/next.ts';
import { COMPENSATED, COMPLETED, FAILED, isFinal, PENDING, statusOf, TIMED_OUT } from '../../../src/domain/plan/outcome.ts';
import { COMPENSATE, countedTasks, FINALLY, mainTasks, undoneBy } from '../../../src/domain/plan/phases.ts';
import { resetOf } from '../../../src/domain/plan/reset.ts';
import { createState, decide, enter, record, RUN, verdict, type GraphState } from '../../../src/domain/plan/state.ts';
import { aRandom, aRandomGraph, expected, type RandomGraph } from '../../support/aGraph.ts';

/** A random graph in which some tasks can be undone and some run last. */
function aGraphThatCleansUp(random: () => number): RandomGraph {
  const made = aRandomGraph(random, 10);
  const main = made.graph.names.length;
  const last = Math.floor(random() * 3);
  const undoes = made.graph.names.flatMap((_, task) => (random() < 0.4 ? [task] : []));
  const more = [...Array.from({ length: last }, (_, i) => `last${i}`), ...undoes.map((task) => `t${task}.compensate`)];
  const { graph } = made;
  graph.names.push(...more);
  graph.kinds.push(...more.map(() => 'transform'));
  graph.classes.push(...more.map(() => Number(random() < 0.5)));
  graph.deps.push(...more.map((_, i): [number, number][] => (i > 0 && i < last ? [[main + i - 1, 0b1111110]] : [])));
  graph.need.push(...more.map(() => 0));
  graph.tolerant.push(...more.map((): 0 => 0));
  if (last > 0) graph.finally = main;
  if (undoes.length > 0) graph.undoes = undoes;
  return made;
}

type Play = {
  random: () => number;
  state: GraphState;
  seq: number;
  ends: (task: number) => number;
  take: (task: number) => number;
  order: number[];
};

/** Ends what `next` starts in a random order, with pauses and tasks that are held for a while, until nothing of the phase is open. */
function drive(play: Play): void {
  const { state, random } = play;
  const running: number[] = [];
  for (let turn = 0; state.open > 0; turn++) {
    if (turn > 2_000) throw new Error('does not end');
    if (random() < 0.1) {
      expect(next(state, 'pause', 3)).toEqual({ effects: [], roots: [] });
      continue;
    }
    state.held = new Set(random() < 0.2 && turn < 1_000 ? state.graph.names.map((_, task) => task).filter(() => random() < 0.5) : []);
    const steps = next(state, null, 3);
    const begun = [...steps.effects, ...steps.roots];
    expect(begun.filter((task) => state.held.has(task))).toEqual([]);
    if (state.phase === COMPENSATE) expect(running.length + begun.length).toBeLessThanOrEqual(1);
    running.push(...begun);
    if (running.length === 0) continue;
    const [task = -1] = running.splice(Math.floor(random() * running.length), 1);
    const decided = verdict(state, task);
    const outcome = decided === RUN ? play.ends(task) : decided;
    play.order.push(task);
    state.busy.delete(task);
    record(state, {
      ...{ task, outcome, seq: ++play.seq, generation: state.generation[task] ?? 0 },
      branch: outcome === COMPLETED ? play.take(task) : 0,
    });
  }
}

/** Lives a run to its end as the engine does. @returns how it ends, and what was undone, in this order */
function live(play: Play): { status: string; undone: number[] } {
  const { state } = play;
  drive(play);
  const status = decide(state, null);
  const cleanup = cleanupOf(state, status);
  const undone: number[] = [];
  if (cleanup?.phase === COMPENSATE) {
    const since = play.order.length;
    for (const task of cleanup.begin) {
      const generation = state.generation[undoneBy(state.graph, task) ?? 0] ?? 0;
      record(state, { task, outcome: PENDING, seq: ++play.seq, generation });
    }
    enter(state, COMPENSATE);
    drive(play);
    undone.push(...play.order.slice(since).map((task) => undoneBy(state.graph, task) ?? -1));
    for (const task of undone) record(state, { task, outcome: COMPENSATED, seq: ++play.seq, generation: state.generation[task] ?? 0 });
  }
  if (cleanup) {
    enter(state, FINALLY);
    drive(play);
  }
  return { status, undone };
}

test('10,000 random graphs end as the model says, are undone in reverse order, and end well when they are tried again', () => {
  for (let seed = 1; seed <= 10_000; seed++) {
    const random = aRandom(seed * 31);
    const made = aGraphThatCleansUp(random);
    const { graph, behaviour } = made;
    const main = mainTasks(graph);
    const model = expected({ graph: { ...graph, deps: graph.deps.slice(0, main) }, behaviour });
    const play: Play = {
      ...{ random, state: createState(graph), seq: 0, order: [] },
      ends: (task) => behaviour[task]?.ends ?? COMPLETED,
      take: (task) => behaviour[task]?.take ?? 0,
    };
    const { status, undone } = live(play);
    const { state, order } = play;
    const wanted = model.outcomes.map((outcome, task) =>
      model.status === 'failed' && outcome === COMPLETED && graph.undoes?.includes(task) ? 'compensated' : statusOf(outcome),
    );
    expect({ seed, status, outcomes: state.outcome.slice(0, main).map(statusOf) }).toEqual({
      seed,
      status: model.status,
      outcomes: wanted,
    });
    expect(undone).toEqual(order.filter((task) => undone.includes(task)).reverse());
    const last = order.findIndex((task) => task >= main);
    expect(order.slice(last < 0 ? order.length : last).every((task) => task >= main)).toBe(true);
    if (model.status === 'failed') tryAgain(play, made);
  }
});

/** What failed succeeds the second time: then the run does, and what had completed and was not undone has not run again. */
function tryAgain({ random, state: before, seq }: Play, { graph, behaviour }: RandomGraph): void {
  const { tasks } = resetOf(before);
  const again = new Set(tasks);
  const kept = before.outcome.flatMap((outcome, task) => (task < mainTasks(graph) && !again.has(task) ? [{ task, outcome }] : []));
  for (const { outcome } of kept) expect([COMPLETED, 3].includes(outcome)).toBe(true);
  const healed = behaviour.map((one) => (one.ends === FAILED || one.ends === TIMED_OUT ? { ...one, ends: COMPLETED } : one));
  const state = createState(graph);
  for (const { task, outcome } of kept) record(state, { task, outcome, seq: before.seq[task] ?? 0, branch: before.branch[task] ?? 0 });
  let at = seq;
  for (const task of tasks) record(state, { task, outcome: PENDING, seq: ++at, generation: 1 });
  const play: Play = {
    ...{ random, state, seq: at, order: [] },
    ends: (task) => healed[task]?.ends ?? COMPLETED,
    take: (task) => healed[task]?.take ?? 0,
  };
  expect(live(play).status).toBe('completed');
  expect(play.order.every((task) => again.has(task) || task >= countedTasks(graph))).toBe(true);
  expect(state.outcome.slice(0, countedTasks(graph)).every(isFinal)).toBe(true);
  const main = mainTasks(graph);
  const model = expected({ graph: { ...graph, deps: graph.deps.slice(0, main) }, behaviour: healed });
  expect(state.outcome.slice(0, main).map(statusOf)).toEqual(model.outcomes.map(statusOf));
}
