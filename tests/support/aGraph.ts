import { COMPLETED, FAILED, isFinal, SKIPPED, BLOCKED, TIMED_OUT, type Outcome } from '../../src/domain/plan/outcome.ts';
import type { Edge, Graph } from '../../src/domain/plan/plan.ts';

/** A small seeded generator (mulberry32): the same seed gives the same graphs. */
export function aRandom(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const ALL_FINAL = 0b1111110;
const MASKS = [0b10, 0b10, 0b10, 0b10, 0b1010, ALL_FINAL, 0b100100, 0b110];

/** Three of four tasks need all their dependencies, the others one or some. */
const needOf = (x: number, dependencies: number): number => (x < 0.25 ? 1 + Math.floor(x * 4 * dependencies) : 0);

/** The join that gives this `need`, as a definition writes it. */
export const joinOf = (need = 0): { join?: 'any' | { quorum: number } } =>
  need === 0 ? {} : { join: need === 1 ? 'any' : { quorum: need } };

/** What a task of a random graph does when it runs. `take` is the branch of a switch. */
export type Behaviour = { ends: Outcome; take: number };
export type RandomGraph = { graph: Graph; behaviour: Behaviour[] };

/** Up to `max` tasks with conditions, joins, failures, switches and `onError: continue`; dependencies point at lower indexes. */
export function aRandomGraph(random: () => number, max = 14): RandomGraph {
  const size = 1 + Math.floor(random() * max);
  const graph: Graph = { names: [], kinds: [], classes: [], deps: [], need: [], tolerant: [], failFast: 0 };
  const behaviour: Behaviour[] = [];
  for (let task = 0; task < size; task++) {
    const picked = task === 0 ? [] : [...new Set(Array.from({ length: Math.floor(random() * 4) }, () => Math.floor(random() * task)))];
    const deps = picked.map((dependency): Edge => {
      const mask = MASKS[Math.floor(random() * MASKS.length)] ?? 0b10;
      return graph.kinds[dependency] === 'switch' ? [dependency, mask | 0b10, [Math.floor(random() * 3)]] : [dependency, mask];
    });
    const x = random();
    graph.names.push(`t${task}`);
    graph.kinds.push(random() < 0.15 ? 'switch' : 'transform');
    graph.classes.push(random() < 0.3 ? 1 : 0);
    graph.deps.push(deps);
    graph.need.push(deps.length > 1 ? needOf(random(), deps.length) : 0);
    graph.tolerant.push(random() < 0.15 ? 1 : 0);
    behaviour.push({ ends: x < 0.12 ? FAILED : x < 0.16 ? TIMED_OUT : x < 0.28 ? SKIPPED : COMPLETED, take: Math.floor(random() * 3) });
  }
  return { graph, behaviour };
}

/**
 * The reference model: outcomes straight from the words of the definition format, in topological order.
 * @param pinned outcomes of tasks that somebody settled by hand, or that are kept of another run
 */
export function expected(
  { graph, behaviour }: RandomGraph,
  pinned: ReadonlyMap<number, Outcome> = new Map(),
): { outcomes: Outcome[]; status: 'completed' | 'failed' } {
  const outcomes: Outcome[] = [];
  const accepts = (task: number, [dependency, mask, branches]: Edge): boolean => {
    const outcome = outcomes[dependency] ?? 0;
    if (outcome === COMPLETED && branches && !branches.includes(behaviour[dependency]?.take ?? -1)) return false;
    return ((mask >> outcome) & 1) === 1 && task >= 0;
  };
  graph.deps.forEach((edges, task) => {
    const matching = edges.filter((edge) => accepts(task, edge)).length;
    const broken = edges.some((edge) => !accepts(task, edge) && ![COMPLETED, SKIPPED].includes(outcomes[edge[0]] ?? 0));
    const need = graph.need[task] ?? 0;
    const known = pinned.get(task);
    if (known !== undefined) outcomes[task] = known;
    else if (matching >= (need > 0 ? need : edges.length)) outcomes[task] = behaviour[task]?.ends ?? COMPLETED;
    else outcomes[task] = broken ? BLOCKED : SKIPPED;
  });
  const fails = outcomes.some(
    (outcome, task) =>
      (outcome === FAILED || outcome === TIMED_OUT) &&
      graph.tolerant[task] === 0 &&
      !graph.deps.some(
        (edges, dependant) => outcomes[dependant] === COMPLETED && edges.some((edge) => edge[0] === task && accepts(dependant, edge)),
      ),
  );
  if (!outcomes.every(isFinal)) throw new Error('the model left a task open');
  return { outcomes, status: fails ? 'failed' : 'completed' };
}
