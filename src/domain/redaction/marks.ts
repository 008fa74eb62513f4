import { isObject, type Json, type JsonObject, type JsonSchema } from '../json.ts';

/** What of a value is shown to nobody: told place by place, because schemas may refer to themselves. */
export type Marks = {
  /** All of it. */
  whole: boolean;
  /** Something in it may be. */
  any: boolean;
  field: (name: string) => Marks;
  element: (index: number) => Marks;
};

export const NOTHING: Marks = { whole: false, any: false, field: () => NOTHING, element: () => NOTHING };
export const WHOLE: Marks = { whole: true, any: true, field: () => WHOLE, element: () => WHOLE };

/** What one of them marks. */
export function both(a: Marks, b: Marks): Marks {
  if (a.whole || !b.any) return a;
  if (b.whole || !a.any) return b;
  return { whole: false, any: true, field: (name) => both(a.field(name), b.field(name)), element: (i) => both(a.element(i), b.element(i)) };
}

/** Parts marked by name or position, each for itself. */
export const fieldsOf = (fields: ReadonlyMap<string, Marks>): Marks =>
  [...fields.values()].some(({ any }) => any)
    ? { whole: false, any: true, field: (name) => fields.get(name) ?? NOTHING, element: () => NOTHING }
    : NOTHING;
export const listOf = (element: (index: number) => Marks, any: boolean): Marks =>
  any ? { whole: false, any, field: () => NOTHING, element } : NOTHING;

/** The marks at a place in the value; what an index and a field have in common in expressions counts as both. */
export const follow = (marks: Marks, path: readonly string[]): Marks =>
  path.reduce((at, key) => (/^\d+$/.test(key) ? both(at.field(key), at.element(Number(key))) : at.field(key)), marks);

const KEYWORD = 'x-secret';
const mentions = (schema: Json): boolean => JSON.stringify(schema).includes(`"${KEYWORD}":true`);

/**
 * What `x-secret: true` marks in a JSON Schema: properties (by name, pattern or as the others) and elements at any depth, through
 * references within the schema and through every alternative. A pattern counts for every name.
 */
export const marksOf = (schema: JsonSchema | undefined): Marks =>
  schema === undefined || !isObject(schema) || !mentions(schema) ? NOTHING : marksIn([schema], schema);

function marksIn(schemas: readonly Json[], root: JsonObject): Marks {
  const all = expanded(schemas, root);
  if (all === undefined || all.some((schema) => schema[KEYWORD] === true)) return WHOLE;
  if (!all.some((schema) => leadsToMark(schema, root))) return NOTHING;
  const part = (select: (schema: JsonObject) => Json[]): Marks => marksIn(all.flatMap(select), root);
  return {
    whole: false,
    any: true,
    field: (name) => part((schema) => fieldSchemas(schema, name)),
    element: (index) => part((schema) => elementSchemas(schema, index)),
  };
}

/** Whether something is marked in it, at whatever depth; by schema, which belongs to one root. */
const leading = new WeakMap<JsonObject, boolean>();

function leadsToMark(schema: JsonObject, root: JsonObject): boolean {
  const known = leading.get(schema) ?? search(schema, root);
  leading.set(schema, known);
  return known;
}

function search(start: JsonObject, root: JsonObject): boolean {
  const seen = new Set<JsonObject>();
  const todo: JsonObject[] = [start];
  for (let schema = todo.pop(); schema !== undefined; schema = todo.pop()) {
    const all = expanded([schema], root);
    if (all === undefined || all.some((one) => one[KEYWORD] === true)) return true;
    for (const one of all) {
      if (seen.has(one)) continue;
      seen.add(one);
      todo.push(...partsOf(one).filter(isObject));
    }
  }
  return false;
}

function partsOf(schema: JsonObject): Json[] {
  const { properties, patternProperties, additionalProperties, unevaluatedProperties, prefixItems, items, contains, unevaluatedItems } =
    schema;
  const named = [properties, patternProperties].flatMap((group) => (isObject(group) ? Object.values(group) : []));
  const listed = Array.isArray(prefixItems) ? prefixItems : [];
  return [...named, ...listed, ...[additionalProperties, unevaluatedProperties, items, contains, unevaluatedItems].flatMap(known)];
}

/** The schemas that hold for a value besides, each once. undefined: one of them cannot be found. */
function expanded(schemas: readonly Json[], root: JsonObject): JsonObject[] | undefined {
  const found = new Set<JsonObject>();
  const todo = [...schemas];
  for (let schema = todo.pop(); schema !== undefined; schema = todo.pop()) {
    if (!isObject(schema) || found.has(schema)) continue;
    found.add(schema);
    for (const reference of [schema.$ref, schema.$dynamicRef]) {
      if (reference === undefined) continue;
      const target = typeof reference === 'string' ? resolve(root, reference) : undefined;
      if (target === undefined) return undefined;
      todo.push(target);
    }
    for (const key of ['allOf', 'anyOf', 'oneOf']) if (Array.isArray(schema[key])) todo.push(...schema[key]);
    for (const key of ['if', 'then', 'else']) if (schema[key] !== undefined) todo.push(schema[key]);
    if (isObject(schema.dependentSchemas)) todo.push(...Object.values(schema.dependentSchemas));
  }
  return [...found];
}

/** By pointer, as nearly all are. */
function resolve(root: JsonObject, reference: string): Json | undefined {
  if (reference === '#') return root;
  if (!reference.startsWith('#/')) return undefined;
  let at: Json | undefined = root;
  for (const key of reference.slice(2).split('/')) {
    const name = decoded(key).replaceAll('~1', '/').replaceAll('~0', '~');
    at = Array.isArray(at) ? at[Number(name)] : isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

const known = (value: Json | undefined): Json[] => (value === undefined ? [] : [value]);

function fieldSchemas(schema: JsonObject, name: string): Json[] {
  const { properties, patternProperties, additionalProperties, unevaluatedProperties } = schema;
  const own = isObject(properties) && Object.hasOwn(properties, name) ? known(properties[name]) : undefined;
  const patterns = isObject(patternProperties) ? Object.values(patternProperties) : [];
  return [...(own ?? known(additionalProperties)), ...patterns, ...known(unevaluatedProperties)];
}

function elementSchemas(schema: JsonObject, index: number): Json[] {
  const { prefixItems, items, contains, unevaluatedItems } = schema;
  const first = Array.isArray(prefixItems) ? prefixItems[index] : undefined;
  return [...known(first ?? items), ...known(contains), ...known(unevaluatedItems)];
}
