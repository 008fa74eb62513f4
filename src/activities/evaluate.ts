import type { Bindings } from '../domain/expression/expression.ts';
import { matchesSchema } from '../domain/definition/jsonSchema.schema.ts';
import { isObject, type Json, type JsonObject } from '../domain/json.ts';
import { aroundOf } from '../domain/plan/scope.ts';
import { Problem } from '../domain/problem.ts';
import type { ActivityDeps } from './deps.ts';
import { readWhole, type Outputs } from './outputs.ts';
import type { CompiledTask, RunContext } from './plans.ts';

/** The names that a task's expressions may use, with the outputs of the tasks they name read. */
export async function bindingsOf(context: RunContext, task: CompiledTask, outputs: Outputs): Promise<Bindings> {
  const { facts, compiled } = context;
  const { input, names, tasks } = aroundOf(compiled.plan, facts.input);
  return {
    ...names,
    input,
    run: { id: facts.run, status: await outputs.runStatus(task.index), startedAt: facts.startedAt },
    tasks: { ...tasks, ...(await outputs.bindings(task)) },
  };
}

export function withItem(bindings: Bindings, task: CompiledTask, { item, index }: { item: Json; index: number }): Bindings {
  const own = { ...bindings, item, [task.map?.as ?? 'item']: item, index };
  return task.undoes === undefined ? own : { ...own, tasks: withUndone(bindings.tasks as JsonObject, task, index) };
}

const undoneId = (task: CompiledTask): string => task.id.slice(0, task.id.lastIndexOf('.'));

/** To the compensation of an item, the task that it undoes is that item. */
function withUndone(tasks: JsonObject, task: CompiledTask, index: number): JsonObject {
  const id = undoneId(task);
  const whole = tasks[id];
  const items = isObject(whole) && Array.isArray(whole.items) ? whole.items : [];
  return { ...tasks, [id]: items.find((one) => isObject(one) && one.index === index) ?? null };
}

/** Whether a compensation has nothing to undo: the item did not succeed. */
export function undoesNothing(task: CompiledTask, bindings: Bindings): boolean {
  if (task.undoes === undefined || task.map === undefined) return false;
  const undone = (bindings.tasks as JsonObject)[undoneId(task)];
  return !isObject(undone) || undone.status !== 'completed';
}

/** Evaluates `with` and checks it against the kind's contract. @throws Problem invalid_task_input and those of expressions */
export function evaluateFields(task: CompiledTask, bindings: Bindings): JsonObject {
  const input: JsonObject = {};
  for (const { name, field, value, compiled } of task.fields) {
    const evaluated =
      compiled && compiled.references.length > 0
        ? compiled.evaluate(bindings)
        : field.form === 'condition' && compiled
          ? compiled.evaluate({})
          : value;
    const issues = field.schema === true ? [] : matchesSchema(field.schema, evaluated);
    const [first] = issues;
    if (first) throw new Problem('invalid_task_input', { detail: `with.${name}${first.pointer}: ${first.message}` });
    input[name] = evaluated;
  }
  return input;
}

/** @throws Problem invalid_task_output, or output_too_large if what has to be checked is stored and too large to be read */
export async function checkOutput(
  deps: Pick<ActivityDeps, 'objects'>,
  task: CompiledTask,
  given: { output: Json; workspace: string },
): Promise<void> {
  if (task.outputSchema === undefined) return;
  const [first] = matchesSchema(task.outputSchema, await readWhole(deps.objects, given.workspace, given.output));
  if (first) throw new Problem('invalid_task_output', { detail: `output${first.pointer}: ${first.message}` });
}

/** The branch a switch takes: the first case that holds, else the last branch. Later conditions are not evaluated. */
export function chooseBranch(task: CompiledTask, bindings: Bindings): { branch: number; chosen: Json } {
  const cases = task.cases ?? [];
  const taken = cases.findIndex(({ condition }) => condition.evaluate(bindings) === true);
  const branch = taken < 0 ? cases.length : taken;
  const listed = taken < 0 ? task.with.else : (task.with.cases as JsonObject[])[taken]?.then;
  return { branch, chosen: Array.isArray(listed) ? listed : listed === undefined ? [] : [listed] };
}

/** The items of a mapped task: its elements, or lists of them. @throws Problem invalid_task_input if they are no list */
export function itemsOf(task: CompiledTask, bindings: Bindings): Json[] {
  const elements = elementsOf(task, bindings);
  const batch = task.map?.batch;
  if (batch === undefined) return elements;
  return Array.from({ length: Math.ceil(elements.length / batch) }, (_, i) => elements.slice(i * batch, (i + 1) * batch));
}

function elementsOf(task: CompiledTask, bindings: Bindings): Json[] {
  const sources = Object.entries(task.items ?? {}).map(([name, compiled]) => {
    const list = compiled.evaluate(bindings);
    if (!Array.isArray(list)) throw new Problem('invalid_task_input', { detail: `map.items${name && `.matrix.${name}`} is no list` });
    return [name, list] as const;
  });
  const [only] = sources;
  if (only?.[0] === '') return only[1];
  return sources.reduce<JsonObject[]>(
    (rows, [axis, values]) => rows.flatMap((row) => values.map((value) => ({ ...row, [axis]: value }))),
    [{}],
  );
}

/** The failed items that a mapped task of `items` elements tolerates. */
export function tolerated(task: CompiledTask, items: number): number {
  const rule = task.map?.tolerate;
  if (!rule) return 0;
  return 'count' in rule ? rule.count : Math.floor((rule.percent / 100) * items);
}
