import type { DefinitionTask, Join } from '../definition/definition.ts';
import { expressionsOf, tasksNamed } from '../definition/expressions.ts';
import type { CompileResult, Reference } from '../expression/expression.ts';
import { KINDS } from '../kinds/kinds.ts';
import type { Kind } from '../kinds/kind.ts';
import { levelsOf, type NamedEdge } from './edges.ts';
import { CONTROL, EFFECT, INLINE, type Edge, type Graph, type PlanScope, type PlanTask } from './plan.ts';

export const referencesOf = (result: CompileResult): Reference[] => ('compiled' in result ? result.compiled.references : []);

function kindOf(task: DefinitionTask): Kind {
  const kind = KINDS[task.type];
  if (kind === undefined) throw new Error(`a checked definition has no kind ${task.type}`);
  return kind;
}

/** What expressions of a definition may name: its tasks, and what is around them. */
export type Nameable = { ids: ReadonlySet<string>; scope?: PlanScope | undefined };

/** The tasks of its definition that the expressions of a task name. */
export function namedBy(id: string, task: DefinitionTask, { ids, scope }: Nameable): string[] {
  const all = scope === undefined ? ids : new Set([...ids, ...scope.tasks]);
  const own = { id, around: scope?.names };
  const references = expressionsOf(own, task, kindOf(task)).flatMap(({ compile: compileOne }) => referencesOf(compileOne(all)));
  return tasksNamed(references).filter((name) => ids.has(name));
}

/** How tasks are numbered. */
export type OrderOf = (edges: ReadonlyMap<string, readonly NamedEdge[]>) => string[];

/** By how many come before them on their longest way, then by id. */
export function orderByLevel(edges: ReadonlyMap<string, readonly NamedEdge[]>): string[] {
  const levels = levelsOf(edges);
  const levelOf = (id: string): number => levels.get(id) ?? 0;
  return [...edges.keys()].sort((a, b) => levelOf(a) - levelOf(b) || (a < b ? -1 : 1));
}

export type Named = readonly { id: string; task: DefinitionTask }[];
type Wiring = { edges: ReadonlyMap<string, readonly NamedEdge[]>; index: ReadonlyMap<string, number>; failFast: boolean; limited: boolean };

export function graphOf(tasks: Named, { edges, index, failFast, limited }: Wiring): Graph {
  const edge = ({ task, when, branches }: NamedEdge): Edge => {
    const mask = when.reduce((bits, outcome) => bits | (1 << outcome), 0);
    const from = index.get(task) ?? 0;
    return branches === undefined ? [from, mask] : [from, mask, [...branches].sort((a, b) => a - b)];
  };
  return {
    names: tasks.map(({ id }) => id),
    kinds: tasks.map(({ task }) => task.type),
    classes: tasks.map(({ task }) => classOf(task)),
    deps: tasks.map(({ id }) => (edges.get(id) ?? []).map(edge).sort((a, b) => a[0] - b[0])),
    need: tasks.map(({ id, task }) => needOf(task.join, edges.get(id)?.length ?? 0)),
    tolerant: tasks.map(({ task }) => (task.onError === 'continue' ? 1 : 0)),
    failFast: failFast ? 1 : 0,
    ...(limited || tasks.some(({ task }) => task.limits) ? { limited: tasks.map(({ task }) => (limited || task.limits ? 1 : 0)) } : {}),
  };
}

/** 0: all of them. */
function needOf(join: Join, dependencies: number): number {
  if (join === 'all') return 0;
  if (join === 'any') return 1;
  return 'quorum' in join ? join.quorum : Math.ceil((join.percent * dependencies) / 100);
}

/** A mapped effect is carried by slices, which the run only waits for. */
function classOf(task: DefinitionTask): number {
  const kind = kindOf(task);
  if (kind.class === 'inline') return INLINE;
  return kind.class === 'effect' && task.map === undefined ? EFFECT : CONTROL;
}

export function planTask(id: string, task: DefinitionTask, reads: number[]): PlanTask {
  const { type, title, map, retry, timeoutMs, deadlineMs, onDeadline, outputSchema, limits, loop } = task;
  return {
    id,
    kind: type,
    ...(task.if === undefined ? {} : { if: task.if }),
    with: task.with,
    ...(map === undefined ? {} : { map }),
    ...(retry === undefined ? {} : { retry }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(onDeadline === undefined ? {} : { onDeadline }),
    ...(outputSchema === undefined ? {} : { outputSchema }),
    ...(limits === undefined ? {} : { limits }),
    ...(loop === undefined ? {} : { loop }),
    reads,
    ...(title === undefined ? {} : { title }),
  };
}
