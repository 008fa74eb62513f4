import type { Reference } from '../expression/expression.ts';
import { isObject, type Json, type JsonObject, type JsonSchema } from '../json.ts';
import type { Issue } from '../problem.ts';
import { countExpressions, type Used } from './checkExpressions.ts';
import type { Definition, DefinitionTask } from './definition.ts';
import { LIMITS } from './limits.ts';
import { child } from './pointer.ts';
import type { Report } from './reader.ts';

type Tasks = { [id: string]: DefinitionTask };

/**
 * What the tasks of a map may name of what is around it: items by name, and tasks by id, of which those without fault are in
 * `tasks`. `hidden`: something there is marked.
 */
export type Around = { names: readonly string[]; ids: ReadonlySet<string>; tasks: Tasks; inputSchema?: JsonSchema; hidden: boolean };

/** A document that has been checked, and what its expressions name of what is around it. */
export type Checked = { definition?: Definition; issues: Issue[]; outward: Used[] };

/** A document with maps that have tasks of their own: `check` checks those as a definition inside of it. */
export type Outer = {
  document: JsonObject;
  /** Tasks that may be named in it; `known`: those without fault. */
  ids: ReadonlySet<string>;
  known: Tasks;
  around: Around | undefined;
  check: (document: JsonObject, place: { at: string; around: Around }) => Checked;
  report: Report;
};

const LISTS = ['tasks', 'finally'] as const;

/** What a document says for the tasks of its maps, too. */
const INHERITED = ['use', 'defaults', 'limits', 'mode'];

/**
 * The tasks with those of their maps as definitions of their own, whose runs get by their input what they name of what is around
 * them. Reports at the places of these tasks.
 * @returns also what each names, at its place
 */
export function checkMapTasks(tasks: Tasks, list: 'tasks' | 'finally', outer: Outer): { tasks: Tasks; outward: Map<string, Used[]> } {
  const outward = new Map<string, Used[]>();
  const known = { ...outer.around?.tasks, ...outer.known };
  let outside: Pick<Around, 'inputSchema' | 'hidden'> | undefined;
  const entries = Object.entries(tasks).map(([id, task]): [string, DefinitionTask] => {
    const own = ownTasks(outer.document, list, id);
    if (own === undefined || task.map === undefined) return [id, task];
    const place = `${child(`/${list}`, id)}/map`;
    for (const name of Object.keys(own))
      if (outer.ids.has(name))
        outer.report({
          pointer: child(`${place}/tasks`, name),
          code: 'duplicate_name',
          message: `a task around the map is called ${name} too`,
        });
    const names = [...new Set([...(outer.around?.names ?? []), task.map.as, 'index'])].sort();
    outside ??= outsideOf(outer);
    const around = { ...outside, names, ids: outer.ids, tasks: known };
    const inner = outer.check(documentOf(outer.document, id, own), { at: place, around });
    outward.set(
      id,
      inner.outward.map((one) => ({ ...one, at: place + one.at })),
    );
    if (inner.definition === undefined) return [id, task];
    return [id, { ...task, each: inner.definition, with: { input: inputOf(inner, names) } }];
  });
  return { tasks: Object.fromEntries(entries), outward };
}

/** Whether all the maps of a document together, those inside each other too, stay within what may be looked at; reports if not. */
export function boundsMaps(document: JsonObject, report: Report): boolean {
  const { maps, tasks, expressions } = sizesOf(document);
  const over = [
    ...(maps > LIMITS.mapTasks ? [`at most ${LIMITS.mapTasks} maps with tasks of their own`] : []),
    ...(maps > 0 && tasks > LIMITS.tasks ? [`at most ${LIMITS.tasks} tasks, those of maps counted, has ${tasks}`] : []),
    ...(expressions > LIMITS.expressions ? [`at most ${LIMITS.expressions} expressions in the tasks of maps, has ${expressions}`] : []),
  ];
  for (const message of over) report({ pointer: '/tasks', code: 'too_large', message });
  return over.length === 0;
}

