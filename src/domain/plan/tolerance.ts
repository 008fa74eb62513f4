import type { PlanTask } from './plan.ts';

/** The failed items that leave a mapped task completed: so many, or so many in a hundred, whichever is more. */
export function toleranceOf(task: Pick<PlanTask, 'map'> | undefined): { count: number; percent: number } {
  const rule = task?.map?.tolerate;
  return { count: rule && 'count' in rule ? rule.count : 0, percent: rule && 'percent' in rule ? rule.percent : 0 };
}
