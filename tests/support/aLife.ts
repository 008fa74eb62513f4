import { COMPENSATED, COMPLETED, FAILED, SKIPPED, TIMED_OUT, type Outcome } from '../../src/domain/plan/outcome.ts';
import { countedTasks, mainTasks } from '../../src/domain/plan/phases.ts';
import { EFFECT, type Graph, type LoopPlan } from '../../src/domain/plan/plan.ts';
import { aRandomGraph, expected, type Behaviour } from './aGraph.ts';

/**
 * What a task of a random run does. `tries`: of an effect, whether its attempts end well, one after the other, for ever after
 * the last; one that does not counts against `limit`. `meets`: with how many rounds the condition of its loop holds.
 */
export type Does = Behaviour & { tries: boolean[]; limit: number; loop?: Pick<LoopPlan, 'max' | 'onExhausted'>; meets: number };
/** A graph in which some tasks can be undone, some run last, and effects are tried again and loop. */
export type Life = { graph: Graph; does: Does[] };

const TRIES = 8;

/** How a task behaves that ends as `ends` unless its tries or its loop make something else of it. */
export function aBehaviour(random: () => number, { ends, take }: Behaviour, isEffect: boolean): Does {
  const plain = { ends, take, tries: [], limit: 0, meets: 1 };
  if (!isEffect || ends === SKIPPED) return plain;
  const limit = Math.floor(random() * 4);
  if (ends !== COMPLETED) return { ...plain, limit, tries: [false] };
  const tries = Array.from({ length: TRIES }, () => random() < 0.75);
  const onExhausted = random() < 0.5 ? 'fail' : 'continue';
  const loop = random() < 0.5 ? { loop: { max: 1 + Math.floor(random() * 4), onExhausted } as const } : {};
  return { ...plain, limit, tries, ...loop, meets: 1 + Math.floor(random() * 5) };
}

export function aLife(random: () => number): Life {
  const { graph, behaviour } = aRandomGraph(random, 10);
  const main = graph.names.length;
  const last = Math.floor(random() * 3);
  const undoes = graph.names.flatMap((_, task) => (random() < 0.4 ? [task] : []));
  const more = [...Array.from({ length: last }, (_, i) => `last${i}`), ...undoes.map((task) => `t${task}.compensate`)];
  graph.names.push(...more);
  graph.kinds.push(...more.map(() => 'transform'));
  graph.classes.push(...more.map(() => Number(random() < 0.5)));
  graph.deps.push(...more.map((_, i): [number, number][] => (i > 0 && i < last ? [[main + i - 1, 0b1111110]] : [])));
  graph.need.push(...more.map(() => 0));
  graph.tolerant.push(...more.map((): 0 => 0));
  if (last > 0) graph.finally = main;
  if (undoes.length > 0) graph.undoes = undoes;
  if (random() < 0.1) graph.failFast = 1;
  const cleaning = more.map((): Behaviour => ({ ends: random() < 0.1 ? FAILED : COMPLETED, take: 0 }));
  return { graph, does: [...behaviour, ...cleaning].map((each, task) => aBehaviour(random, each, graph.classes[task] === EFFECT)) };
}

/** What becomes of a task that runs, by the words about retries and loops: a round is tried again as long as the task may be. */
function endOf({ ends, tries, limit, loop, meets }: Does): Outcome {
  if (tries.length === 0) return ends;
  let [rounds, failures] = [0, 0];
  for (let i = 0; ; i++) {
    if (tries[Math.min(i, tries.length - 1)]) rounds++;
    else failures++;
    if (failures > limit) return ends === TIMED_OUT ? TIMED_OUT : FAILED;
    if (rounds > 0 && (!loop || rounds >= meets)) return COMPLETED;
    if (loop && rounds >= loop.max) return loop.onExhausted === 'fail' ? FAILED : COMPLETED;
  }
}

/** What the reference model says of a run: of tasks that settle, how it ends, and what of it is undone then. */
export function expectedLife(
  { graph, does }: Life,
  pinned: ReadonlyMap<number, Outcome>,
): { outcomes: Outcome[]; status: 'completed' | 'failed'; undone: (outcome: Outcome, task: number) => Outcome; last: Outcome[] } {
  const main = mainTasks(graph);
  const behaviour = does.map((each) => ({ ...each, ends: endOf(each) }));
  const model = expected({ graph: { ...graph, deps: graph.deps.slice(0, main) }, behaviour }, pinned);
  const compensation = (task: number): Does | undefined => {
    const at = graph.undoes?.indexOf(task) ?? -1;
    return at < 0 ? undefined : does[countedTasks(graph) + at];
  };
  const undone = (outcome: Outcome, task: number): Outcome => {
    const by = compensation(task);
    return outcome === COMPLETED && by && endOf(by) === COMPLETED ? COMPENSATED : outcome;
  };
  const last = does.slice(main, countedTasks(graph)).map((each, i) => pinned.get(main + i) ?? endOf(each));
  return { ...model, undone, last };
}