/** Maps with tasks of their own, tasks, and the expressions in tasks of maps. Stops counting when there are too many maps. */
function sizesOf(document: JsonObject): { maps: number; tasks: number; expressions: number } {
  const found = { maps: 0, tasks: 0, expressions: 0 };
  const todo = [document];
  for (let at = todo.pop(); at !== undefined && found.maps <= LIMITS.mapTasks; at = todo.pop()) {
    const here = at;
    const ids = LISTS.flatMap((list) => Object.keys(isObject(here[list]) ? here[list] : {}).map((id) => ({ list, id })));
    const own = ids.flatMap(({ list, id }) => ownTasks(here, list, id) ?? []);
    found.tasks += ids.length;
    found.maps += own.length;
    if (here === document) found.expressions = own.reduce<number>((sum, tasks) => sum + countExpressions(tasks), 0);
    todo.push(...own.map((tasks) => ({ tasks })));
  }
  return found;
}

/** What `used` says of the tasks of maps is made from what these name: told at the places where they do. */
export function placedOutward(used: ReadonlyMap<string, Used[]>, outward: ReadonlyMap<string, Used[]>): Map<string, Used[]> {
  return new Map(
    [...used].map(([id, all]) => {
      const named = outward.get(id);
      return [id, named === undefined ? all : [...all.filter(({ at }) => !/^\/(tasks|finally)\/[^/]+\/with\//.test(at)), ...named]];
    }),
  );
}

function ownTasks(document: JsonObject, list: string, id: string): JsonObject | undefined {
  const tasks = document[list];
  const task = isObject(tasks) ? tasks[id] : undefined;
  const map = isObject(task) ? task.map : undefined;
  return isObject(map) && isObject(map.tasks) ? map.tasks : undefined;
}

function outsideOf({ document, around }: Outer): Pick<Around, 'inputSchema' | 'hidden'> {
  const given = isObject(document.input) ? document.input.schema : undefined;
  const inputSchema = around === undefined ? given : around.inputSchema;
  return {
    ...((isObject(inputSchema) || typeof inputSchema === 'boolean') && { inputSchema }),
    hidden: around?.hidden === true || JSON.stringify(document).includes('"x-secret":true'),
  };
}

function documentOf(outer: JsonObject, id: string, tasks: JsonObject): JsonObject {
  const name = typeof outer.name === 'string' ? outer.name : 'map';
  return {
    dsl: 'tiu/1',
    name: `${name}-${id.toLowerCase().replaceAll('_', '-')}`.slice(0, 63),
    tasks,
    ...Object.fromEntries(INHERITED.flatMap((key) => (outer[key] === undefined ? [] : [[key, outer[key]]]))),
  };
}

const FIELDS = ['output', 'status', 'error'];

/** What a run of the tasks of a map is given: see `aroundOf`. */
function inputOf({ definition, outward }: Checked, names: readonly string[]): Json {
  const references = outward.flatMap((one) => one.references);
  const tasks = (definition?.scope?.tasks ?? []).map((id): [string, Json] => [id, viewOf(id, references)]);
  const wantsInput = definition?.limits !== undefined || references.some(({ root }) => root === 'input');
  return {
    ...(wantsInput && { input: '${input}' }),
    names: Object.fromEntries(names.map((name) => [name, `\${${name}}`])),
    ...(tasks.length > 0 && { tasks: Object.fromEntries(tasks) }),
  };
}

function viewOf(id: string, references: readonly Reference[]): Json {
  const named = references
    .filter(({ root, task }) => root === 'tasks' && task === id)
    .flatMap(({ field }) => (field === undefined ? FIELDS : [field]));
  return Object.fromEntries([...new Set(named)].sort().map((field) => [field, `\${tasks.${id}.${field}}`]));
}
