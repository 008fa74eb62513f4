import type { CompileResult, Reference } from '../expression/expression.ts';
import { isObject, type Json } from '../json.ts';
import { KINDS } from '../kinds/kinds.ts';
import type { Definition, DefinitionTask } from './definition.ts';
import { compileKey, compilePriority, compileRunOutput, expressionsOf } from './expressions.ts';
import { LIMITS } from './limits.ts';
import type { Report } from './reader.ts';

/** A value with expressions that compiled, at its pointer in the document. */
export type Used = { at: string; references: Reference[] };

type Tasks = { [id: string]: DefinitionTask };

/**
 * Compiles every expression of the tasks, reports what does not compile and gives what the rest names, by task.
 * @param where.ids tasks that may be named
 * @param where.around names that a map around all of them gives
 * @param where.placeOf pointer of a task
 */
export function checkTaskExpressions(
  tasks: Tasks,
  { ids, around, placeOf }: { ids: ReadonlySet<string>; around?: readonly string[] | undefined; placeOf: (id: string) => string },
  report: Report,
): Map<string, Used[]> {
  let total = 0;
  return new Map(
    Object.entries(tasks).map(([id, task]) => {
      const at = placeOf(id);
      const count = countExpressions(task.with) + countExpressions(task.if ?? null) + Number(task.loop !== undefined);
      if (count > LIMITS.taskExpressions)
        report({ pointer: at, code: 'too_large', message: `has ${count} expressions, at most ${LIMITS.taskExpressions} in a task` });
      if (total <= LIMITS.expressions && (total += count) > LIMITS.expressions)
        report({ pointer: '/tasks', code: 'too_large', message: `at most ${LIMITS.expressions} expressions in a definition` });
      const bounded = count <= LIMITS.taskExpressions && total <= LIMITS.expressions;
      const kind = KINDS[task.type];
      return [
        id,
        kind === undefined || !bounded
          ? []
          : expressionsOf({ id, around }, task, kind).flatMap((each) => used(at + each.at, each.compile(ids), report)),
      ];
    }),
  );
}

/** The same for what belongs to the run. */
export function checkRunExpressions(
  { output, priority, concurrency, limits = [] }: Pick<Partial<Definition>, 'output' | 'priority' | 'concurrency' | 'limits'>,
  ids: ReadonlySet<string>,
  report: Report,
): Used[] {
  return [
    ...(output === undefined ? [] : used('/output/value', compileRunOutput(output.value, ids), report)),
    ...(typeof priority === 'string' && priority.includes('${') ? used('/priority', compilePriority(priority), report) : []),
    ...(concurrency === undefined ? [] : used('/concurrency/key', compileKey(concurrency.key), report)),
    ...limits.flatMap(({ key }, i) => used(`/limits/${i}/key`, compileKey(key), report)),
  ];
}

function used(at: string, result: CompileResult, report: Report): Used[] {
  if ('compiled' in result) return [{ at, references: result.compiled.references }];
  for (const { pointer, code, message, hint } of result.issues)
    report({ pointer: at + pointer, code, message, ...(hint === undefined ? {} : { hint }) });
  return [];
}

/** How many `${` a value holds. */
export function countExpressions(value: Json): number {
  if (typeof value === 'string') return value.split('${').length - 1;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countExpressions(item), 0);
  return isObject(value) ? Object.values(value).reduce<number>((sum, item) => sum + countExpressions(item), 0) : 0;
}
