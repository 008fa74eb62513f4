import type { Reference } from '../expression/expression.ts';
import { isObject, type Json, type JsonSchema } from '../json.ts';
import { compileOfPayload } from '../hook/eventKey.ts';
import { KINDS } from '../kinds/kinds.ts';
import type { Strategy } from '../plan/plan.ts';
import { PROBLEMS, type Issue } from '../problem.ts';
import { isHookTrigger } from '../schedule/readSpec.ts';
import { canonicalJson } from './canonical.ts';
import { checkRunExpressions, checkTaskExpressions, type Used } from './checkExpressions.ts';
import { checkDependencies, checkGraph } from './checkGraph.ts';
import { checkRetry, checkTask, kindOf } from './checkTask.ts';
import { checkTypes, type Matches, type TypeFacts } from './checkTypes.ts';
import type { Definition, DefinitionTask } from './definition.ts';
import { tasksNamed } from './expressions.ts';
import { LIMITS } from './limits.ts';
import { boundsMaps, checkMapTasks, placedOutward, type Around, type Checked, type Outer } from './mapTasks.ts';
import { didYouMean } from './names.ts';
import { normaliseConcurrency, normaliseLimits, normaliseTask, type ReadDocument, type ReadRetry, type ReadTask } from './normalise.ts';
import { child } from './pointer.ts';
import { UNREAD, type Report } from './reader.ts';
import { document } from './shape.ts';

/** What only a JSON Schema validator knows: whether a value matches, and what is wrong with a schema itself. */
export type Schemas = { matches: Matches; faults: (schema: JsonSchema) => Issue[] };

/** Where a definition stands: how many are around it, and, of the tasks of a map, what they may name there. */
type Inside = { depth: number; around?: Around };

/** The definition that a JSON value is, or every reason why it is none: shape, names, graph, expressions, types and times. */
export function checkDefinition(value: Json, schemas: Schemas): { definition: Definition; issues: [] } | { issues: Issue[] } {
  const { definition, issues } = checkInside(value, schemas, { depth: 0 });
  return definition === undefined ? { issues } : { definition, issues: [] };
}

function checkInside(value: Json, schemas: Schemas, { depth, around }: Inside): Checked {
  const issues: Issue[] = [];
  const report: Report = (issue) => issues.push(issue);
  const read = document.read(value, '', report);
  if (read === UNREAD || !isObject(value)) return { issues, outward: [] };
  if (around === undefined && !boundsMaps(value, report)) return { issues, outward: [] };
  const ids = new Set(isObject(value.tasks) ? Object.keys(value.tasks) : []);
  const nameable = around === undefined ? ids : new Set([...ids, ...around.ids]);
  checkPolicies(read, report);
  const checked = checkTasks(read, 'tasks', report);
  checkSchemas(read, schemas, report);
  checkTriggers(read, report);
  checkStrategy(read, report);
  const check: Outer['check'] = (inner, { at: place, around: outside }) =>
    checkOwn(inner, { at: place, around: outside, schemas, depth, report });
  const outer: Outer = { document: value, ids: nameable, known: checked, around, check, report };
  const { tasks, outward } = checkMapTasks(checked, 'tasks', outer);
  const used = placedOutward(checkTaskExpressions(tasks, { ids: nameable, around: around?.names, placeOf: at('/tasks') }, report), outward);
  checkRun(read, ids, report);
  const edges = checkGraph({ at: '/tasks', tasks, ids, used }, report);
  const inputSchema = around === undefined ? read.input?.schema : around.inputSchema;
  const known = { ...around?.tasks, ...tasks };
  const types = { known, matches: schemas.matches, ...(inputSchema === undefined ? {} : { inputSchema }) };
  checkTypes({ ...types, tasks, placeOf: at('/tasks') }, report);
  const { last, undoing } = checkCleanup(read, { tasks, ids: nameable, types, outer });
  for (const [place, inner] of innerDefinitions({ ...tasks, ...last }, last)) checkInner(inner, { at: place, schemas, depth, report });
  const named = outwardIn([...used.values(), ...undoing.values()].flat(), around);
  if (issues.length > 0) return { issues: bounded(issues), outward: named };
  const definition = definitionOf(read, tasks, last);
  return { definition: around === undefined ? definition : ofMap(definition, { edges, named, around }), issues: [], outward: named };
}

