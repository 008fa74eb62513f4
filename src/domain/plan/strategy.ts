import type { Definition } from '../definition/definition.ts';
import { ranksOf } from './order.ts';
import { MAX_FEW, type AskedOrder, type Graph, type Plan, type Strategy, type StrategyChoice } from './plan.ts';

/** Nothing was asked for: what is ready begins. */
const DEFAULT: StrategyChoice = { asked: 'parallel', used: 'parallel', why: 'default' };

/**
 * The strategy of a run, chosen once, when its definition is compiled. `adaptive` is one rule: at most MAX_FEW tasks go one at a
 * time, tasks of which none depends on another in parallel, all others balanced.
 * @param edges into each task; those of `finally` and compensations do not count
 */
export function chooseStrategy(asked: Strategy, edges: ReadonlyMap<string, readonly unknown[]>): StrategyChoice {
  if (asked !== 'adaptive') return { asked, used: asked, why: 'asked' };
  if (edges.size <= MAX_FEW) return { asked, used: 'sequential', why: 'few_tasks' };
  if ([...edges.values()].every((list) => list.length === 0)) return { asked, used: 'parallel', why: 'no_dependencies' };
  return { asked, used: 'balanced', why: 'dependencies' };
}

/**
 * The definition as it would be if it said itself what is asked for. Where tasks go one at a time there are no places to bound; a
 * priority that the strategy does not look at counts for nothing.
 */
export function reordered(definition: Definition, { strategy, maxConcurrency }: AskedOrder): Definition {
  const { maxConcurrency: own, ...rest } = definition;
  const used = strategy ?? definition.strategy;
  const places = used === 'sequential' ? undefined : (maxConcurrency ?? own);
  return {
    ...rest,
    ...(used !== undefined && { strategy: used }),
    ...(strategy !== undefined && { strategyBy: 'start' as const }),
    ...(places !== undefined && { maxConcurrency: places }),
    order: [...Object.keys(definition.tasks), ...Object.keys(definition.finally ?? {})],
  };
}

/** Whether a definition has no room for what is asked for: tasks that go one at a time have no places. */
export const hasNoPlaces = (definition: Definition, { strategy = definition.strategy, maxConcurrency }: AskedOrder): boolean =>
  strategy === 'sequential' && maxConcurrency !== undefined;

/** A graph with what its strategy says of the order of its tasks. Those that go one at a time are numbered so already. */
export function arranged(graph: Graph, definition: Definition, used: StrategyChoice['used']): Graph {
  if (used === 'sequential') return { ...graph, inTurn: 1 };
  const { tasks, finally: last = {}, maxConcurrency: places, order: written = [] } = definition;
  const priorities = new Map(Object.entries({ ...tasks, ...last }).map(([id, { priority = 'normal' }]) => [id, priority]));
  return {
    ...graph,
    ...(used === 'parallel' ? {} : { rank: ranksOf(graph, { priorities, written, byChain: used === 'balanced' }) }),
    ...(places === undefined ? {} : { places }),
  };
}

/** What was chosen for the runs of a plan, and why, for people. */
export const tellStrategy = ({ strategy = DEFAULT }: Pick<Plan, 'strategy'>) => ({
  strategyUsed: strategy.used,
  strategyReason: reasonOf(strategy),
});

function reasonOf({ why, by }: StrategyChoice): string {
  if (by === 'start')
    return why === 'asked' ? 'it was asked for when the run was started' : `asked for when the run was started; ${ruleOf(why)}`;
  return ruleOf(why);
}

function ruleOf(why: StrategyChoice['why']): string {
  switch (why) {
    case 'default':
      return 'no strategy was asked for';
    case 'asked':
      return 'it was asked for';
    case 'few_tasks':
      return `adaptive: at most ${MAX_FEW} tasks`;
    case 'no_dependencies':
      return 'adaptive: no task depends on another';
    case 'dependencies':
      return `adaptive: more than ${MAX_FEW} tasks, and some depend on others`;
  }
}
