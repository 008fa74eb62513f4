import { expect, test } from '@jest/globals';
import { checkInput, matchesSchema, schemaFaults } from '../../../src/domain/definition/jsonSchema.schema.ts';
import type { Json, JsonSchema } from '../../../src/domain/json.ts';

const found = (schema: JsonSchema, value: Json): string[] => matchesSchema(schema, value).map(({ code, pointer }) => `${code} ${pointer}`);

test('every fault of a value is told at its pointer', () => {
  const schema = {
    type: 'object',
    required: ['a', 'b'],
    properties: {
      a: { type: 'number' },
      c: { enum: ['x', 'y'] },
      d: { type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'null' }] } },
    },
    additionalProperties: false,
  };
  expect(found(schema, { a: 'no', c: 'z', d: ['ok', 5], e: 1 }).sort()).toEqual(
    ['invalid_type /a', 'invalid_value /c', 'invalid_value /d/1', 'missing_key ', 'unknown_key /e'].sort(),
  );
});

test('defaults are filled in, and the input itself stays as it was', () => {
  const schema = {
    type: 'object',
    properties: { n: { type: 'number', default: 3 }, o: { type: 'object', default: {}, properties: { p: { default: 'x' } } } },
  };
  const input = {};
  expect(checkInput(schema, input)).toEqual({ input: { n: 3, o: { p: 'x' } } });
  expect(checkInput(schema, undefined)).toEqual({ input: { n: 3, o: { p: 'x' } } });
  expect(input).toEqual({});
  expect(checkInput(undefined, [1])).toEqual({ input: [1] });
  expect(checkInput(schema, { n: 'x' })).toEqual({ issues: [{ pointer: '/n', code: 'invalid_type', message: 'must be number' }] });
});

test('formats are checked, an artifact is a SHA-256', () => {
  expect(found({ type: 'string', format: 'date-time' }, 'yesterday')).toEqual(['invalid_value ']);
  expect(found({ type: 'string', format: 'artifact' }, './src')).toEqual(['invalid_value ']);
  expect(found({ type: 'string', format: 'artifact' }, 'a'.repeat(64))).toEqual([]);
  expect(found({ type: 'string', format: 'of-my-own' }, 'anything')).toEqual([]);
});

test('no pattern takes more than linear time', () => {
  const from = process.cpuUsage().user;
  expect(found({ type: 'string', pattern: '^(a+)+$' }, `${'a'.repeat(50_000)}!`)).toEqual(['invalid_value ']);
  expect(process.cpuUsage().user - from).toBeLessThan(5_000_000);
});

test('many patterns in one schema are kept apart', () => {
  const schema = { properties: { a: { pattern: '^a$' }, b: { pattern: '^b$' } } };
  expect(found(schema, { a: 'a', b: 'b' })).toEqual([]);
  expect(found(schema, { a: 'b', b: 'a' })).toEqual(['invalid_value /a', 'invalid_value /b']);
});

test('references that multiply are stopped', () => {
  const level = (n: number): JsonSchema => ({ allOf: [{ $ref: `#/$defs/l${n + 1}` }, { $ref: `#/$defs/l${n + 1}` }] });
  const $defs = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`l${n}`, n === 39 ? true : level(n)]));
  expect(found({ $defs, $ref: '#/$defs/l0' }, 1)).toEqual(['too_costly ']);
  expect(found({ $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' }, 1)).toEqual(['too_costly ']);
});

test('long lists of equal entries are found in linear time', () => {
  const from = process.cpuUsage().user;
  const list = Array.from({ length: 50_000 }, (_, i) => ({ i }));
  expect(found({ uniqueItems: true }, list)).toEqual([]);
  expect(found({ uniqueItems: true }, [...list, { i: 7 }])).toEqual(['invalid_value ']);
  expect(process.cpuUsage().user - from).toBeLessThan(5_000_000);
});

test.each<[string, JsonSchema]>([
  ['/type', { type: 'objekt' }],
  ['/properties/a', { properties: { a: 5 } }],
  ['', { $ref: '#/$defs/none' }],
  ['', { $ref: 'https://example.com/schema' }],
  ['', { type: 'string', pattern: '(' }],
  ['/x-secret', { 'x-secret': 'yes' }],
  ['/properties/a/anyOf/1/x-secret', { properties: { a: { anyOf: [{}, { 'x-secret': 1 }] } } }],
  ['/items/x-secret', { items: { 'x-secret': 'true' } }],
])('a schema that is none is told at %j', (pointer, schema) => {
  expect(schemaFaults(schema).map((issue) => [issue.code, issue.pointer])).toEqual([['invalid_schema', pointer]]);
});

test('a property may be called x-secret', () => {
  expect(schemaFaults({ properties: { 'x-secret': { type: 'string', 'x-secret': true } } })).toEqual([]);
});

test('schemas with the same $id do not meet', () => {
  const one = { $id: 'https://example.com/s', type: 'string' };
  const two = { $id: 'https://example.com/s', type: 'number' };
  expect([found(one, 'x'), found(two, 1), found(one, 1)]).toEqual([[], [], ['invalid_type ']]);
});