/** What belongs to the run. */
function checkRun({ priority = 'normal', concurrency, limits, output }: ReadDocument, ids: ReadonlySet<string>, report: Report): void {
  checkRunExpressions(
    {
      priority,
      ...(concurrency === undefined ? {} : { concurrency: normaliseConcurrency(concurrency) }),
      ...(limits === undefined ? {} : { limits: normaliseLimits(limits) }),
      ...(output?.value === undefined ? {} : { output: { value: output.value } }),
    },
    ids,
    report,
  );
}

/** Definitions that stand in tasks, with their pointers. */
function innerDefinitions(tasks: Tasks, last: Tasks = {}): [string, Json][] {
  return Object.entries(tasks).flatMap(([id, task]) =>
    Object.entries(KINDS[task.type]?.with ?? {}).flatMap(([name, field]): [string, Json][] => {
      const inner = task.with[name];
      const list = Object.hasOwn(last, id) ? '/finally' : '/tasks';
      return field.definition === true && inner !== undefined ? [[child(`${child(list, id)}/with`, name), inner]] : [];
    }),
  );
}

type Within = { at: string; schemas: Schemas; depth: number; report: Report };

/** What a definition inside of another one has to say, at its place. */
function checkInner(inner: Json, { at: place, schemas, depth, report }: Within): void {
  if (isTooDeep(place, { depth, report })) return;
  for (const issue of checkInside(inner, schemas, { depth: depth + 1 }).issues) report({ ...issue, pointer: place + issue.pointer });
}

/** The tasks of a map; what these have from the document around them, that one has said itself. */
function checkOwn(inner: Json, { at: place, around, schemas, depth, report }: Within & { around: Around }): Checked {
  if (isTooDeep(`${place}/tasks`, { depth, report })) return { issues: [], outward: [] };
  const checked = checkInside(inner, schemas, { depth: depth + 1, around });
  for (const issue of checked.issues) {
    if (issue.pointer === '') report({ ...issue, pointer: `${place}/tasks` });
    else if (/^\/tasks(\/|$)/.test(issue.pointer)) report({ ...issue, pointer: place + issue.pointer });
  }
  return checked;
}

function isTooDeep(pointer: string, { depth, report }: Pick<Within, 'depth' | 'report'>): boolean {
  if (depth >= LIMITS.children) report({ pointer, code: 'too_large', message: `at most ${LIMITS.children} definitions inside each other` });
  return depth >= LIMITS.children;
}

const at =
  (list: string) =>
  (id: string): string =>
    child(list, id);

type Tasks = { [id: string]: DefinitionTask };

type Cleanup = { tasks: Tasks; ids: ReadonlySet<string>; types: Omit<TypeFacts, 'tasks' | 'placeOf'>; outer: Outer };

/** What follows when the tasks have settled: compensations, which may name any task, and `finally`, whose tasks may name each other too. */
function checkCleanup(
  read: ReadDocument,
  { tasks, ids, types, outer }: Cleanup,
): { last: Tasks | undefined; undoing: ReadonlyMap<string, Used[]> } {
  const { report, around } = outer;
  const placeOf = (id: string): string => `${child('/tasks', id)}/compensate`;
  const compensations = Object.fromEntries(Object.entries(tasks).flatMap(([id, task]) => withCompensation(id, task)));
  const undoing = checkTaskExpressions(compensations, { ids, around: around?.names, placeOf }, report);
  checkTypes({ ...types, tasks: compensations, placeOf }, report);
  if (read.finally === undefined) return { last: undefined, undoing };
  const checked = checkTasks(read, 'finally', report);
  const own = new Set(Object.keys(read.finally));
  const all = new Set([...ids, ...own]);
  for (const id of own)
    if (ids.has(id)) report({ pointer: child('/finally', id), code: 'duplicate_name', message: `a task is called ${id} too` });
  const { tasks: last, outward } = checkMapTasks(checked, 'finally', { ...outer, ids: all, known: { ...outer.known, ...checked } });
  const used = placedOutward(checkTaskExpressions(last, { ids: all, placeOf: at('/finally') }, report), outward);
  checkGraph({ at: '/finally', tasks: last, ids: own, used }, report);
  checkTypes({ ...types, known: { ...types.known, ...last }, tasks: last, placeOf: at('/finally') }, report);
  return { last, undoing };
}

/** The compensation of a task as a task by itself; what its map goes over is checked with the task. */
function withCompensation(id: string, { compensate, map }: DefinitionTask): [string, DefinitionTask][] {
  if (compensate === undefined) return [];
  return [[id, map === undefined ? compensate : { ...compensate, map: { as: map.as, maxConcurrency: map.maxConcurrency, items: [] } }]];
}

