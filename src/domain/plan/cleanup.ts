import { CANCELLED, COMPLETED, FAILED, TIMED_OUT, type ClosedStatus } from './outcome.ts';
import { COMPENSATE, countedTasks, FINALLY, undoneBy, type Phase } from './phases.ts';
import type { GraphState, Intent } from './state.ts';

/** What follows when the tasks of a run have settled; null: its end. */
type Cleanup = { phase: Phase; begin: number[] } | null;

/**
 * Compensations of what was completed come first, if the run did not succeed; then `finally`. A forced end leaves both out.
 * @param status how the run ends
 */
export function cleanupOf(state: GraphState, status: ClosedStatus, intent: Intent | null = null): Cleanup {
  const { graph } = state;
  if (intent === 'force') return null;
  const begin =
    status === 'completed' ? [] : (graph.undoes ?? []).flatMap((undone, i) => (isUndoable(state, undone) ? [countedTasks(graph) + i] : []));
  if (begin.length > 0) return { phase: COMPENSATE, begin };
  return graph.finally === undefined ? null : { phase: FINALLY, begin };
}

/** The generation in which a compensation begins: that of what it undoes, or, if it was tried in that before, the next one. */
export function generationOfUndoing({ graph, generation, begun }: GraphState, compensation: number): number {
  const own = generation[undoneBy(graph, compensation) ?? -1] ?? 0;
  return begun.has(compensation) ? Math.max(own, (generation[compensation] ?? 0) + 1) : own;
}

/** Whether a compensation is about what it undoes as that has ended now, not about an earlier generation of it. */
export const undoesThis = ({ graph, seq }: GraphState, compensation: number): boolean =>
  (seq[compensation] ?? 0) > (seq[undoneBy(graph, compensation) ?? -1] ?? 0);

const BROKEN_OFF: readonly number[] = [FAILED, TIMED_OUT, CANCELLED];

/** A mapped task that did not succeed may have items that did: its compensation looks at each. */
function isUndoable({ graph, outcome }: GraphState, task: number): boolean {
  const ended = outcome[task] ?? 0;
  return ended === COMPLETED || (graph.undoesItems?.includes(task) === true && BROKEN_OFF.includes(ended));
}
