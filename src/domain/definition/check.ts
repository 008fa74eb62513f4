import { isObject, type Json, type JsonSchema } from '../json.ts';
import { PROBLEMS, type Issue } from '../problem.ts';
import { canonicalJson } from './canonical.ts';
import { checkRunExpressions, checkTaskExpressions } from './checkExpressions.ts';
import { checkDependencies, checkGraph } from './checkGraph.ts';
import { checkRetry, checkTask, kindOf } from './checkTask.ts';
import { checkTypes, type Matches } from './checkTypes.ts';
import type { Definition, DefinitionTask } from './definition.ts';
import { LIMITS } from './limits.ts';
import { didYouMean } from './names.ts';
import { normaliseConcurrency, normaliseLimits, normaliseTask, type ReadDocument, type ReadRetry } from './normalise.ts';
import { child } from './pointer.ts';
import { UNREAD, type Report } from './reader.ts';
import { document } from './shape.ts';

/** What only a JSON Schema validator knows: whether a value matches, and what is wrong with a schema itself. */
export type Schemas = { matches: Matches; faults: (schema: JsonSchema) => Issue[] };

/** The definition that a JSON value is, or every reason why it is none: shape, names, graph, expressions, types and times. */
export function checkDefinition(value: Json, schemas: Schemas): { definition: Definition; issues: [] } | { issues: Issue[] } {
  const issues: Issue[] = [];
  const report: Report = (issue) => issues.push(issue);
  const read = document.read(value, '', report);
  if (read === UNREAD) return { issues };
  const ids = new Set(isObject(value) && isObject(value.tasks) ? Object.keys(value.tasks) : []);
  checkPolicies(read, report);
  const tasks = checkTasks(read, ids, report);
  checkSchemas(read, schemas, report);
  checkTriggers(read, report);
  const used = checkTaskExpressions(tasks, ids, report);
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
  checkGraph({ tasks, ids, used }, report);
  const inputSchema = read.input?.schema;
  checkTypes({ tasks, matches: schemas.matches, ...(inputSchema === undefined ? {} : { inputSchema }) }, report);
  return issues.length > 0 ? { issues: bounded(issues) } : { definition: definitionOf(read, tasks), issues: [] };
}

function checkTasks(read: ReadDocument, ids: ReadonlySet<string>, report: Report): { [id: string]: DefinitionTask } {
  const entries: [string, DefinitionTask][] = [];
  for (const [id, task] of Object.entries(read.tasks ?? {})) {
    const at = child('/tasks', id);
    checkDependencies(id, task.dependsOn ?? [], { ids, report });
    const kind = kindOf(task, at, report);
    if (kind === undefined) continue;
    checkTask(task, kind, { at, report, ...(read.deadline === undefined ? {} : { runDeadlineMs: read.deadline }) });
    entries.push([id, normaliseTask(task, kind, read)]);
  }
  return Object.fromEntries(entries);
}

/** Retry policies by name, and the names that mean one. */
function checkPolicies({ use, defaults, tasks = {} }: ReadDocument, report: Report): void {
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
  for (const [id, { retry }] of Object.entries(tasks)) checkName(retry, child('/tasks', id));
}

/** Their schedules are named after them. */
function checkTriggers({ triggers = [] }: ReadDocument, report: Report): void {
  const names = triggers.map(({ name }, i) => name ?? String(i + 1));
  for (const [i, name] of names.entries())
    if (names.indexOf(name) < i)
      report({ pointer: `/triggers/${i}`, code: 'duplicate_name', message: `another trigger is called ${name}` });
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
  for (const [id, task] of Object.entries(read.tasks ?? {})) check(task.output?.schema, `${child('/tasks', id)}/output/schema`);
}

/** Called without issues, so name and tasks are there. */
function definitionOf(read: ReadDocument, tasks: { [id: string]: DefinitionTask }): Definition {
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
    labels,
    onError,
    ...(concurrency === undefined ? {} : { concurrency: normaliseConcurrency(concurrency) }),
    ...(limits === undefined ? {} : { limits: normaliseLimits(limits) }),
    tasks,
    ...(output?.value === undefined ? {} : { output: { value: output.value } }),
    ...(read.triggers === undefined ? {} : { triggers: read.triggers }),
    ...(metadata === undefined ? {} : { metadata }),
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
