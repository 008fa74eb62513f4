import { COMPENSATED, COMPLETED, outcomeOf, SKIPPED, type TaskStatus } from './outcome.ts';
import { countedTasks, mainTasks } from './phases.ts';
import type { Graph } from './plan.ts';

/** Why a task runs again in a fork. `fields` of the input that its expressions name; empty: the input as a whole. */
export type Why =
  | { type: 'asked' }
  | { type: 'new' }
  | { type: 'changed' }
  /** Something in its output is shown to nobody, and the definition is another one. */
  | { type: 'marked' }
  | { type: 'input'; fields: readonly string[] }
  /** How it ended in the source; pending: it had not begun. */
  | { type: 'unfinished'; status: TaskStatus }
  /** On a task that runs again, or that was given an output. */
  | { type: 'depends'; on: number }
  | { type: 'finally' };

/** What a fork is decided by, each task by its index in the graph of the new run. */
export type ForkWish = {
  /** How tasks ended in the source. */
  ended: ReadonlyMap<number, TaskStatus>;
  /** Tasks that run again whatever became of them. */
  direct: ReadonlyMap<number, Why>;
  /** Tasks whose output somebody gives. */
  given: ReadonlySet<number>;
  /** Mapped tasks that came to no good end, but some of whose items may have. */
  partial: ReadonlySet<number>;
};

/** Every task but compensations is in one of the first three; all ascending. */
export type Fork = {
  again: Map<number, Why>;
  kept: number[];
  given: number[];
  /** Those that run again for their items that did not complete: the others stay. */
  keepItems: number[];
};

/**
 * What of a run that has ended is kept in a new one, and what runs again: tasks that have a reason of their own, those that did
 * not come to an end worth keeping, and all that depends on either or on what was given.
 */
export function forkOf(graph: Graph, wish: ForkWish): Fork {
  const fork: Fork = { again: new Map(), kept: [], given: [], keepItems: [] };
  const main = mainTasks(graph);
  for (let task = 0; task < countedTasks(graph); task++) {
    const why = task < main ? whyAgain(graph, task, { ...wish, again: fork.again }) : ({ type: 'finally' } as const);
    if (wish.given.has(task)) fork.given.push(task);
    else if (why) fork.again.set(task, why);
    else fork.kept.push(task);
    const alone = why?.type === 'unfinished' && dependencyAnew(graph, task, { ...wish, again: fork.again }) === undefined;
    if (alone && wish.partial.has(task) && !wish.given.has(task)) fork.keepItems.push(task);
  }
  return fork;
}

/** undefined: it can be kept. What a task depends on has a lower number, so that is decided. */
function whyAgain(graph: Graph, task: number, known: ForkWish & Pick<Fork, 'again'>): Why | undefined {
  const { ended, direct } = known;
  const own = direct.get(task);
  if (own) return own;
  const status = ended.get(task) ?? 'pending';
  if (!isKeepable(status)) return { type: 'unfinished', status };
  const on = dependencyAnew(graph, task, known);
  return on === undefined ? undefined : { type: 'depends', on };
}

/** Something that a task depends on and that comes to something else, perhaps. */
const dependencyAnew = (graph: Graph, task: number, { again, given }: Pick<ForkWish, 'given'> & Pick<Fork, 'again'>): number | undefined =>
  graph.deps[task]?.find(([dependency]) => again.has(dependency) || given.has(dependency))?.[0];

function isKeepable(status: TaskStatus): boolean {
  const outcome = outcomeOf(status);
  return outcome === COMPLETED || outcome === SKIPPED;
}

/** Whether an effect that ended so has called the outside to its end. What was undone since was done. */
export const wasDone = (status: TaskStatus | undefined): boolean =>
  status !== undefined && [COMPLETED, COMPENSATED].includes(outcomeOf(status));
