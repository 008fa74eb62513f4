import { CANCELLED, COMPLETED, FAILED, TIMED_OUT, type ClosedStatus } from './outcome.ts';
import { COMPENSATE, countedTasks, FINALLY, type Phase } from './phases.ts';
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

const BROKEN_OFF: readonly number[] = [FAILED, TIMED_OUT, CANCELLED];

/** A mapped task that did not succeed may have items that did: its compensation looks at each. */
function isUndoable({ graph, outcome }: GraphState, task: number): boolean {
  const ended = outcome[task] ?? 0;
  return ended === COMPLETED || (graph.undoesItems?.includes(task) === true && BROKEN_OFF.includes(ended));
}
