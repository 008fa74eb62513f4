import { expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/domain/json.ts';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';

const SECRET = 'x${secrets.token}';
const constant: JsonObject = { type: 'transform', with: { value: 1 } };
const http = (fields: JsonObject = {}): JsonObject => ({ type: 'http', with: { url: 'http://x/', ...fields } });
const issuesOf = (tasks: JsonObject, root: JsonObject = {}): string[] =>
  readDefinitionValue({ dsl: 'tiu/1', name: 'test', ...root, tasks }).issues.map(({ code, pointer }) => `${code} ${pointer}`);

test.each<[string, JsonObject, string]>([
  ['the value of a transform', { with: { value: { deep: [SECRET] } } }, '/with/value/deep/0'],
  ['a condition', { if: "secrets.token == 'x'" }, '/if'],
  ['the items of a map', { map: { items: '${secrets.token}' } }, '/map/items'],
  ['the condition of an item', { map: { items: [1], if: "${secrets.token == 'x'}" } }, '/map/if'],
  ['a matrix', { map: { matrix: { m: ['${secrets.token}'] } } }, '/map/matrix/m/0'],
  ['an address', http({ url: 'http://x/${secrets.token}' }), '/with/url'],
  ['the method', http({ method: '${secrets.token}' }), '/with/method'],
  ['what is expected', http({ expect: ['${secrets.token}'] }), '/with/expect/0'],
  ['the key of a limit', { ...http(), limits: [{ key: SECRET, concurrency: 1 }] }, '/limits/0/key'],
  ['a switch', { type: 'switch', with: { cases: [{ if: "secrets.token == ''", then: ['b'] }] } }, '/with/cases/0/if'],
  ['what is asserted', { type: 'assert', with: { that: 'secrets.token != null' } }, '/with/that'],
  ['a template', { type: 'render', with: { template: SECRET } }, '/with/template'],
  ['an artifact', { type: 'artifact.write', with: { content: SECRET, name: 'a.txt' } }, '/with/content'],
])('a secret in %s is refused at its place', (_, task, pointer) => {
  expect(issuesOf({ a: { ...constant, ...task }, b: constant })).toEqual([`secret_not_allowed /tasks/a${pointer}`]);
});

test.each<[string, JsonObject, string]>([
  ['the output of the run', { output: { value: [SECRET] } }, '/output/value/0'],
  ['the priority', { priority: '${secrets.token}' }, '/priority'],
  ['the concurrency key', { concurrency: { key: SECRET, limit: 1 } }, '/concurrency/key'],
  ['the key of a limit of the run', { limits: [{ key: SECRET, concurrency: 1 }] }, '/limits/0/key'],
])('a secret in %s is refused at its place', (_, root, pointer) => {
  expect(issuesOf({ a: constant }, root)).toEqual([`secret_not_allowed ${pointer}`]);
});

test('a secret may stand in headers and body, alone or joined with text, also of a mapped task', () => {
  const fields = { headers: { authorization: 'Bearer ${secrets.token}' }, body: { k: ['${secrets["a-b"]}', '${item}'] } };
  expect(issuesOf({ a: { ...http(fields), map: { items: [1] } } })).toEqual([]);
});

test('a secret is not computed with, and its name is one that it can have', () => {
  expect(issuesOf({ a: http({ headers: { a: '${upper(secrets.token)}' } }) })).toEqual(['secret_not_plain /tasks/a/with/headers/a']);
  expect(issuesOf({ a: http({ body: '${secrets["a b"]}' }) })).toEqual(['invalid_name /tasks/a/with/body']);
  expect(issuesOf({ a: http({ body: '${secrets["1a"]}' }) })).toEqual(['invalid_name /tasks/a/with/body']);
});