function checkTasks(read: ReadDocument, list: 'tasks' | 'finally', report: Report): Tasks {
  const entries: [string, DefinitionTask][] = [];
  const tasks = read[list] ?? {};
  const ids = new Set(Object.keys(tasks));
  const bound = list === 'tasks' ? read.deadline : undefined;
  const times = bound === undefined ? {} : { runDeadlineMs: bound };
  for (const [id, task] of Object.entries(tasks)) {
    const place = child(`/${list}`, id);
    checkDependencies(id, task.dependsOn ?? [], { at: `/${list}`, ids, report });
    if (task.compensate !== undefined) checkCompensation(task, { at: `${place}/compensate`, isLast: list === 'finally', report });
    const kind = kindOf(task, place, report);
    if (kind === undefined) continue;
    checkTask(task, kind, { at: place, report, ...times });
    entries.push([id, normaliseTask(task, kind, read)]);
  }
  return Object.fromEntries(entries);
}

function checkCompensation(
  { compensate, map }: ReadTask,
  { at: place, isLast, report }: { at: string; isLast: boolean; report: Report },
): void {
  if (compensate === undefined) return;
  if (isLast) report({ pointer: place, code: 'not_applicable', message: 'nothing undoes a task of `finally`: it runs last' });
  const kind = kindOf(compensate, place, report);
  if (kind === undefined) return;
  checkTask(compensate, kind, { at: place, report });
  if (kind.name === 'switch' || (map !== undefined && kind.class === 'control'))
    report({ pointer: child(place, 'type'), code: 'not_applicable', message: `${kind.name} undoes nothing here` });
}

/** Retry policies by name, and the names that mean one. */
function checkPolicies(read: ReadDocument, report: Report): void {
  const { use, defaults, tasks = {} } = read;
  const policies = use?.retries ?? {};
  for (const [name, policy] of Object.entries(policies))
    checkRetry(policy, Object.keys(PROBLEMS), { at: child('/use/retries', name), report });
  const checkName = (retry: ReadRetry | string | undefined, at: string): void => {
    if (typeof retry !== 'string' || Object.hasOwn(policies, retry)) return;
    report({
      pointer: child(at, 'retry'),
      code: 'unknown_policy',
      message: `there is no retry policy "${retry}" in \`use.retries\``,
      ...didYouMean(retry, Object.keys(policies)),
    });
  };
  if (typeof defaults?.retry === 'object') checkRetry(defaults.retry, Object.keys(PROBLEMS), { at: '/defaults/retry', report });
  checkName(defaults?.retry, '/defaults');
  for (const [id, { retry, compensate }] of Object.entries(tasks)) {
    checkName(retry, child('/tasks', id));
    checkName(compensate?.retry, `${child('/tasks', id)}/compensate`);
  }
  for (const [id, { retry }] of Object.entries(read.finally ?? {})) checkName(retry, child('/finally', id));
}

const WITHOUT_PRIORITY: readonly Strategy[] = ['sequential', 'parallel'];

/** What the strategy leaves no room for. */
function checkStrategy({ strategy = 'parallel', maxConcurrency, ...read }: ReadDocument, report: Report): void {
  if (strategy === 'sequential' && maxConcurrency !== undefined)
    report({ pointer: '/maxConcurrency', code: 'not_applicable', message: 'sequential runs one task at a time' });
  if (!WITHOUT_PRIORITY.includes(strategy)) return;
  for (const list of ['tasks', 'finally'] as const)
    for (const [id, { priority }] of Object.entries(read[list] ?? {}))
      if (priority !== undefined)
        report({
          pointer: child(child(`/${list}`, id), 'priority'),
          code: 'not_applicable',
          message: `${strategy} does not look at the priority of tasks`,
          hint: 'strategy: priority_based, balanced or adaptive does',
        });
}

/** Their schedules are named after them. */
function checkTriggers({ triggers = [] }: ReadDocument, report: Report): void {
  const names = triggers.map(({ name }, i) => name ?? String(i + 1));
  for (const [i, name] of names.entries())
    if (names.indexOf(name) < i)
      report({ pointer: `/triggers/${i}`, code: 'duplicate_name', message: `another trigger is called ${name}` });
  for (const [i, trigger] of triggers.entries()) {
    const compiled = isHookTrigger(trigger) && trigger.input !== undefined ? compileOfPayload(trigger.input) : undefined;
    if (compiled && 'issues' in compiled)
      for (const { pointer, code, message, hint } of compiled.issues)
        report({ pointer: `/triggers/${i}/input${pointer}`, code, message, ...(hint === undefined ? {} : { hint }) });
  }
}

