import { expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { marksOf } from '../../../src/domain/redaction/marks.ts';
import { outputMarks, planMarks } from '../../../src/domain/redaction/planMarks.ts';
import { redact } from '../../../src/domain/redaction/redact.ts';
import { aPlan } from '../../support/anEngine.ts';

const hidden = { 'x-secret': true };
const shown = (schema: JsonObject, value: Json): Json => redact(value, marksOf(schema));

test.each<[string, JsonObject, Json, Json]>([
  ['the whole value', { type: 'object', ...hidden }, { a: 1 }, '[redacted]'],
  ['a property', { properties: { a: hidden } }, { a: { b: 1 }, c: 2 }, { a: '[redacted]', c: 2 }],
  ['whatever type it has', { properties: { a: hidden, b: hidden } }, { a: 7, b: null }, { a: '[redacted]', b: '[redacted]' }],
  ['deep properties', { properties: { a: { properties: { b: hidden } } } }, { a: { b: 1, c: 2 } }, { a: { b: '[redacted]', c: 2 } }],
  ['elements', { items: { properties: { a: hidden } } }, [{ a: 1, b: 2 }, { a: 3 }], [{ a: '[redacted]', b: 2 }, { a: '[redacted]' }]],
  ['an element by its place', { prefixItems: [{}, hidden], items: {} }, [1, 2, 3], [1, '[redacted]', 3]],
  ['the elements after the first', { prefixItems: [{}], items: hidden }, [1, 2, 3], [1, '[redacted]', '[redacted]']],
  ['all other properties', { properties: { a: {} }, additionalProperties: hidden }, { a: 1, b: 2 }, { a: 1, b: '[redacted]' }],
  ['properties by pattern, whatever they are called', { patternProperties: { '^p': hidden } }, { a: 1 }, { a: '[redacted]' }],
  ['an alternative', { anyOf: [{ properties: { a: hidden } }, { properties: { b: {} } }] }, { a: 1, b: 2 }, { a: '[redacted]', b: 2 }],
  ['a condition', { if: {}, then: { properties: { a: hidden } } }, { a: 1 }, { a: '[redacted]' }],
  [
    'what is referred to, and nothing else',
    { $defs: { k: hidden, n: { type: 'string' } }, properties: { a: { $ref: '#/$defs/k' }, b: { $ref: '#/$defs/n' } } },
    { a: 'x', b: 'y' },
    { a: '[redacted]', b: 'y' },
  ],
  [
    'a schema that refers to itself',
    { properties: { key: hidden, next: { $ref: '#' } } },
    { key: 1, next: { key: 2, n: 1, next: { key: 3 } } },
    { key: '[redacted]', next: { key: '[redacted]', n: 1, next: { key: '[redacted]' } } },
  ],
  [
    'a text where something in it would be marked',
    { properties: { a: { properties: { b: hidden } } } },
    { a: '{"b":1}' },
    { a: '[redacted]' },
  ],
  [
    'what a reference that leads elsewhere might mark',
    { properties: { a: { $ref: '#x' }, b: hidden } },
    { a: 1, c: 2 },
    { a: '[redacted]', c: 2 },
  ],
  ['nothing where nothing is marked', { properties: { a: { $ref: '#x' } } }, { a: 'b' }, { a: 'b' }],
  ['only what is marked true', { properties: { a: { 'x-secret': false }, b: { const: 'x-secret' } } }, { a: 1, b: 2 }, { a: 1, b: 2 }],
])('marked: %s', (_, schema, value, expected) => {
  expect(shown(schema, value)).toEqual(expected);
});

const transform = (value: Json, more: JsonObject = {}): JsonObject => ({ type: 'transform', with: { value }, ...more });
const plan = (tasks: JsonObject, output: Json = null) =>
  aPlan({
    ...{ dsl: 'tiu/1', name: 'test', tasks, output: { value: output } },
    input: {
      schema: { type: 'object', properties: { key: hidden, users: { type: 'array', items: { properties: { pin: hidden } } }, n: {} } },
    },
  });
const outputOf = (tasks: JsonObject, id: string, value: Json): Json => {
  const made = plan(tasks);
  return redact(value, outputMarks(made, made.graph.names.indexOf(id)));
};

test('marks go with whole references, through transforms into the output of the run', () => {
  const tasks = { a: transform({ k: '${input.key}', n: '${input.n}', u: '${input.users}' }), b: transform({ deep: '${tasks.a.output}' }) };
  const value = { k: 1, n: 2, u: [{ pin: 3, name: 4 }] };
  const expected = { k: '[redacted]', n: 2, u: [{ pin: '[redacted]', name: 4 }] };
  expect(outputOf(tasks, 'a', value)).toEqual(expected);
  expect(outputOf(tasks, 'b', { deep: value })).toEqual({ deep: expected });
  const { output } = planMarks(
    plan(tasks, { all: '${tasks.b.output.deep}', one: '${tasks.a.output.u[0].pin}', name: '${tasks.a.output.u[0].name}' }),
  );
  expect(redact({ all: value, one: 3, name: 4 }, output)).toEqual({ all: expected, one: '[redacted]', name: 4 });
});

test('what is computed from or joined with a marked place is marked whole, what is beside it is not', () => {
  const tasks = {
    a: transform({ t: 'key ${input.key}', c: '${input.users.map(u, u.name)}', s: '${size(input.users)}', n: '${input.n + 1}' }),
    lines: { type: 'render', with: { template: '{{k}}', data: { k: '${input.key}' } } },
    free: { type: 'render', with: { template: '{{n}}', data: { n: '${input.n}' } } },
  };
  expect(outputOf(tasks, 'a', { t: 1, c: 2, s: 3, n: 4 })).toEqual({ t: '[redacted]', c: '[redacted]', s: '[redacted]', n: 4 });
  expect(outputOf(tasks, 'lines', 'x')).toBe('[redacted]');
  expect(outputOf(tasks, 'free', 'x')).toBe('x');
});

test('the items of a map carry the marks of its list', () => {
  const tasks = {
    each: transform({ user: '${u}' }, { map: { items: '${input.users}', as: 'u' } }),
    pins: transform('${tasks.each.output}'),
    views: transform('${tasks.each.items}'),
  };
  const item = { user: { pin: 1, name: 2 } };
  const expected = { user: { pin: '[redacted]', name: 2 } };
  expect(outputOf(tasks, 'each', [item, item])).toEqual([expected, expected]);
  expect(outputOf(tasks, 'pins', [item])).toEqual([expected]);
  expect(outputOf(tasks, 'views', [{ index: 0, output: item }])).toEqual([{ index: 0, output: expected }]);
});

test('the answer of an effect is marked by its own schema, and what is said of a marked place is not said', () => {
  const schema = { properties: { body: { properties: { token: hidden } } } };
  const made = plan({
    call: { type: 'http', with: { url: 'http://x.test/', body: '${input.key}' }, output: { schema } },
    plain: { type: 'http', with: { url: 'http://x.test/', body: '${input.key}' } },
    check: { type: 'assert', with: { that: 'input.n > 1', message: 'not ${input.key}' } },
    other: { type: 'assert', with: { that: "input.key == ''", message: 'not ${input.n}' } },
    token: transform('${tasks.call.output.body.token}'),
  });
  const at = (id: string) => planMarks(made).tasks[made.graph.names.indexOf(id)];
  expect(redact({ status: 200, body: { token: 1, n: 2 } }, at('call')?.output ?? marksOf(true))).toEqual({
    status: 200,
    body: { token: '[redacted]', n: 2 },
  });
  expect(at('plain')?.output.any).toBe(false);
  expect(at('token')?.output.whole).toBe(true);
  expect([at('check')?.message, at('other')?.message]).toEqual([true, false]);
});

test('a plan without marks marks nothing', () => {
  const made = aPlan({ dsl: 'tiu/1', name: 'test', tasks: { a: transform('${input}') }, output: { value: '${tasks.a.output}' } });
  expect(planMarks(made).output.any).toBe(false);
  expect(outputMarks(made, 0).any).toBe(false);
});
