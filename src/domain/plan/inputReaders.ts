import { canonicalJson } from '../definition/canonical.ts';
import { expressionsOf } from '../definition/expressions.ts';
import { isObject, type Json } from '../json.ts';
import { KINDS } from '../kinds/kinds.ts';
import type { Why } from './fork.ts';
import { mainTasks } from './phases.ts';
import type { Plan, PlanTask } from './plan.ts';

/** Top-level fields of an input; `all`: it is no object, or was none. */
export type InputFields = ReadonlySet<string> | 'all';

/** What differs between two inputs. */
export function changedFields(before: Json, now: Json): InputFields {
  if (canonicalJson(before) === canonicalJson(now)) return new Set();
  if (!isObject(before) || !isObject(now)) return 'all';
  const valueIn = (input: Json & object, field: string): string | undefined =>
    Object.hasOwn(input, field) ? canonicalJson((input as Record<string, Json>)[field]) : undefined;
  return new Set([...Object.keys(before), ...Object.keys(now)].filter((field) => valueIn(before, field) !== valueIn(now, field)));
}

/** Tasks of a plan, by index, whose expressions (`if`, `with`, `map`, `limits`) name one of these fields, or the input as a whole. */
export function inputReaders(plan: Plan, fields: InputFields): Map<number, Why> {
  if (fields !== 'all' && fields.size === 0) return new Map();
  const main = plan.tasks.slice(0, mainTasks(plan.graph));
  if (plan.scope) return new Map(main.map((_, index): [number, Why] => [index, { type: 'input', fields: [] }])); // all that is around them came with it
  const ids = new Set(plan.graph.names);
  return new Map(
    main.flatMap((task, index): [number, Why][] => {
      const named = namedBy({ id: plan.graph.names[index] ?? '', task }, ids);
      if (named.has('')) return [[index, { type: 'input', fields: [] }]];
      const changed = [...named].filter((field) => fields === 'all' || fields.has(field)).sort();
      return changed.length === 0 ? [] : [[index, { type: 'input', fields: changed }]];
    }),
  );
}

/** Fields that the expressions of a task name; '': the input as a whole, or what cannot be told. */
function namedBy({ id, task }: { id: string; task: PlanTask }, ids: ReadonlySet<string>): Set<string> {
  if (!JSON.stringify(task).includes('input')) return new Set(); // nothing to compile: a plan may have 10,000 tasks
  const kind = KINDS[task.kind];
  const results = kind ? expressionsOf({ id }, task, kind).map((expression) => expression.compile(ids)) : [{ issues: [] }];
  return new Set(
    results.flatMap((result) =>
      'compiled' in result
        ? result.compiled.references.filter(({ root }) => root === 'input').map(({ path: [field = ''] }) => field)
        : [''],
    ),
  );
}
