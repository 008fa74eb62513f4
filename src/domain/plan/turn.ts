import { EFFECT } from './plan.ts';
import { RUN, verdict, type GraphState } from './state.ts';

/**
 * What begins in a run whose tasks go one at a time, in the order of their numbers; nothing while one is at work, waits or is
 * held. An effect begins alone; of inline tasks all that are ready up to the next effect are named, for a segment that takes
 * them one after the other.
 */
export function turnOf(state: GraphState): number[] {
  const open = [...state.ready, ...state.waiting].sort((a, b) => a - b);
  const cannot = (task: number): boolean => state.waiting.has(task) || state.busy.has(task) || state.held.has(task);
  const isEffect = (task: number): boolean => state.graph.classes[task] === EFFECT && verdict(state, task) === RUN;
  const [first] = open;
  if (first !== undefined && isEffect(first)) return cannot(first) ? [] : [first];
  const end = open.findIndex((task) => cannot(task) || isEffect(task));
  return end < 0 ? open : open.slice(0, end);
}

/** Tasks that are ready, in the order in which they take what room there is: those that had begun before, then by rank. */
export function inOrder({ graph, ready, resumed }: GraphState): Iterable<number> {
  const { rank, places } = graph;
  if (rank === undefined && places === undefined) return ready;
  const rankOf = (task: number): number => rank?.[task] ?? 0;
  return [...ready].sort((a, b) => Number(resumed.has(b)) - Number(resumed.has(a)) || rankOf(a) - rankOf(b));
}
