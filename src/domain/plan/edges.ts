import type { Dependency, DefinitionTask } from '../definition/definition.ts';
import { isObject, type Json } from '../json.ts';
import { COMPLETED } from './outcome.ts';

/** An edge between ids, with where it comes from; `branches` of a switch that lets the task run. */
export type NamedEdge = { task: string; when: number[]; branches?: number[]; from: 'dependsOn' | 'switch' | 'expression' };

/** What edges are made of: what a task says itself, and the tasks its expressions name. */
export type EdgeSource = Pick<DefinitionTask, 'type' | 'with' | 'dependsOn'> & { named: readonly string[] };

/** The targets of a switch by branch: its cases in order, then `else`. */
function branchesOf(task: Pick<DefinitionTask, 'type' | 'with'>): string[][] {
  if (task.type !== 'switch') return [];
  const cases = Array.isArray(task.with.cases) ? task.with.cases : [];
  return [...cases.map((entry) => (isObject(entry) ? words(entry.then) : [])), words(task.with.else)];
}

/**
 * The edges into every task: `dependsOn`, the switches it is a target of, and the tasks its expressions name. What was
 * written beats what is implied; a switch keeps its branches whatever was written beside it.
 */
export function edgesOf(tasks: ReadonlyMap<string, EdgeSource>): Map<string, NamedEdge[]> {
  const edges = new Map<string, Map<string, NamedEdge>>([...tasks.keys()].map((id) => [id, new Map()]));
  for (const [id, task] of tasks) {
    for (const { task: dependency, when } of merged(task.dependsOn))
      edges.get(id)?.set(dependency, { task: dependency, when, from: 'dependsOn' });
    for (const named of task.named)
      if (!edges.get(id)?.has(named)) edges.get(id)?.set(named, { task: named, when: [COMPLETED], from: 'expression' });
  }
  for (const [id, task] of tasks)
    branchesOf(task).forEach((targets, branch) => {
      for (const target of targets) if (target !== id) addBranch(edges.get(target), id, branch);
    });
  return new Map([...edges].map(([id, byTask]) => [id, [...byTask.values()]]));
}

function addBranch(edges: Map<string, NamedEdge> | undefined, task: string, branch: number): void {
  const known = edges?.get(task);
  const branches = known?.branches ?? [];
  if (branches.includes(branch)) return;
  edges?.set(task, { task, when: known?.when ?? [COMPLETED], branches: [...branches, branch], from: known?.from ?? 'switch' });
}

/** Two edges to one task mean either outcome. */
function merged(dependencies: readonly Dependency[]): Dependency[] {
  const byTask = new Map<string, number[]>();
  for (const { task, when } of dependencies)
    byTask.set(
      task,
      [...new Set([...(byTask.get(task) ?? []), ...when])].sort((a, b) => a - b),
    );
  return [...byTask].map(([task, when]) => ({ task, when }));
}

const words = (value: Json | undefined): string[] => (Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []);

/** A cycle as the ids on it, the first again at the end, or undefined. Deterministic: starts from the least id. */
export function cycleOf(edges: ReadonlyMap<string, readonly { task: string }[]>): string[] | undefined {
  const settled = new Set<string>();
  for (const start of [...edges.keys()].sort()) {
    const found = cycleFrom(start, edges, settled);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Depth first with a stack of its own: a chain of 5,000 tasks must not exhaust the machine's. */
function cycleFrom(start: string, edges: ReadonlyMap<string, readonly { task: string }[]>, settled: Set<string>): string[] | undefined {
  const path: { id: string; next: number }[] = [];
  const onPath = new Set<string>();
  const enter = (id: string): void => {
    path.push({ id, next: 0 });
    onPath.add(id);
  };
  if (!settled.has(start)) enter(start);
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    const to = edges.get(top.id)?.[top.next++]?.task;
    if (to === undefined) {
      settled.add(top.id);
      onPath.delete(top.id);
      path.pop();
    } else if (onPath.has(to)) {
      const ids = path.map(({ id }) => id);
      // An edge points at what comes before, so the path is turned round to read as the order of work.
      return [...ids.slice(ids.indexOf(to)), to].reverse();
    } else if (!settled.has(to) && edges.has(to)) enter(to);
  }
  return undefined;
}

/** How many tasks come before each on its longest way, by id. The edges have no cycle. */
export function levelsOf(edges: ReadonlyMap<string, readonly { task: string }[]>): Map<string, number> {
  const waiting = new Map<string, number>();
  const after = new Map<string, string[]>();
  for (const [id, list] of edges) {
    waiting.set(id, list.length);
    for (const { task } of list) {
      const dependants = after.get(task);
      if (dependants === undefined) after.set(task, [id]);
      else dependants.push(id);
    }
  }
  const levels = new Map<string, number>();
  let ready = [...edges.keys()].filter((id) => waiting.get(id) === 0);
  for (let level = 0; ready.length > 0; level++) {
    const next: string[] = [];
    for (const id of ready) levels.set(id, level);
    for (const dependant of ready.flatMap((id) => after.get(id) ?? [])) {
      const left = (waiting.get(dependant) ?? 0) - 1;
      waiting.set(dependant, left);
      if (left === 0) next.push(dependant);
    }
    ready = next;
  }
  return levels;
}
