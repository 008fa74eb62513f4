import { isFinal } from './outcome.ts';
import { EFFECT } from './plan.ts';
import { hasFailedForGood, RUN, verdict, type GraphState, type Intent } from './state.ts';

/** What to start now. A sweep comes alone: the tasks to cancel, and the intent that is not in the database yet. */
export type Steps = {
  sweep?: { tasks: number[]; intent: Intent };
  /** One activity each. */
  effects: number[];
  /** Roots of one segment. */
  roots: number[];
};

/**
 * The only scheduler: pure, on integers. Marks what it returns as busy. A task that must be settled as skipped or
 * blocked is a root like any other; whoever runs the segment asks for the verdict.
 * @param room how many more activities may be in flight
 */
export function next(state: GraphState, intent: Intent | null, room: number): Steps {
  const steps: Steps = { effects: [], roots: [] };
  const why = intent ?? (state.graph.failFast && hasFailedForGood(state) ? 'fail' : null);
  if (why) {
    const tasks = toCancel(state, why);
    if (tasks.length > 0 || why !== intent) steps.sweep = { tasks, intent: why };
    return steps;
  }
  let left = room;
  for (const task of state.ready) {
    if (state.busy.has(task)) continue;
    if (verdict(state, task) === RUN && state.graph.classes[task] === EFFECT) {
      if (left <= 0) continue;
      left--;
      steps.effects.push(task);
    } else steps.roots.push(task);
    state.busy.add(task);
  }
  return steps;
}

/** A plain cancel leaves running tasks to their own end; a forced one does not. */
function toCancel(state: GraphState, intent: Intent): number[] {
  const tasks: number[] = [];
  state.outcome.forEach((outcome, task) => {
    if (!isFinal(outcome) && (intent === 'force' || !state.busy.has(task))) tasks.push(task);
  });
  return tasks;
}
