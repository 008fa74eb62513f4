import { isObject, type Json, type JsonObject, type JsonSchema } from '../json.ts';
import type { Field, Kind } from '../kinds/kind.ts';
import { KINDS } from '../kinds/kinds.ts';
import { document, task } from './shape.ts';

const EXPRESSION = { type: 'string', pattern: '\\$\\{' };

/**
 * The published JSON Schema of a definition, for editors: made of the readers that read it and of the contracts of the
 * kinds. It knows one document's shape; what its parts mean together is checked on top.
 */
export function definitionSchema(): JsonObject {
  const whole = isObject(document.schema) ? document.schema : {};
  const properties = isObject(whole.properties) ? whole.properties : {};
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'TIU definition, tiu/1',
    ...whole,
    properties: {
      ...properties,
      tasks: { type: 'object', description: 'By id.', minProperties: 1, additionalProperties: { $ref: '#/$defs/task' } },
    },
    $defs: { task: taskSchema() },
  };
}

function taskSchema(): JsonObject {
  const shape = isObject(task.schema) ? task.schema : {};
  const properties = isObject(shape.properties) ? shape.properties : {};
  return {
    ...shape,
    properties: {
      ...properties,
      type: { type: 'string', enum: Object.keys(KINDS), description: 'The kind; of a map with `tasks`, none.' },
      map: mapSchema(properties.map),
    },
    allOf: Object.values(KINDS).map((kind) => ({
      if: { properties: { type: { const: kind.name } }, required: ['type'] },
      then: { properties: { with: withSchema(kind) }, ...(isNeeded(kind) ? { required: ['with'] } : {}) },
    })),
  };
}

/** With the tasks that a map may have of its own. */
function mapSchema(map: Json | undefined): JsonObject {
  const shape = isObject(map) ? map : {};
  const properties = isObject(shape.properties) ? shape.properties : {};
  const tasks = isObject(properties.tasks) ? properties.tasks : {};
  return {
    ...shape,
    properties: { ...properties, tasks: { ...tasks, minProperties: 1, additionalProperties: { $ref: '#/$defs/task' } } },
  };
}

const isNeeded = (kind: Kind): boolean => kind.exactlyOne !== undefined || Object.values(kind.with).some(({ required }) => required);

/** What may be written in `with`, before evaluation. */
function withSchema(kind: Kind): JsonObject {
  const needed = Object.entries(kind.with).flatMap(([name, { required }]) => (required ? [name] : []));
  return {
    type: 'object',
    description: kind.summary,
    properties: Object.fromEntries(Object.entries(kind.with).map(([name, field]) => [name, writtenSchema(field)])),
    ...(needed.length > 0 ? { required: needed } : {}),
    ...(kind.exactlyOne === undefined ? {} : { oneOf: kind.exactlyOne.map((name) => ({ required: [name] })) }),
    patternProperties: { '^x-': true },
    additionalProperties: false,
  };
}

function writtenSchema({ schema, form, description, default: value }: Field): JsonObject {
  const written = form === 'condition' ? { type: ['string', 'boolean'] } : form === 'template' ? templated(schema) : schema;
  return { ...(isObject(written) ? written : {}), description, ...(value === undefined ? {} : { default: value }) };
}

/** An expression may stand for any part of the value. */
function templated(schema: JsonSchema): JsonSchema {
  if (!isObject(schema)) return schema;
  const { properties, items, additionalProperties } = schema;
  const inner = {
    ...schema,
    ...(isObject(properties)
      ? { properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, nested(part)])) }
      : {}),
    ...(items === undefined ? {} : { items: nested(items) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: nested(additionalProperties) }),
  };
  return { anyOf: [inner, EXPRESSION] };
}

const nested = (part: Json): Json => (isObject(part) ? templated(part) : part);
