import { isFinal, WAITING } from './outcome.ts';
import { COMPENSATE, FINALLY, MAIN, phaseOf, undoneBy } from './phases.ts';
import { freePlaces, takesPlace } from './places.ts';
import { EFFECT } from './plan.ts';
import { hasFailedForGood, RUN, verdict, type GraphState, type Intent, type Stop } from './state.ts';
import { inOrder, turnOf } from './turn.ts';

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
 * blocked is a root like any other; whoever runs the segment asks for the verdict. In what order it goes is in the graph: one
 * task at a time, by rank, or as tasks become ready.
 * @param room how many more activities may be in flight
 */
export function next(state: GraphState, stop: Stop | null, room: number): Steps {
  const steps: Steps = { effects: [], roots: [] };
  if (stop === 'pause') return steps;
  const why = stop ?? (state.phase === MAIN && state.graph.failFast && hasFailedForGood(state) ? 'fail' : null);
  if (why) {
    const tasks = toCancel(state, why);
    if (tasks.length > 0 || why !== stop) steps.sweep = { tasks, intent: why };
    return steps;
  }
  let left = Math.min(room, freePlaces(state));
  for (const task of startable(state)) {
    if (state.busy.has(task) || state.held.has(task)) continue;
    const isCounted = verdict(state, task) === RUN && needsRoom(state, task);
    if (isCounted && left <= 0) continue;
    if (isCounted) left--;
    (isCounted && state.graph.classes[task] === EFFECT ? steps.effects : steps.roots).push(task);
    state.busy.add(task);
  }
  return steps;
}

const needsRoom = ({ graph }: GraphState, task: number): boolean =>
  graph.places === undefined ? graph.classes[task] === EFFECT : takesPlace(graph, task);

/** What is undone is undone one after the other, what was completed last first. */
function startable(state: GraphState): Iterable<number> {
  if (state.phase !== COMPENSATE) return state.graph.inTurn ? turnOf(state) : inOrder(state);
  const [first] = [...state.begun]
    .filter((task) => !isFinal(state.outcome[task] ?? 0))
    .sort((a, b) => undoneSeq(state, b) - undoneSeq(state, a));
  return first !== undefined && state.ready.has(first) ? [first] : [];
}

const undoneSeq = (state: GraphState, task: number): number => state.seq[undoneBy(state.graph, task) ?? -1] ?? 0;

/** Kinds of tasks that others carry out meanwhile. They are told too, and end by themselves: their end is the task's. */
const ELSEWHERE: ReadonlySet<string> = new Set(['workflow', 'activity']);
const isElsewhere = ({ graph, outcome }: GraphState, task: number): boolean =>
  ELSEWHERE.has(graph.kinds[task] ?? '') && outcome[task] === WAITING;

/** A plain cancel leaves running tasks to their own end; a forced one does not, nor does it leave anything to clean up. */
function toCancel(state: GraphState, intent: Intent): number[] {
  const tasks: number[] = [];
  state.outcome.forEach((outcome, task) => {
    if (isFinal(outcome) || (intent !== 'force' && (state.busy.has(task) || isElsewhere(state, task)))) return;
    const phase = phaseOf(state.graph, task);
    if (phase === COMPENSATE ? state.begun.has(task) : phase <= state.phase || (phase === FINALLY && intent === 'force')) tasks.push(task);
  });
  return tasks;
}
