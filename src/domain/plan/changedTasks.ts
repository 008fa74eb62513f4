import { canonicalJson } from '../definition/canonical.ts';
import type { Why } from './fork.ts';
import { mainTasks } from './phases.ts';
import type { Plan } from './plan.ts';

/** Tasks of a plan, by index, that another plan has not, or not as they are: their own words or their edges differ. Titles do not count. */
export function changedTasks(before: Plan, now: Plan): Map<number, Why> {
  const names = now.graph.names.slice(0, mainTasks(now.graph));
  const known = new Map(before.graph.names.slice(0, mainTasks(before.graph)).map((name, task) => [name, task]));
  return new Map(
    names.flatMap((name, task): [number, Why][] => {
      const was = known.get(name);
      if (was === undefined) return [[task, { type: 'new' }]];
      return formOf(before, was) === formOf(now, task) ? [] : [[task, { type: 'changed' }]];
    }),
  );
}

/** A task in words that do not depend on the numbers of tasks. */
function formOf({ graph, tasks }: Plan, index: number): string {
  const nameOf = (task: number): string => graph.names[task] ?? '';
  const task = tasks[index];
  const edges = (graph.deps[index] ?? []).map(([dependency, ...rest]) => canonicalJson([nameOf(dependency), ...rest]));
  return canonicalJson({
    ...task,
    title: undefined,
    reads: task?.reads.map(nameOf).sort(),
    edges: edges.sort(),
    need: graph.need[index],
  });
}
