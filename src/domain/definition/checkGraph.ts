import { cycleOf, edgesOf, type EdgeSource, type NamedEdge } from '../plan/edges.ts';
import { COMPLETED, statusOf } from '../plan/outcome.ts';
import { isObject } from '../json.ts';
import type { DefinitionTask, Join } from './definition.ts';
import type { Used } from './checkExpressions.ts';
import { tasksNamed } from './expressions.ts';
import { LIMITS } from './limits.ts';
import { didYouMean } from './names.ts';
import { child } from './pointer.ts';
import type { Report } from './reader.ts';

type Tasks = { [id: string]: DefinitionTask };

/** What the tasks at a pointer say of each other: `ids` are all that stand there, also those too faulty to be in `tasks`. */
export type GraphFacts = { at: string; tasks: Tasks; ids: ReadonlySet<string>; used: ReadonlyMap<string, readonly Used[]> };

/** Reports names that lead nowhere, cycles, and what can never be. @returns the edges into every task */
export function checkGraph({ at, tasks, ids, used }: GraphFacts, report: Report): ReadonlyMap<string, readonly NamedEdge[]> {
  const sources = new Map<string, EdgeSource>();
  for (const [id, task] of Object.entries(tasks)) {
    checkSwitch(task, { at: child(at, id), id, ids, report });
    const named = tasksNamed((used.get(id) ?? []).flatMap(({ references }) => references)).filter((name) => ids.has(name));
    if (named.includes(id)) reportOwn(id, used.get(id) ?? [], report);
    sources.set(id, {
      ...task,
      dependsOn: task.dependsOn.filter((dependency) => dependency.task !== id),
      named: named.filter((name) => name !== id),
    });
  }
  const edges = edgesOf(sources);
  const cycle = cycleOf(edges);
  if (cycle !== undefined)
    report({
      pointer: child(at, cycle[0] ?? ''),
      code: 'cycle',
      message: `the tasks wait for each other: ${cycle.join(' → ')}`,
      hint: 'an arrow points from a task to one that waits for it',
    });
  for (const [id, list] of edges) {
    checkJoin(tasks[id]?.join ?? 'all', { at: child(at, id), dependencies: list.length, report });
    checkNeeds(id, list, { at, tasks, used: used.get(id) ?? [], report });
  }
  const bytes = graphBytes(edges, tasks);
  if (bytes > LIMITS.graphBytes)
    report({ pointer: at, code: 'too_large', message: `the graph takes ${bytes} bytes, at most ${LIMITS.graphBytes}` });
  return edges;
}

/** Explicit dependencies must name tasks that are there. Done on what was read, where positions in the list are still known. */
export function checkDependencies(
  id: string,
  dependencies: readonly { task: string }[],
  { at, ids, report }: { at: string; ids: ReadonlySet<string>; report: Report },
): void {
  dependencies.forEach(({ task }, i) => {
    const pointer = child(child(child(at, id), 'dependsOn'), i);
    if (task === id) report({ pointer, code: 'cycle', message: `the task waits for itself: ${id} → ${id}` });
    else if (!ids.has(task)) report({ pointer, code: 'unknown_task', message: `there is no task "${task}"`, ...didYouMean(task, ids) });
  });
}

function checkSwitch(
  task: DefinitionTask,
  { at: place, id, ids, report }: { at: string; id: string; ids: ReadonlySet<string>; report: Report },
): void {
  if (task.type !== 'switch') return;
  const at = child(place, 'with');
  const cases = Array.isArray(task.with.cases) ? task.with.cases : [];
  cases.forEach((entry, i) => {
    if (isObject(entry)) checkTargets(id, entry.then, { at: `${at}/cases/${i}/then`, ids, report });
  });
  checkTargets(id, task.with.else, { at: `${at}/else`, ids, report });
}

function checkTargets(id: string, targets: unknown, { at, ids, report }: { at: string; ids: ReadonlySet<string>; report: Report }): void {
  if (!Array.isArray(targets)) return;
  targets.forEach((target: unknown, i) => {
    if (typeof target !== 'string') return;
    if (target === id) report({ pointer: child(at, i), code: 'cycle', message: 'a switch cannot choose itself' });
    else if (!ids.has(target))
      report({ pointer: child(at, i), code: 'unknown_task', message: `there is no task "${target}"`, ...didYouMean(target, ids) });
  });
}

function reportOwn(id: string, used: readonly Used[], report: Report): void {
  const place = used.find(({ references }) => tasksNamed(references).includes(id));
  report({ pointer: place?.at ?? '', code: 'cycle', message: `the task uses what it makes itself: ${id} → ${id}` });
}

/** Some of the dependencies can be satisfied only if there are as many. */
function checkJoin(join: Join, { at, dependencies, report }: { at: string; dependencies: number; report: Report }): void {
  if (join === 'all') return;
  const pointer = child(at, 'join');
  if (dependencies === 0) report({ pointer, code: 'not_applicable', message: 'the task has no dependencies to join' });
  else if (typeof join === 'object' && 'quorum' in join && join.quorum > dependencies)
    report({ pointer: child(pointer, 'quorum'), code: 'invalid_value', message: `needs ${join.quorum} of ${dependencies} dependencies` });
}

/** A task that needs all its dependencies must be able to have them, with the outputs it reads. */
function checkNeeds(
  id: string,
  edges: readonly NamedEdge[],
  { at, tasks, used, report }: { at: string; tasks: Tasks; used: readonly Used[]; report: Report },
): void {
  if (tasks[id]?.join !== 'all') return;
  for (const { task, when } of edges) {
    if (when.includes(COMPLETED)) continue;
    const place = used.find(({ references }) => references.some((each) => each.task === task && each.field === 'output'));
    if (place !== undefined)
      report({
        pointer: place.at,
        code: 'output_never_there',
        message: `runs only when "${task}" is ${when.map(statusOf).join(' or ')}, which leaves it without output`,
        hint: `add completed to the \`when\` of the dependency on "${task}"`,
      });
  }
  const chosen = edges.filter(({ branches }) => branches !== undefined);
  for (const { task, branches = [] } of chosen)
    for (const other of edges) {
      const theirs = edgesOfSwitch(tasks, task, other.task);
      const apart =
        theirs.length > 0 && other.when.length === 1 && other.when[0] === COMPLETED && !theirs.some((branch) => branches.includes(branch));
      if (apart && other.task !== task)
        report({
          pointer: child(at, id),
          code: 'never_runs',
          message: `"${task}" chooses either this task or "${other.task}", which this task needs completed`,
          hint: `use dependsOn: [{ task: ${other.task}, when: done }] or join: any`,
        });
    }
}

/** The branches of a switch of which a task is a direct target. */
function edgesOfSwitch(tasks: Tasks, switchId: string, target: string): number[] {
  const { cases, else: otherwise } = tasks[switchId]?.with ?? {};
  const lists = [...(Array.isArray(cases) ? cases.map((entry) => (isObject(entry) ? entry.then : [])) : []), otherwise];
  return lists.flatMap((list, branch) => (Array.isArray(list) && list.includes(target) ? [branch] : []));
}

/** About what the graph takes as JSON: ids and kinds, and each edge with its mask. */
function graphBytes(edges: ReadonlyMap<string, readonly NamedEdge[]>, tasks: Tasks): number {
  let bytes = 0;
  for (const [id, list] of edges) {
    bytes += id.length + (tasks[id]?.type.length ?? 0) + 24;
    for (const { branches = [] } of list) bytes += 12 + branches.length * 3;
  }
  return bytes;
}