function checkSchemas(read: ReadDocument, { faults }: Schemas, report: Report): void {
  const known = new Map<string, Issue[]>();
  const check = (schema: JsonSchema | undefined, at: string): void => {
    if (schema === undefined || known.size > LIMITS.schemas) return;
    const text = canonicalJson(schema);
    const found = known.get(text) ?? faults(schema);
    known.set(text, found);
    for (const issue of found) report({ ...issue, pointer: at + issue.pointer });
    if (known.size > LIMITS.schemas) report({ pointer: at, code: 'too_large', message: `at most ${LIMITS.schemas} different schemas` });
  };
  check(read.input?.schema, '/input/schema');
  for (const list of ['tasks', 'finally'] as const)
    for (const [id, task] of Object.entries(read[list] ?? {})) check(task.output?.schema, `${child(`/${list}`, id)}/output/schema`);
}

/** Of what the expressions in a map name, that which is around it. */
function outwardIn(used: readonly Used[], around: Around | undefined): Used[] {
  if (around === undefined) return [];
  const isOutside = ({ root, task }: Reference): boolean =>
    root === 'tasks' ? task !== undefined && around.ids.has(task) : root === 'input' || around.names.includes(root);
  return used.flatMap(({ at: place, references }) => {
    const outside = references.filter(isOutside);
    return outside.length === 0 ? [] : [{ at: place, references: outside }];
  });
}

type OfMap = { edges: ReadonlyMap<string, readonly { task: string }[]>; named: readonly Used[]; around: Around };

/** Of the tasks of a map: what they name around it, and the outputs of the last of them as that of the item. */
function ofMap(definition: Definition, { edges, named, around }: OfMap): Definition {
  const before = new Set([...edges.values()].flat().map(({ task }) => task));
  const last = [...edges.keys()].filter((id) => !before.has(id)).sort();
  const outputs = last.map((id): [string, string] => [id, `\${tasks.${id}.output}`]);
  const tasks = tasksNamed(named.flatMap(({ references }) => references)).sort();
  return {
    ...definition,
    output: { value: outputs.length === 1 && outputs[0] ? outputs[0][1] : Object.fromEntries(outputs) },
    scope: { names: [...around.names], tasks, ...(around.hidden && { hidden: true as const }) },
  };
}

const FINALLY_TIMEOUT_MS = 300_000;

/** Called without issues, so name and tasks are there. */
function definitionOf(read: ReadDocument, tasks: Tasks, last: Tasks | undefined): Definition {
  const { name = '', version, title, input, deadline, priority = 'normal', mode, labels = {}, onError = 'finish', output, metadata } = read;
  const { concurrency, limits } = read;
  return {
    dsl: 'tiu/1',
    name,
    ...(version === undefined ? {} : { version }),
    ...(title === undefined ? {} : { title }),
    ...(input?.schema === undefined ? {} : { inputSchema: input.schema }),
    ...(deadline === undefined ? {} : { deadlineMs: deadline }),
    priority,
    ...(mode === undefined ? {} : { mode }),
    ...strategyOf(read, [...Object.keys(tasks), ...Object.keys(last ?? {})]),
    labels,
    onError,
    ...(concurrency === undefined ? {} : { concurrency: normaliseConcurrency(concurrency) }),
    ...(limits === undefined ? {} : { limits: normaliseLimits(limits) }),
    tasks,
    ...(output?.value === undefined ? {} : { output: { value: output.value } }),
    ...(last === undefined ? {} : { finally: last, finallyTimeoutMs: read.finallyTimeout ?? FINALLY_TIMEOUT_MS }),
    ...(read.triggers === undefined ? {} : { triggers: read.triggers }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

/** `parallel` looks at no order, so that two that differ in nothing else are the same definition. */
function strategyOf(
  { strategy, maxConcurrency }: ReadDocument,
  order: string[],
): Pick<Definition, 'strategy' | 'maxConcurrency' | 'order'> {
  return {
    ...(strategy === undefined ? {} : { strategy }),
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
    ...(strategy === undefined || strategy === 'parallel' ? {} : { order }),
  };
}

/** Each issue once, in the order of the document's checks, and no more than anybody reads. */
function bounded(issues: readonly Issue[]): Issue[] {
  const known = new Map(issues.map((issue) => [`${issue.pointer} ${issue.code} ${issue.message}`, issue]));
  const all = [...known.values()];
  if (all.length <= LIMITS.issues) return all;
  const rest = all.length - LIMITS.issues;
  return [...all.slice(0, LIMITS.issues), { pointer: '', code: 'more_issues', message: `and ${rest} more` }];
}
