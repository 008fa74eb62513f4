import type { Reference } from '../expression/expression.ts';
import { plainReference } from '../expression/reference.ts';
import { splitTemplate } from '../expression/segments.ts';
import { isObject, type Json, type JsonSchema } from '../json.ts';
import { KINDS } from '../kinds/kinds.ts';
import type { Issue } from '../problem.ts';
import type { DefinitionTask } from './definition.ts';
import { didYouMean } from './names.ts';
import { holdsExpression } from './normalise.ts';
import { child } from './pointer.ts';
import type { Report } from './reader.ts';

export type Matches = (schema: JsonSchema, value: Json) => Issue[];
type Tasks = { [id: string]: DefinitionTask };

/** The tasks to check with their pointers, and what is declared: schemas of the input, of outputs of known tasks and of kinds. `matches` is the validator. */
export type TypeFacts = { tasks: Tasks; placeOf: (id: string) => string; known: Tasks; inputSchema?: JsonSchema; matches: Matches };

type Place = { at: string; report: Report; facts: TypeFacts; task: DefinitionTask };

/** Checks what is written in `with` against the kind's contract as far as it can be known before a run. */
export function checkTypes(facts: TypeFacts, report: Report): void {
  for (const [id, task] of Object.entries(facts.tasks)) {
    const kind = KINDS[task.type];
    for (const [name, value] of Object.entries(task.with)) {
      const field = kind?.with[name];
      if (field === undefined || field.form === 'condition' || field.definition === true) continue;
      const at = child(child(facts.placeOf(id), 'with'), name);
      checkValue(value, field.schema, { at, report, facts, task });
    }
    if (task.map !== undefined && typeof task.map.items === 'string' && holdsExpression(task.map.items))
      checkValue(task.map.items, { type: 'array' }, { at: `${facts.placeOf(id)}/map/items`, report, facts, task });
  }
}

/** Constant parts are matched, references compared by type, and everything else is left to the run. */
function checkValue(value: Json, schema: JsonSchema, place: Place): void {
  if (schema === true) {
    checkNames(value, place);
  } else if (!holdsExpression(value) || place.task.type === 'switch') {
    for (const issue of place.facts.matches(schema, unescaped(value))) place.report({ ...issue, pointer: place.at + issue.pointer });
  } else if (typeof value === 'string') {
    checkText(value, schema, place);
  } else {
    const shape = isObject(value) ? 'object' : 'array';
    const allowed = typesOf(schema);
    if (allowed !== undefined && !allowed.includes(shape)) mismatch(shape, allowed, place);
    else checkNested(value, schema, place);
  }
}

function checkNested(value: Json, schema: JsonSchema, place: Place): void {
  const parts = isObject(schema) ? schema : {};
  if (Array.isArray(value)) {
    value.forEach((item, i) => {
      checkValue(item, schemaIn(parts.items), { ...place, at: child(place.at, i) });
    });
  } else if (isObject(value)) {
    const properties = isObject(parts.properties) ? parts.properties : {};
    for (const [name, item] of Object.entries(value))
      checkValue(item, schemaIn(Object.hasOwn(properties, name) ? properties[name] : parts.additionalProperties), {
        ...place,
        at: child(place.at, name),
      });
  }
}

const schemaIn = (value: Json | undefined): JsonSchema => (isObject(value) || value === false ? value : true);

/** Anything goes here, but names in it must still be of something declared. */
function checkNames(value: Json, place: Place): void {
  if (typeof value === 'string') checkText(value, true, place);
  else if (typeof value === 'object') checkNested(value, true, place);
}

/** One plain reference gives what it names; text with expressions in it gives text; what another expression gives is not known. */
function checkText(value: string, schema: JsonSchema, place: Place): void {
  const segments = splitTemplate(value);
  if (!Array.isArray(segments)) return;
  const [only] = segments;
  const allowed = typesOf(schema);
  if (segments.length > 1 || only === undefined || 'text' in only) {
    if (allowed !== undefined && !allowed.includes('string')) mismatch('string', allowed, place);
    return;
  }
  const reference = plainReference(only.expression);
  const found = reference === undefined ? undefined : typeOf(reference, place);
  const given = found === undefined ? undefined : typesOf(found);
  if (given !== undefined && allowed !== undefined && !given.some((type) => fits(type, allowed)))
    mismatch(given.join(' or '), allowed, place);
}

