import { isObject, type Json, type JsonObject, type JsonSchema } from '../json.ts';
import type { Issue } from '../problem.ts';
import { LIMITS } from './limits.ts';
import { didYouMean } from './names.ts';
import { child } from './pointer.ts';

/** Instead of a value that could not be read; any other result, null included, may be one. */
export const UNREAD = Symbol('unread');
export type Unread = typeof UNREAD;

export type Report = (issue: Issue) => void;

/**
 * Reads one kind of value: reports every fault at its pointer and gives what it could make of it, so that one fault
 * hides no other. `schema` says the same as JSON Schema, for editors.
 */
export type Reader<T> = { schema: JsonSchema; read: (value: Json, at: string, report: Report) => T | Unread };

type Field<T> = Reader<T> & { required?: boolean; description: string };
type Shape = { readonly [key: string]: Field<unknown> };
type Read<S extends Shape> = { [K in keyof S]?: S[K] extends Reader<infer T> ? T : never };

export const optional = <T>(reader: Reader<T>, description: string): Field<T> => ({ ...reader, description });
export const required = <T>(reader: Reader<T>, description: string): Field<T> => ({ ...reader, description, required: true });

/** An object with these keys, `x-*` and no others. Keys in `unsupported` belong to the language but do not run yet. */
export function fields<S extends Shape>(shape: S, unsupported: readonly string[] = []): Reader<Read<S>> {
  const needed = Object.keys(shape).filter((key) => shape[key]?.required);
  return {
    schema: {
      type: 'object',
      properties: Object.fromEntries(
        Object.entries(shape).map(([key, { schema, description }]) => [key, { ...(isObject(schema) ? schema : {}), description }]),
      ),
      ...(needed.length > 0 ? { required: needed } : {}),
      patternProperties: { '^x-': true },
      additionalProperties: false,
    },
    read: (value, at, report) => {
      if (!isObject(value)) return wrongType('an object', at, report);
      const entries: [string, unknown][] = [];
      let unknown = 0;
      for (const [key, item] of Object.entries(value)) {
        const field = Object.hasOwn(shape, key) ? shape[key] : undefined;
        if (field !== undefined) entries.push([key, field.read(item, child(at, key), report)]);
        else if (unsupported.includes(key)) report(notSupported(child(at, key), `\`${key}\``));
        else if (!key.startsWith('x-') && ++unknown <= LIMITS.unknownKeys) report(unknownKey(key, at, Object.keys(shape)));
      }
      for (const key of needed)
        if (!Object.hasOwn(value, key)) report({ pointer: at, code: 'missing_key', message: `\`${key}\` is required` });
      return Object.fromEntries(entries.filter(([, read]) => read !== UNREAD)) as Read<S>;
    },
  };
}

type OneOf<S extends Shape> = { [K in keyof S]: { [P in K]: S[K] extends Reader<infer T> ? T : never } }[keyof S];

/** An object with exactly one of these keys. */
export function oneOf<S extends Shape>(shape: S): Reader<OneOf<S>> {
  const all = fields(shape);
  const keys = Object.keys(shape);
  return {
    schema: { ...(all.schema as JsonObject), minProperties: 1 },
    read: (value, at, report) => {
      const read = all.read(value, at, report);
      if (read === UNREAD || !isObject(value)) return UNREAD;
      const given = keys.filter((key) => Object.hasOwn(value, key));
      if (given.length !== 1) return invalid(`must have either ${keys.join(' or ')}`, at, report);
      return given.every((key) => Object.hasOwn(read, key)) ? (read as OneOf<S>) : UNREAD;
    },
  };
}

/** An object whose keys are free, or follow a rule of their own that `key` reports. */
export function dictionary<T>(item: Reader<T>, key?: (name: string, at: string, report: Report) => boolean): Reader<{ [key: string]: T }> {
  return {
    schema: { type: 'object', additionalProperties: item.schema },
    read: (value, at, report) => {
      if (!isObject(value)) return wrongType('an object', at, report);
      const entries: [string, T][] = [];
      for (const [name, inner] of Object.entries(value)) {
        if (key !== undefined && !key(name, child(at, name), report)) continue;
        const read = item.read(inner, child(at, name), report);
        if (read !== UNREAD) entries.push([name, read]);
      }
      return Object.fromEntries(entries);
    },
  };
}

