import type { TaskStatus } from '../plan/outcome.ts';
import { INLINE, type Plan } from '../plan/plan.ts';
import type { RunView, TaskView } from './view.ts';

/** What is computed at once, against what touches the outside, waits or has many items. */
const LIGHT = 1;
const HEAVY = 10;

/** How many items a mapped task has, and how many of them are done. */
type ItemShare = { total: number; done: number };
export type TaskShare = { weight: number; status: string; items?: ItemShare | undefined };

/** What a task counts for in the percentage of its run. A compensation takes nothing further. */
export function weightOf(plan: Pick<Plan, 'graph' | 'tasks'>, task: number): number {
  const planned = plan.tasks[task];
  if (planned?.undoes !== undefined) return 0;
  return planned?.map === undefined && plan.graph.classes[task] === INLINE ? LIGHT : HEAVY;
}

/** What is done with, as long as nobody asks for a retry. A failure counts for nothing, so that trying again does not lower the percentage. */
export const isDone = (status: string): boolean => status === 'completed' || status === 'skipped' || status === 'compensated';

function shareOf({ status, items }: TaskShare): number {
  if (isDone(status)) return 1;
  return items === undefined || items.total === 0 ? 0 : Math.min(1, items.done / items.total);
}

/**
 * How much of a run is done, 0 to 100, whole: by the weight of its tasks that are completed or skipped, and of an unfinished
 * mapped task by its items. It never falls while these only grow, and is 100 exactly when the run has completed. A retry opens
 * a new progress: what it runs again is not done any more.
 * @param tasks in one order every time, so that rounding never makes it fall
 */
export function percentOf(status: string, tasks: readonly TaskShare[]): number {
  if (status === 'completed') return 100;
  const whole = tasks.reduce((sum, { weight }) => sum + weight, 0);
  const done = tasks.reduce((sum, task) => sum + task.weight * shareOf(task), 0);
  return whole === 0 ? 0 : Math.min(99, Math.floor((100 * done) / whole));
}

/** The same for somebody who heard the events of a run. */
export const percentOfView = (plan: Pick<Plan, 'graph' | 'tasks'>, view: RunView): number =>
  percentOf(
    view.status,
    plan.graph.names.map((name, task) => shareInView(weightOf(plan, task), view.tasks[name])),
  );

const shareInView = (weight: number, task: TaskView | undefined): TaskShare => ({
  weight,
  status: task?.status ?? ('pending' satisfies TaskStatus),
  ...(task?.itemCount !== undefined && { items: { total: task.itemCount, done: task.items.filter(isDone).length } }),
});
