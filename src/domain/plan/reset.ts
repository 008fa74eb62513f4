import { undoesThis } from './cleanup.ts';
import { BLOCKED, CANCELLED, COMPENSATED, FAILED, PENDING, TIMED_OUT } from './outcome.ts';
import { mainTasks, undoneBy } from './phases.ts';
import type { GraphState } from './state.ts';

const BROKEN: ReadonlySet<number> = new Set([FAILED, TIMED_OUT, CANCELLED, BLOCKED, COMPENSATED]);

/** Tasks of a closed run that run again. */
export type Reset = {
  /** Ascending; with all tasks of `finally`. Empty: nothing of the run is to be repeated. */
  tasks: number[];
  /** Mapped tasks among them whose finished items stay: nothing that they were made from changes. */
  keepItems: number[];
};

/**
 * What a retry runs again: tasks that failed, were cancelled, blocked or undone, and all that depends on them, however it
 * ended. What was completed beside them stays.
 * @param chosen only these of them, and what depends on these
 */
export function resetOf(state: GraphState, chosen?: readonly number[]): Reset {
  const main = mainTasks(state.graph);
  const broken = chosen ?? Array.from({ length: main }, (_, task) => task).filter((task) => isBroken(state, task));
  const found = new Set(broken);
  const below = new Set<number>();
  const stack = [...broken];
  for (let task = stack.pop(); task !== undefined; task = stack.pop())
    for (const [dependant] of state.dependants[task] ?? []) {
      below.add(dependant);
      if (found.has(dependant)) continue;
      found.add(dependant);
      stack.push(dependant);
    }
  if (found.size === 0) return { tasks: [], keepItems: [] };
  const undone = new Set([...state.begun].flatMap((task) => undoneInThis(state, task)));
  const last = Array.from(
    { length: (state.graph.undoes ? state.size - state.graph.undoes.length : state.size) - main },
    (_, i) => main + i,
  );
  return {
    tasks: [...[...found].sort((a, b) => a - b), ...last],
    keepItems: broken.filter((task) => !below.has(task) && !undone.has(task) && state.outcome[task] !== COMPENSATED),
  };
}

const isBroken = (state: GraphState, task: number): boolean => {
  const outcome = state.outcome[task] ?? PENDING;
  return BROKEN.has(outcome) || outcome === PENDING;
};

/** The task that a compensation has undone, or tried to, as it has ended now. */
function undoneInThis(state: GraphState, compensation: number): number[] {
  const undone = undoneBy(state.graph, compensation);
  return undone !== undefined && undoesThis(state, compensation) ? [undone] : [];
}
