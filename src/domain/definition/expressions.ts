import { compileCondition } from '../expression/compileCondition.ts';
import { compileTemplate } from '../expression/compileTemplate.ts';
import type { CompileResult, Reference, Scope } from '../expression/expression.ts';
import { isObject, type Json } from '../json.ts';
import type { Kind } from '../kinds/kind.ts';
import type { DefinitionTask } from './definition.ts';
import { child } from './pointer.ts';

/** One value of a task that may hold expressions; `at` is its pointer inside the task. */
export type TaskExpression = { at: string; compile: (tasks: ReadonlySet<string>) => CompileResult };

const OUTER = ['input', 'tasks', 'run'];

/** What a task is called, and the names that its definition has from a map around it. */
export type Own = { id: string; around?: readonly string[] | undefined };

/** Where a task, of a definition or of a plan, may hold expressions. */
type Expressive = Pick<DefinitionTask, 'if' | 'map' | 'limits' | 'loop' | 'with'>;

/**
 * Everything in a task that may hold expressions, in the order of the document. Literal fields hold none.
 * @param own.id in its loop a task may name itself, which makes no edge
 */
export function expressionsOf({ id, around = [] }: Own, task: Expressive, kind: Kind): TaskExpression[] {
  const outer = [...OUTER, ...around];
  const inner = task.map === undefined ? outer : [...outer, task.map.as, 'index']; // in `with` and in the condition of each item
  const keyNames = task.map === undefined ? around : [...around, task.map.as, 'item', 'index'];
  return [
    ...(task.if === undefined ? [] : [condition('/if', task.if, outer)]),
    ...(task.map === undefined ? [] : mapExpressions(task.map, { outer, inner })),
    ...(task.limits ?? []).map(({ key }, i): TaskExpression => ({ at: `/limits/${i}/key`, compile: () => compileKey(key, keyNames) })),
    ...(task.loop === undefined ? [] : [withoutSelf(id, condition('/loop/until', task.loop.until, inner))]),
    ...Object.entries(task.with).flatMap(([name, value]) => fieldExpressions(kind, name, { value, names: inner })),
  ];
}

const withoutSelf = (id: string, { at, compile }: TaskExpression): TaskExpression => ({
  at,
  compile: (tasks) => {
    const result = compile(tasks);
    if (!('compiled' in result)) return result;
    return { compiled: { ...result.compiled, references: result.compiled.references.filter(({ task }) => task !== id) } };
  },
});

/** The condition of each case of a switch, with its place in the task. */
function switchConditions(cases: Json | undefined): { at: string; text: string }[] {
  if (!Array.isArray(cases)) return [];
  return cases.flatMap((entry, i) =>
    isObject(entry) && (typeof entry.if === 'string' || typeof entry.if === 'boolean')
      ? [{ at: `/with/cases/${i}/if`, text: String(entry.if) }]
      : [],
  );
}

/** The value of a run: what it may name, compiled. */
export const compileRunOutput = (value: Json, tasks: ReadonlySet<string>): CompileResult => compileTemplate(value, { names: OUTER, tasks });

/** The priority of a run is decided when it is accepted, so it sees the input alone. */
export const compilePriority = (value: Json): CompileResult => compileTemplate(value, { names: ['input'], tasks: new Set() });

/** The key of a limit is evaluated before the task begins, so it sees the input, and the items around it. */
export const compileKey = (key: Json, items: readonly string[] = []): CompileResult =>
  compileTemplate(key, { names: ['input', ...items], tasks: new Set() });

/** Ids of the tasks that references name, without repeats. */
export const tasksNamed = (references: readonly Reference[]): string[] => [
  ...new Set(references.flatMap(({ root, task }) => (root === 'tasks' && task !== undefined ? [task] : []))),
];

type Names = { outer: string[]; inner: string[] };

function mapExpressions(map: NonNullable<DefinitionTask['map']>, { outer, inner }: Names): TaskExpression[] {
  const { items } = map;
  const lists =
    isObject(items) && isObject(items.matrix)
      ? Object.entries(items.matrix).map(([name, values]) => template(child('/map/matrix', name), values, { names: outer }))
      : [template('/map/items', items, { names: outer })];
  return map.if === undefined ? lists : [...lists, condition('/map/if', map.if, inner)];
}

function fieldExpressions(kind: Kind, name: string, { value, names }: { value: Json; names: string[] }): TaskExpression[] {
  if (kind.name === 'switch') return name === 'cases' ? switchConditions(value).map(({ at, text }) => condition(at, text, names)) : [];
  const form = kind.with[name]?.form;
  if (form === 'condition') return typeof value === 'string' ? [condition(child('/with', name), value, names)] : [];
  const secrets = kind.with[name]?.secret === true;
  return form === 'template' ? [template(child('/with', name), value, { names, secrets })] : [];
}

const condition = (at: string, text: string, names: Scope['names']): TaskExpression => ({
  at,
  compile: (tasks) => compileCondition(text, { names, tasks }),
});

const template = (at: string, value: Json, scope: Omit<Scope, 'tasks'>): TaskExpression => ({
  at,
  compile: (tasks) => compileTemplate(value, { ...scope, tasks }),
});
