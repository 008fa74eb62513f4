import type { Graph } from './plan.ts';

/**
 * Where a run stands: its tasks settle, then what has to be undone is, then the tasks of `finally` run. A number, because it
 * crosses into a workflow's history.
 */
export type Phase = typeof MAIN | typeof COMPENSATE | typeof FINALLY;
export const MAIN = 0 as const;
export const COMPENSATE = 1 as const;
export const FINALLY = 2 as const;

/** How many tasks a run has without its compensations, which are counted only once they are needed. */
export const countedTasks = ({ names, undoes = [] }: Pick<Graph, 'names' | 'undoes'>): number => names.length - undoes.length;

/** How many of them come before `finally`: the first ones. */
export const mainTasks = (graph: Pick<Graph, 'names' | 'undoes' | 'finally'>): number => graph.finally ?? countedTasks(graph);

/** When a task may run. */
export function phaseOf(graph: Graph, task: number): Phase {
  if (task < mainTasks(graph)) return MAIN;
  return task < countedTasks(graph) ? FINALLY : COMPENSATE;
}

/** The task that a compensation undoes; undefined for any other. */
export const undoneBy = (graph: Graph, task: number): number | undefined => graph.undoes?.[task - countedTasks(graph)];

/** Whether a run has more to do once its tasks have settled. */
export const cleansUp = (graph: Graph): boolean => graph.finally !== undefined || graph.undoes !== undefined;
