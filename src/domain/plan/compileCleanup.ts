import type { Definition, DefinitionTask } from '../definition/definition.ts';
import { graphOf, namedBy, planTask, type Named, type OrderOf } from './compileTasks.ts';
import { edgesOf } from './edges.ts';
import type { Graph, PlanTask } from './plan.ts';

export type Cleanup = { last: Graph | undefined; undoing: Graph; undoes: number[]; undoesItems: number[]; tasks: PlanTask[] };

/** Tasks of `finally`, then compensations in the order of what they undo; their edges count from the first task of all. */
export function compileCleanup(
  definition: Definition,
  { tasks, index, orderOf }: { tasks: Named; index: ReadonlyMap<string, number>; orderOf: OrderOf },
): Cleanup | undefined {
  const undone = tasks.flatMap(({ id, task }, place) =>
    task.compensate === undefined ? [] : [{ id, task, place, compensate: task.compensate }],
  );
  if (undone.length === 0 && definition.finally === undefined) return undefined;
  const limited = definition.limits !== undefined;
  const last = definition.finally === undefined ? undefined : compileLast(definition.finally, { index, orderOf, limited });
  const ids = new Set(index.keys());
  const undoing = undone.map(({ id, task: { map }, compensate, place }) => {
    const task = { ...compensate, ...(map === undefined ? {} : { map: withoutCondition(map) }) };
    const named = [...new Set([id, ...namedBy(id, task, { ids, scope: definition.scope })])];
    const reads = named.map((name) => index.get(name) ?? 0).sort((a, b) => a - b);
    return { id: `${id}.compensate`, task, planned: { ...planTask(`${id}.compensate`, task, reads), undoes: place } };
  });
  const none = { edges: new Map(), index, failFast: false, limited };
  return {
    last: last?.graph,
    undoing: graphOf(undoing, none),
    undoes: undone.map(({ place }) => place),
    undoesItems: undone.filter(({ task }) => task.map !== undefined).map(({ place }) => place),
    tasks: [...(last?.tasks ?? []), ...undoing.map(({ planned }) => planned)],
  };
}

/** The map of what is undone: which of its items there are to undo is seen in them. */
function withoutCondition(map: NonNullable<DefinitionTask['map']>): NonNullable<DefinitionTask['map']> {
  const { items, as, maxConcurrency, batch } = map;
  return { items, as, maxConcurrency, ...(batch === undefined ? {} : { batch }) };
}

function compileLast(
  last: NonNullable<Definition['finally']>,
  { index, orderOf, limited }: { index: ReadonlyMap<string, number>; orderOf: OrderOf; limited: boolean },
): { graph: Graph; tasks: PlanTask[] } {
  const ids = new Set([...index.keys(), ...Object.keys(last)]);
  const named = new Map(Object.entries(last).map(([id, task]) => [id, namedBy(id, task, { ids })]));
  const siblings = (id: string): string[] => (named.get(id) ?? []).filter((name) => Object.hasOwn(last, name));
  const edges = edgesOf(new Map(Object.entries(last).map(([id, task]) => [id, { ...task, named: siblings(id) }])));
  const order = orderOf(edges);
  const whole = new Map([...index, ...order.map((id, i) => [id, index.size + i] as const)]);
  const tasks = order.flatMap((id) => (last[id] === undefined ? [] : [{ id, task: last[id] }]));
  return {
    graph: graphOf(tasks, { edges, index: whole, failFast: false, limited }),
    tasks: tasks.map(({ id, task }) =>
      planTask(
        id,
        task,
        (named.get(id) ?? []).map((name) => whole.get(name) ?? 0).sort((a, b) => a - b),
      ),
    ),
  };
}

export function joined(main: Graph, { last, undoing, undoes, undoesItems }: Cleanup): Graph {
  const parts = [main, ...(last === undefined ? [] : [last]), undoing];
  const limited = parts.some((part) => part.limited !== undefined);
  return {
    names: parts.flatMap((part) => part.names),
    kinds: parts.flatMap((part) => part.kinds),
    classes: parts.flatMap((part) => part.classes),
    deps: parts.flatMap((part) => part.deps),
    need: parts.flatMap((part) => part.need),
    tolerant: parts.flatMap((part) => part.tolerant),
    failFast: main.failFast,
    ...(last === undefined ? {} : { finally: main.names.length }),
    ...(undoes.length === 0 ? {} : { undoes }),
    ...(undoesItems.length === 0 ? {} : { undoesItems }),
    ...(limited ? { limited: parts.flatMap((part) => part.limited ?? part.names.map((): 0 | 1 => 0)) } : {}),
  };
}
