import type { Definition, DefinitionTask } from '../definition/definition.ts';
import { compileRunOutput, tasksNamed } from '../definition/expressions.ts';
import { EXPRESSIONS } from '../expression/expression.ts';
import { isObject, type JsonSchema } from '../json.ts';
import { compileCleanup, joined } from './compileCleanup.ts';
import { graphOf, namedBy, orderByLevel, planTask, referencesOf, type OrderOf } from './compileTasks.ts';
import { edgesOf } from './edges.ts';
import { sequenceOf } from './order.ts';
import type { Plan, PlanTask } from './plan.ts';
import { arranged, chooseStrategy } from './strategy.ts';

/**
 * The plan of a checked definition. Pure: the same definition gives the same plan. Tasks are numbered by how many come
 * before them on their longest way, then by id, so every dependency has a lower number than what depends on it, and
 * the order in which somebody wrote them does not matter. Those that go one at a time are numbered in that order.
 */
export function compile(definition: Definition): Plan {
  const ids = new Set(Object.keys(definition.tasks));
  const named = new Map(Object.entries(definition.tasks).map(([id, task]) => [id, namedBy(id, task, { ids, scope: definition.scope })]));
  const edges = edgesOf(new Map(Object.entries(definition.tasks).map(([id, task]) => [id, { ...task, named: named.get(id) ?? [] }])));
  const strategy = strategyOf(definition, edges);
  const orderOf: OrderOf = strategy?.used === 'sequential' ? (some) => sequenceOf(some, definition.order ?? []) : orderByLevel;
  const order = orderOf(edges);
  const index = new Map(order.map((id, i) => [id, i]));
  const placeOf = (id: string): number => index.get(id) ?? 0;
  const read = (list: readonly string[]): number[] => list.map(placeOf).sort((a, b) => a - b);
  const tasks = Object.entries(definition.tasks)
    .map(([id, task]) => ({ id, task }))
    .sort((a, b) => placeOf(a.id) - placeOf(b.id));
  const { name, version, title, inputSchema, deadlineMs, priority, mode, labels, concurrency, limits, output, finallyTimeoutMs } =
    definition;
  const main = graphOf(tasks, { edges, index, failFast: definition.onError === 'failFast', limited: limits !== undefined });
  const cleanup = compileCleanup(definition, { tasks, index, orderOf });
  const graph = cleanup === undefined ? main : joined(main, cleanup);
  return {
    format: 1,
    expressions: EXPRESSIONS,
    name,
    ...(version === undefined ? {} : { version }),
    ...(title === undefined ? {} : { title }),
    graph: arranged(graph, definition, strategy?.used ?? 'parallel'),
    tasks: [...tasks.map(({ id, task }) => withEach(planTask(id, task, read(named.get(id) ?? [])), task)), ...(cleanup?.tasks ?? [])],
    ...(inputSchema === undefined ? {} : { inputSchema }),
    artifactInputs: artifactInputs(inputSchema),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    priority,
    ...(mode === undefined ? {} : { mode }),
    ...(strategy === undefined ? {} : { strategy }),
    labels,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(limits === undefined ? {} : { limits }),
    ...(output === undefined
      ? {}
      : { output: { value: output.value, reads: read(tasksNamed(referencesOf(compileRunOutput(output.value, ids)))) } }),
    ...(finallyTimeoutMs === undefined ? {} : { finallyTimeoutMs }),
    ...(definition.scope === undefined ? {} : { scope: definition.scope }),
  };
}

const strategyOf = ({ strategy, strategyBy: by }: Definition, edges: ReadonlyMap<string, readonly unknown[]>): Plan['strategy'] =>
  strategy === undefined ? undefined : { ...chooseStrategy(strategy, edges), ...(by && { by }) };

const withEach = (planned: PlanTask, { each }: DefinitionTask): PlanTask =>
  each === undefined ? planned : { ...planned, each: compile(each) };

/** Top-level fields of the input that hold an artifact. */
function artifactInputs(schema: JsonSchema | undefined): string[] {
  if (!isObject(schema) || !isObject(schema.properties)) return [];
  return Object.entries(schema.properties)
    .filter(([, field]) => isObject(field) && field.format === 'artifact')
    .map(([name]) => name)
    .sort();
}
