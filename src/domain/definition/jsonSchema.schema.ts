import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { RE2JS } from 're2js';
import { isObject, type Json, type JsonObject, type JsonSchema } from '../json.ts';
import type { Issue } from '../problem.ts';
import { canonicalJson } from './canonical.ts';
import { LIMITS } from './limits.ts';
import { child } from './pointer.ts';

const FORMATS = [
  'date-time',
  'date',
  'time',
  'duration',
  'uri',
  'uri-reference',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uuid',
  'json-pointer',
] as const;

/** Keywords whose value is a schema, a list of schemas or schemas by name. */
const ONE = [
  'items',
  'contains',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
];
const MANY = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const NAMED = ['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions'];
const STEP = 'x-tiu-step';

class TooCostly extends Error {}

let steps = 0;

function countStep(): boolean {
  if (++steps > LIMITS.schemaSteps) throw new TooCostly();
  return true;
}

/** In linear time, whatever the pattern: schemas come from users. */
const regExp = Object.assign(
  (pattern: string) => {
    if (pattern.length > LIMITS.patternLength) throw new Error(`a pattern has at most ${LIMITS.patternLength} characters`);
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
    // Ajv keeps one engine per text of it.
    return { test: (text: string): boolean => compiled.matcher(text).find(), toString: () => pattern };
  },
  { code: 'regExp' },
);

function createAjv(useDefaults: boolean): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    logger: false,
    allErrors: true,
    addUsedSchema: false,
    validateSchema: false,
    useDefaults,
    code: { regExp },
  });
  formats.default(ajv, { formats: [...FORMATS] });
  // The artifact must also be there; that is for who accepts the run.
  ajv.addFormat('artifact', /^(sha256:)?[0-9a-f]{64}$/);
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: isUnique,
    error: { message: 'must have no equal entries' },
  });
  ajv.addKeyword({ keyword: STEP, schemaType: 'boolean', validate: countStep });
  return ajv;
}

/** By text: comparing each pair would take minutes on a long list. */
const isUnique = (wanted: boolean, list: Json[]): boolean => !wanted || new Set(list.map(canonicalJson)).size === list.length;

/** An instance never forgets what it generated, so it is replaced now and then. */
const RENEWED_AFTER = 500;
const instances = { matching: { ajv: createAjv(false), uses: 0 }, filling: { ajv: createAjv(true), uses: 0 } };

function instanceFor(use: 'matching' | 'filling'): Ajv2020 {
  const instance = instances[use];
  if (++instance.uses > RENEWED_AFTER) instances[use] = { ajv: createAjv(use === 'filling'), uses: 1 };
  return instances[use].ajv;
}

const meta = new Ajv2020({ strict: false, logger: false, allErrors: true });

const compiled = new WeakMap<object, { matching?: ValidateFunction; filling?: ValidateFunction }>();

function validatorOf(schema: JsonSchema, use: 'matching' | 'filling'): ValidateFunction {
  if (!isObject(schema)) return instances.matching.ajv.compile(schema);
  const known = compiled.get(schema) ?? {};
  compiled.set(schema, known);
  return (known[use] ??= compileSchema(schema, use));
}

function compileSchema(schema: JsonObject, use: 'matching' | 'filling'): ValidateFunction {
  const ajv = instanceFor(use);
  const counted = withSteps(schema);
  try {
    return ajv.compile(counted);
  } finally {
    // By name it would meet the next schema of the same `$id`.
    ajv.removeSchema(counted);
  }
}

/** The schema with every reference counted: what references each other can otherwise take exponential time. */
function withSteps(schema: Json): JsonSchema {
  if (!isObject(schema)) return schema !== false;
  const entries = Object.entries(schema).map(([key, value]): [string, Json] => {
    if (ONE.includes(key)) return [key, withSteps(value)];
    if (MANY.includes(key) && Array.isArray(value)) return [key, value.map(withSteps)];
    if (NAMED.includes(key) && isObject(value))
      return [key, Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withSteps(inner)]))];
    return [key, value];
  });
  const refers = schema.$ref !== undefined || schema.$dynamicRef !== undefined;
  return Object.fromEntries(refers ? [...entries, [STEP, true]] : entries);
}

function run(schema: JsonSchema, use: 'matching' | 'filling', value: Json): Issue[] {
  try {
    steps = 0;
    const validate = validatorOf(schema, use);
    return validate(value) ? [] : issuesOf(validate.errors ?? []);
  } catch (error) {
    if (error instanceof TooCostly || error instanceof RangeError)
      return [{ pointer: '', code: 'too_costly', message: 'the schema takes too long to check' }];
    return [{ pointer: '', code: 'invalid_schema', message: `the schema cannot be used: ${messageOf(error)}` }];
  }
}

