import { isFinal } from './outcome.ts';
import { CONTROL, EFFECT, INLINE, type Graph } from './plan.ts';
import type { GraphState } from './state.ts';

/** Kinds that wait by themselves: nothing is at work meanwhile. */
const PASSIVE: ReadonlySet<string> = new Set(['wait', 'event', 'approval']);

/** Whether a task counts in `maxConcurrency`: it touches the outside, is mapped over what does, or starts another run. */
export const takesPlace = ({ classes, kinds }: Graph, task: number): boolean =>
  classes[task] === EFFECT || (classes[task] === CONTROL && !PASSIVE.has(kinds[task] ?? ''));

/** How many more of them may begin. One that has begun keeps its place until it has ended, through retries and waiting lines. */
export function freePlaces(state: GraphState): number {
  const { places } = state.graph;
  if (places === undefined) return Number.POSITIVE_INFINITY;
  let taken = 0;
  for (const task of new Set([...state.busy, ...state.waiting]))
    taken += Number(takesPlace(state.graph, task) && !isFinal(state.outcome[task] ?? 0));
  return places - taken;
}

/** Whether whoever settles a task may begin another one that this has released: only the workflow knows which places are free. */
export const mayOwn =
  ({ graph }: Pick<GraphState, 'graph'>) =>
  (task: number): boolean =>
    graph.classes[task] === INLINE || (graph.classes[task] === CONTROL && (graph.places === undefined || !takesPlace(graph, task)));
