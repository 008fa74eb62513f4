import { priorityNumber, type Priority } from '../run/priority.ts';
import type { Graph } from './plan.ts';

/**
 * The order in which tasks go one at a time: each after all that it depends on, and of those that may come next always the one
 * that was written first. Who writes tasks in an order that works gets that order.
 * @param edges without a cycle @param written every id of them
 */
export function sequenceOf(edges: ReadonlyMap<string, readonly { task: string }[]>, written: readonly string[]): string[] {
  const place = new Map(written.map((id, i) => [id, i]));
  const waiting = new Map([...edges].map(([id, list]) => [id, list.length]));
  const after = new Map([...edges.keys()].map((id): [string, string[]] => [id, []]));
  for (const [id, list] of edges) for (const { task } of list) after.get(task)?.push(id);
  const ready = [...edges.keys()].filter((id) => waiting.get(id) === 0).sort((a, b) => (place.get(b) ?? 0) - (place.get(a) ?? 0));
  const sequence: string[] = [];
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    sequence.push(id);
    for (const dependant of after.get(id) ?? []) {
      const left = (waiting.get(dependant) ?? 0) - 1;
      waiting.set(dependant, left);
      if (left === 0) insert(ready, dependant, place);
    }
  }
  return sequence;
}

/** Into a list whose last is the first that was written. */
function insert(ready: string[], id: string, place: ReadonlyMap<string, number>): void {
  const own = place.get(id) ?? 0;
  let [low, high] = [0, ready.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((place.get(ready[middle] ?? '') ?? 0) > own) low = middle + 1;
    else high = middle;
  }
  ready.splice(low, 0, id);
}

/** What decides who goes first. */
type Ranking = { priorities: ReadonlyMap<string, Priority>; written: readonly string[]; byChain: boolean };

/**
 * Each task's place among those that are ready, the first is 0: by its priority, then, if asked, by how many tasks come after it
 * on its longest way, then as it was written.
 */
export function ranksOf(graph: Graph, { priorities, written, byChain }: Ranking): number[] {
  const place = new Map(written.map((id, i) => [id, i]));
  const chains = byChain ? chainsOf(graph) : [];
  const placeOf = (task: number): number => place.get(graph.names[task] ?? '') ?? written.length + task;
  const priorityOf = (task: number): number => priorityNumber(priorities.get(graph.names[task] ?? '') ?? 'normal');
  const order = graph.names
    .map((_, task) => task)
    .sort((a, b) => priorityOf(a) - priorityOf(b) || (chains[b] ?? 0) - (chains[a] ?? 0) || placeOf(a) - placeOf(b));
  const ranks = new Array<number>(order.length).fill(0);
  order.forEach((task, rank) => {
    ranks[task] = rank;
  });
  return ranks;
}

/** How many tasks come after each on its longest way. What depends on a task has a higher number. */
function chainsOf({ deps }: Graph): number[] {
  const chains = new Array<number>(deps.length).fill(0);
  for (let task = deps.length - 1; task >= 0; task--)
    for (const [dependency] of deps[task] ?? []) chains[dependency] = Math.max(chains[dependency] ?? 0, (chains[task] ?? 0) + 1);
  return chains;
}