/** Every way in which the value does not match (JSON Schema 2020-12), or none. Bounded in time. Keeps what it compiled as long as the schema lives. */
export const matchesSchema = (schema: JsonSchema, value: Json): Issue[] => run(schema, 'matching', value);
export const fitsSchema = (schema: JsonSchema, value: Json): boolean => matchesSchema(schema, value).length === 0;

/** The input of a run with the defaults of the schema filled in, or what is wrong with it. `{}` when there is none. */
export function checkInput(schema: JsonSchema | undefined, input: Json | undefined): { input: Json } | { issues: Issue[] } {
  const copy = copyOf(input ?? {});
  if (copy === undefined) return { issues: [{ pointer: '', code: 'too_deep', message: 'is nested too deeply' }] };
  if (schema === undefined) return { input: copy };
  const issues = run(schema, 'filling', copy);
  return issues.length > 0 ? { issues } : { input: copy };
}

function copyOf(value: Json): Json | undefined {
  try {
    return structuredClone(value);
  } catch {
    return undefined;
  }
}

/** What is wrong with a schema itself, by pointers into it. */
export function schemaFaults(schema: JsonSchema): Issue[] {
  if (!isObject(schema)) return [];
  const size = canonicalJson(schema).length;
  if (size > LIMITS.schemaBytes)
    return [{ pointer: '', code: 'too_large', message: `takes ${size} characters, at most ${LIMITS.schemaBytes}` }];
  if (!meta.validateSchema(schema)) return firstOfEach(issuesOf(meta.errors ?? [])).map((issue) => ({ ...issue, code: 'invalid_schema' }));
  try {
    validatorOf(schema, 'matching');
    return markFaults(schema, '');
  } catch (error) {
    return [{ pointer: '', code: 'invalid_schema', message: messageOf(error) }];
  }
}

/** `x-secret: yes` is a text in YAML, and would hide nothing. */
function markFaults(schema: Json, at: string): Issue[] {
  if (!isObject(schema)) return [];
  const mark = schema['x-secret'];
  const own = mark === undefined || typeof mark === 'boolean' ? [] : [child(at, 'x-secret')];
  const inner = Object.entries(schema).flatMap(([key, value]) => {
    if (ONE.includes(key)) return markFaults(value, child(at, key));
    const parts = (MANY.includes(key) && Array.isArray(value)) || (NAMED.includes(key) && isObject(value)) ? Object.entries(value) : [];
    return parts.flatMap(([name, part]) => markFaults(part, child(child(at, key), name)));
  });
  return [...own.map((pointer) => ({ pointer, code: 'invalid_schema', message: '`x-secret` is true or false' })), ...inner];
}

/** The first says most: the others are of the alternatives around it. */
const firstOfEach = (issues: readonly Issue[]): Issue[] =>
  [...new Map(issues.toReversed().map((issue) => [issue.pointer, issue])).values()].reverse();

const messageOf = (error: unknown): string => (error instanceof Error ? error.message.slice(0, 300) : 'unknown');

const textOf = (name: Json | undefined): string => (typeof name === 'string' ? name.slice(0, 80) : '');

const CODES: { [keyword: string]: string } = { type: 'invalid_type', required: 'missing_key', additionalProperties: 'unknown_key' };

function issuesOf(errors: readonly ErrorObject[]): Issue[] {
  const choices = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf').map(({ schemaPath }) => `${schemaPath}/`);
  // The faults of each alternative say less than that none of them fits.
  const telling = errors.filter(({ schemaPath, keyword }) => keyword !== 'if' && !choices.some((choice) => schemaPath.startsWith(choice)));
  return telling.slice(0, LIMITS.issues).map((error) => ({
    pointer: pointerOf(error),
    code: CODES[error.keyword] ?? 'invalid_value',
    message: wordsOf(error),
  }));
}

function pointerOf({ instancePath, keyword, params }: ErrorObject): string {
  const extra = (params as JsonObject).additionalProperty;
  return keyword === 'additionalProperties' && typeof extra === 'string' ? child(instancePath, extra) : instancePath;
}

function wordsOf({ keyword, params, message = 'is not valid' }: ErrorObject): string {
  const given = params as JsonObject;
  if (keyword === 'required') return `\`${textOf(given.missingProperty)}\` is required`;
  if (keyword === 'additionalProperties') return `unknown key \`${textOf(given.additionalProperty)}\``;
  if (keyword === 'enum' && Array.isArray(given.allowedValues))
    return `must be one of ${given.allowedValues
      .slice(0, 20)
      .map((value) => JSON.stringify(value))
      .join(', ')}`;
  if (keyword === 'anyOf' || keyword === 'oneOf') return 'has none of the allowed forms';
  return message;
}
