import { isFinal } from './outcome.ts';
import { CONTROL, EFFECT, INLINE, type Graph } from './plan.ts';
import type { GraphState } from './state.ts';

/** Kinds that wait by themselves: nothing is at work meanwhile. */
const PASSIVE: ReadonlySet<string> = new Set(['wait', 'event', 'approval']);

/** Whether a task counts in `maxConcurrency`: it touches the outside, is mapped over what does, or starts another run. */
export const takesPlace = ({ classes, kinds }: Graph, task: number): boolean =>
  classes[task] === EFFECT || (classes[task] === CONTROL && !PASSIVE.has(kinds[task] ?? ''));

/** Tasks that have a place. One that has begun keeps it until it has ended, through retries, waiting lines and pauses. */
export function placed({ graph, outcome, busy, waiting, resumed, held }: GraphState): Set<number> {
  const paused = [...resumed].filter((task) => held.has(task));
  return new Set([...busy, ...waiting, ...paused].filter((task) => takesPlace(graph, task) && !isFinal(outcome[task] ?? 0)));
}

/** How many more of them may begin. */
export const freePlaces = (state: GraphState): number =>
  state.graph.places === undefined ? Number.POSITIVE_INFINITY : state.graph.places - placed(state).size;

/** Whether whoever settles a task may begin another one that this has released: only the workflow knows which places are free. */
export const mayOwn =
  ({ graph }: Pick<GraphState, 'graph'>) =>
  (task: number): boolean =>
    graph.classes[task] === INLINE || (graph.classes[task] === CONTROL && (graph.places === undefined || !takesPlace(graph, task)));
