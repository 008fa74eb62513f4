import { isObject, type Json, type JsonObject } from '../json.ts';
import type { Plan } from './plan.ts';

/** What the expressions of a run may name besides its own tasks. */
export type Around = { input: Json; names: JsonObject; tasks: JsonObject };

/**
 * The input of a run as its expressions see it. A run of a map's own tasks is given what is around them as its input:
 * `{ input, names: { item, index, … }, tasks: { [id]: { output, status, error, items } } }`; whatever is missing there is null.
 */
export function aroundOf({ scope }: Pick<Plan, 'scope'>, given: Json): Around {
  if (scope === undefined) return { input: given, names: {}, tasks: {} };
  const { input = null, names, tasks } = isObject(given) ? given : {};
  return {
    input,
    names: Object.fromEntries(scope.names.map((name) => [name, fieldOf(names, name) ?? null])),
    tasks: Object.fromEntries(scope.tasks.map((id) => [id, taskOf(fieldOf(tasks, id))])),
  };
}

const fieldOf = (value: Json | undefined, name: string): Json | undefined =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;

const taskOf = (view: Json | undefined): JsonObject => ({ status: 'pending', output: null, error: null, ...(isObject(view) ? view : {}) });
