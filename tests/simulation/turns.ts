import { isFinalStatus, type TaskStatus } from '../../src/domain/plan/outcome.ts';
import { countedTasks, mainTasks } from '../../src/domain/plan/phases.ts';
import { takesPlace } from '../../src/domain/plan/places.ts';
import type { Graph, Plan } from '../../src/domain/plan/plan.ts';
import type { EventRow, Tables } from './database/tables.ts';

/** How far the tasks of a run have come, from its events alone; tasks that are not mentioned have not begun. */
export type Turns = Map<number, 'begun' | 'ended'>;

/** The graphs of plans, by hash. */
export function createGraphs(tables: Tables): (plan: string) => Graph {
  const known = new Map<string, Graph>();
  return (plan) => {
    const graph = known.get(plan) ?? (JSON.parse(tables.plans.get(plan) ?? '') as Plan).graph;
    known.set(plan, graph);
    return graph;
  };
}

/** Follows one event. @returns what of the strategy of its run it breaks */
export function followTurn(turns: Turns, graph: Graph, { type, task, item, data }: EventRow): string | undefined {
  if (task === null || item !== null || task >= countedTasks(graph)) return undefined;
  const status = type.slice('task.'.length) as TaskStatus;
  if (type === 'task.pending' && data?.includes('keptItems')) turns.delete(task);
  else if (type.startsWith('task.') && isFinalStatus(status)) turns.set(task, 'ended');
  if ((type !== 'task.started' && type !== 'task.waiting') || turns.get(task) === 'begun') return undefined;
  turns.set(task, 'begun');
  return faultOf(turns, graph, task);
}

function faultOf(turns: Turns, graph: Graph, task: number): string | undefined {
  const main = mainTasks(graph);
  const first = task < main ? 0 : main;
  if (graph.inTurn)
    for (let before = first; before < task; before++)
      if (turns.get(before) !== 'ended') return `task ${task} began before ${before} had ended`;
  const begun = [...turns].filter(([other, how]) => how === 'begun' && takesPlace(graph, other)).length;
  return begun > (graph.places ?? Infinity) ? `${begun} tasks were at work, there are ${graph.places ?? 0} places` : undefined;
}