export function list<T>(item: Reader<T>, bounds: { min?: number; max: number }): Reader<T[]> {
  const { min = 0, max } = bounds;
  return {
    schema: { type: 'array', items: item.schema, ...(min > 0 ? { minItems: min } : {}), maxItems: max },
    read: (value, at, report) => {
      if (!Array.isArray(value)) return wrongType('a list', at, report);
      if (value.length < min || value.length > max)
        report({ pointer: at, code: 'invalid_value', message: `must have ${min} to ${max} entries, has ${value.length}` });
      return value.slice(0, max).flatMap((inner, i) => {
        const read = item.read(inner, child(at, i), report);
        return read === UNREAD ? [] : [read];
      });
    },
  };
}

/** Text without expressions. */
export function text(rule: { pattern?: RegExp; max?: number; shape?: string } = {}): Reader<string> {
  const { pattern, max, shape = 'does not have the right form' } = rule;
  return {
    schema: {
      type: 'string',
      ...(pattern === undefined ? {} : { pattern: pattern.source }),
      ...(max === undefined ? {} : { maxLength: max }),
    },
    read: (value, at, report) => {
      if (typeof value !== 'string') return wrongType('text', at, report);
      if (max !== undefined && value.length > max) return invalid(`must have at most ${max} characters`, at, report);
      if (pattern !== undefined && !pattern.test(value)) return invalid(shape, at, report);
      return value;
    },
  };
}

export function word<const W extends string>(words: readonly W[], unsupported: readonly string[] = []): Reader<W> {
  return {
    schema: { type: 'string', enum: [...words] },
    read: (value, at, report) => {
      if (typeof value !== 'string') return wrongType('text', at, report);
      const found = words.find((candidate) => candidate === value);
      if (found !== undefined) return found;
      if (unsupported.includes(value)) return fail(notSupported(at, `"${value}"`), report);
      return fail(
        { pointer: at, code: 'invalid_value', message: `must be one of ${words.join(', ')}`, ...didYouMean(value, words) },
        report,
      );
    },
  };
}

export function number(rule: { min: number; max: number; integer?: boolean }): Reader<number> {
  const { min, max, integer = false } = rule;
  return {
    schema: { type: integer ? 'integer' : 'number', minimum: min, maximum: max },
    read: (value, at, report) => {
      if (typeof value !== 'number') return wrongType('a number', at, report);
      const fits = value >= min && value <= max && (!integer || Number.isInteger(value));
      return fits ? value : invalid(`must be ${integer ? 'a whole number' : 'a number'} from ${min} to ${max}`, at, report);
    },
  };
}

export const anything: Reader<Json> = { schema: true, read: (value) => value };

export const freeObject: Reader<JsonObject> = {
  schema: { type: 'object' },
  read: (value, at, report) => (isObject(value) ? value : wrongType('an object', at, report)),
};

/** The first alternative that takes the value by its look; each says which values it is for. */
export function either<T>(expected: string, alternatives: readonly { when: (value: Json) => boolean; use: Reader<T> }[]): Reader<T> {
  return {
    schema: { anyOf: alternatives.map(({ use }) => use.schema) },
    read: (value, at, report) => {
      const chosen = alternatives.find(({ when }) => when(value));
      return chosen === undefined ? wrongType(expected, at, report) : chosen.use.read(value, at, report);
    },
  };
}

/** What `reader` gives, turned into something else; `change` may report and give nothing. */
export function changed<A, B>(reader: Reader<A>, change: (value: A, at: string, report: Report) => B | Unread): Reader<B> {
  return {
    schema: reader.schema,
    read: (value, at, report) => {
      const read = reader.read(value, at, report);
      return read === UNREAD ? UNREAD : change(read, at, report);
    },
  };
}

/** Reports and gives nothing. */
export function fail(issue: Issue, report: Report): Unread {
  report(issue);
  return UNREAD;
}

export const notSupported = (pointer: string, what: string): Issue => ({
  pointer,
  code: 'not_supported',
  message: `${what} is part of the language but not supported yet`,
});

export const unknownKey = (key: string, at: string, known: readonly string[]): Issue => ({
  pointer: child(at, key),
  code: 'unknown_key',
  message: `unknown key \`${key.slice(0, 80)}\``,
  ...didYouMean(key, known),
});

const wrongType = (expected: string, at: string, report: Report): Unread =>
  fail({ pointer: at, code: 'invalid_type', message: `must be ${expected}` }, report);

const invalid = (message: string, at: string, report: Report): Unread => fail({ pointer: at, code: 'invalid_value', message }, report);
