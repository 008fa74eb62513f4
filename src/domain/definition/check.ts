import { isObject, type Json, type JsonSchema } from '../json.ts';
import { compileOfPayload } from '../hook/eventKey.ts';
import { KINDS } from '../kinds/kinds.ts';
import type { Strategy } from '../plan/plan.ts';
import { PROBLEMS, type Issue } from '../problem.ts';
import { isHookTrigger } from '../schedule/readSpec.ts';
import { canonicalJson } from './canonical.ts';
import { checkRunExpressions, checkTaskExpressions } from './checkExpressions.ts';
import { checkDependencies, checkGraph } from './checkGraph.ts';
import { checkRetry, checkTask, kindOf } from './checkTask.ts';
import { checkTypes, type Matches, type TypeFacts } from './checkTypes.ts';
import type { Definition, DefinitionTask } from './definition.ts';
import { LIMITS } from './limits.ts';
import { didYouMean } from './names.ts';
import { normaliseConcurrency, normaliseLimits, normaliseTask, type ReadDocument, type ReadRetry, type ReadTask } from './normalise.ts';
import { child } from './pointer.ts';
import { UNREAD, type Report } from './reader.ts';
import { document } from './shape.ts';

/** What only a JSON Schema validator knows: whether a value matches, and what is wrong with a schema itself. */
export type Schemas = { matches: Matches; faults: (schema: JsonSchema) => Issue[] };

/** The definition that a JSON value is, or every reason why it is none: shape, names, graph, expressions, types and times. */
export function checkDefinition(value: Json, schemas: Schemas, depth = 0): { definition: Definition; issues: [] } | { issues: Issue[] } {
  const issues: Issue[] = [];
  const report: Report = (issue) => issues.push(issue);
  const read = document.read(value, '', report);
  if (read === UNREAD) return { issues };
  const ids = new Set(isObject(value) && isObject(value.tasks) ? Object.keys(value.tasks) : []);
  checkPolicies(read, report);
  const tasks = checkTasks(read, 'tasks', report);
  checkSchemas(read, schemas, report);
  checkTriggers(read, report);
  checkStrategy(read, report);
  const used = checkTaskExpressions(tasks, { ids, placeOf: at('/tasks') }, report);
  const { priority = 'normal', concurrency, limits } = read;
  checkRunExpressions(
    {
      priority,
      ...(concurrency === undefined ? {} : { concurrency: normaliseConcurrency(concurrency) }),
      ...(limits === undefined ? {} : { limits: normaliseLimits(limits) }),
      ...(read.output?.value === undefined ? {} : { output: { value: read.output.value } }),
    },
    ids,
    report,
  );
  checkGraph({ at: '/tasks', tasks, ids, used }, report);
  const inputSchema = read.input?.schema;
  const types = { known: tasks, matches: schemas.matches, ...(inputSchema === undefined ? {} : { inputSchema }) };
  checkTypes({ ...types, tasks, placeOf: at('/tasks') }, report);
  const last = checkCleanup(read, { tasks, ids, types, report });
  for (const [at, inner] of innerDefinitions({ ...tasks, ...last }, last)) checkInner(inner, { at, schemas, depth, report });
  return issues.length > 0 ? { issues: bounded(issues) } : { definition: definitionOf(read, tasks, last), issues: [] };
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

/** What a definition inside of another one has to say, at its place. */
function checkInner(
  inner: Json,
  { at: place, schemas, depth, report }: { at: string; schemas: Schemas; depth: number; report: Report },
): void {
  if (depth >= LIMITS.children) {
    report({ pointer: place, code: 'too_large', message: `at most ${LIMITS.children} definitions inside each other` });
    return;
  }
  for (const issue of checkDefinition(inner, schemas, depth + 1).issues) report({ ...issue, pointer: place + issue.pointer });
}

const at =
  (list: string) =>
  (id: string): string =>
    child(list, id);

type Tasks = { [id: string]: DefinitionTask };

/** What follows when the tasks have settled: compensations, which may name any task, and `finally`, whose tasks may name each other too. */
function checkCleanup(
  read: ReadDocument,
  { tasks, ids, types, report }: { tasks: Tasks; ids: ReadonlySet<string>; types: Omit<TypeFacts, 'tasks' | 'placeOf'>; report: Report },
): Tasks | undefined {
  const placeOf = (id: string): string => `${child('/tasks', id)}/compensate`;
  const undoing = Object.fromEntries(Object.entries(tasks).flatMap(([id, task]) => withCompensation(id, task)));
  checkTaskExpressions(undoing, { ids, placeOf }, report);
  checkTypes({ ...types, tasks: undoing, placeOf }, report);
  if (read.finally === undefined) return undefined;
  const last = checkTasks(read, 'finally', report);
  const own = new Set(Object.keys(read.finally));
  for (const id of own)
    if (ids.has(id)) report({ pointer: child('/finally', id), code: 'duplicate_name', message: `a task is called ${id} too` });
  const used = checkTaskExpressions(last, { ids: new Set([...ids, ...own]), placeOf: at('/finally') }, report);
  checkGraph({ at: '/finally', tasks: last, ids: own, used }, report);
  checkTypes({ ...types, known: { ...types.known, ...last }, tasks: last, placeOf: at('/finally') }, report);
  return last;
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