const mismatch = (given: string, allowed: readonly string[], { at, report }: Place): void => {
  report({ pointer: at, code: 'type_mismatch', message: `gives ${given}, but must be ${allowed.join(' or ')}` });
};

const fits = (type: string, allowed: readonly string[]): boolean =>
  allowed.includes(type) || (type === 'integer' && allowed.includes('number')) || (type === 'number' && allowed.includes('integer'));

/** The declared schema of what a reference names, if anything is declared. Reports a field that is not. */
function typeOf(reference: Reference, place: Place): JsonSchema | undefined {
  const { root, task, field, path } = reference;
  const { facts } = place;
  if (root === 'input') return facts.inputSchema === undefined ? undefined : follow(facts.inputSchema, path, { place, what: 'the input' });
  if (root === 'index') return { type: 'integer' };
  if (root !== 'tasks' || task === undefined) return undefined;
  if (field === 'status') return { type: 'string' };
  const declared = field === 'output' ? outputOf(facts.known[task]) : undefined;
  return declared === undefined ? undefined : follow(declared, path, { place, what: `the output of "${task}"` });
}

function outputOf(task: DefinitionTask | undefined): JsonSchema | undefined {
  if (task === undefined) return undefined;
  const one = task.outputSchema ?? KINDS[task.type]?.output ?? true;
  return task.map === undefined ? one : { type: 'array', items: one };
}

function follow(schema: JsonSchema, path: readonly string[], { place, what }: { place: Place; what: string }): JsonSchema | undefined {
  let here: Json | undefined = schema;
  for (const [i, step] of path.entries()) {
    if (!isObject(here) || here.$ref !== undefined || here.type === undefined) return undefined;
    const types = typesOf(here);
    if (types?.includes('array')) return undefined;
    const where = [what, ...path.slice(0, i)].join('.');
    if (types !== undefined && !types.includes('object')) {
      place.report({ pointer: place.at, code: 'unknown_field', message: `${where} is ${types.join(' or ')} and has no field "${step}"` });
      return undefined;
    }
    const next = propertyOf(here, step);
    if (next === undefined && isClosed(here)) {
      const known = isObject(here.properties) ? Object.keys(here.properties) : [];
      place.report({
        pointer: place.at,
        code: 'unknown_field',
        message: `${where} declares no field "${step}"`,
        ...didYouMean(step, known),
      });
    }
    here = next;
  }
  return here === undefined ? undefined : schemaIn(here);
}

/** What a schema says of one property, by name or for all the others. */
function propertyOf(schema: { [key: string]: Json }, name: string): Json | undefined {
  if (isObject(schema.properties) && Object.hasOwn(schema.properties, name)) return schema.properties[name];
  return isObject(schema.additionalProperties) ? schema.additionalProperties : undefined;
}

/** A schema that lists its properties and does not say that there may be others. */
const isClosed = (schema: { [key: string]: Json }): boolean =>
  isObject(schema.properties) &&
  (schema.additionalProperties === undefined || schema.additionalProperties === false) &&
  ['patternProperties', 'allOf', 'anyOf', 'oneOf', 'if', 'dependentSchemas', 'unevaluatedProperties'].every(
    (key) => schema[key] === undefined,
  );

/** The JSON types a schema allows, or undefined when it does not say. */
function typesOf(schema: JsonSchema): string[] | undefined {
  if (!isObject(schema)) return undefined;
  if (typeof schema.type === 'string') return [schema.type];
  if (Array.isArray(schema.type)) return schema.type.filter((type) => typeof type === 'string');
  if (!Array.isArray(schema.anyOf)) return undefined;
  const each = schema.anyOf.map((inner) => typesOf(schemaIn(inner)));
  return each.every((types) => types !== undefined) ? [...new Set(each.flat())] : undefined;
}

function unescaped(value: Json): Json {
  if (typeof value === 'string') return value.replaceAll('$${', '${');
  if (Array.isArray(value)) return value.map(unescaped);
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unescaped(item)])) : value;
}
