import { expect, test } from '@jest/globals';
import { createRender } from '../../../src/activities/kinds/render.ts';
import { renderTemplate } from '../../../src/providers/template/template.ts';
import type { Json } from '../../../src/domain/json.ts';
import { aProblem } from '../../providers/aProblem.ts';
import { aMemoryStore, anExecution, RUN } from './anExecution.ts';

const text = (template: string, data: Json) => renderTemplate(template, data, 'text/plain');

test.each<[string, Json, string]>([
  ['Hello {{name}}', { name: 'Ada' }, 'Hello Ada'],
  ['{{#files}}{{path}}: {{score}}\n{{/files}}', { files: [{ path: 'a', score: 0.5 }] }, 'a: 0.5\n'],
  ['{{^files}}none{{/files}}', { files: [] }, 'none'],
  ['{{a.b.c}}', { a: { b: { c: 1 } } }, '1'],
  ['{{#a}}{{outer}}{{/a}}', { outer: 'x', a: { b: 1 } }, 'x'],
  ['{{#list}}{{.}},{{/list}}', { list: [1, 2] }, '1,2,'],
  ['{{list.length}}', { list: [1, 2] }, '2'],
  ['{{missing}}|{{a.missing.deeper}}', { a: {} }, '|'],
  ['{{nothing}}', { nothing: null }, ''],
  ['{{yes}} {{zero}}', { yes: true, zero: 0 }, 'true 0'],
  ['{{object}} {{{list}}}', { object: { a: 1 }, list: [1] }, '{"a":1} [1]'],
  ['{{.}}', 'whole', 'whole'],
])('%j with %j gives %j', (template, data, expected) => {
  expect(text(template, data)).toBe(expected);
});

test('escapes values for text/html only', () => {
  const data = { v: '<b>&' };
  expect(renderTemplate('{{v}}', data, 'text/html; charset=utf-8')).toBe('&lt;b&gt;&amp;');
  expect(renderTemplate('{{v}} {{{v}}}', data, 'text/markdown')).toBe('<b>& <b>&');
});

test.each([
  '{{constructor}}',
  '{{toString}}',
  '{{__proto__}}',
  '{{list.constructor}}',
  '{{list.constructor.constructor.prototype.constructor}}',
  '{{#list.map}}x{{/list.map}}',
  '{{text.length}}{{#text}}{{toUpperCase}}{{/text}}',
])('%s reaches nothing that the data does not own', (template) => {
  expect(text(template, { list: [1], text: 'abc' })).toBe('');
});

test('a field called __proto__ is an ordinary field', () => {
  expect(text('{{__proto__.a}}', JSON.parse('{"__proto__":{"a":1}}') as Json)).toBe('1');
});

test('partials are off', () => {
  expect(text('a{{> other}}b', { other: 'x' })).toBe('ab');
});

test.each(['{{#a}}', '{{/a}}', '{{#a}}{{/b}}', '{{a', `${'{{#a}}'.repeat(50_000)}${'{{/a}}'.repeat(50_000)}`])(
  'a template that cannot be rendered is render_failed: %#',
  (template) => {
    expect(() => text(template, { a: true })).toThrow(aProblem('render_failed'));
  },
);

test('long runs of blanks, which the parser is slow on, are refused', () => {
  expect(() => text(`{{${' '.repeat(200_000)}`, {})).toThrow(aProblem('render_failed'));
});

test.each<[string, Json]>([
  ['{{a}}'.repeat(100), { a: 'x'.repeat(100_000) }],
  ['{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}', { l: Array.from({ length: 1_000 }, (_, i) => i + 1) }],
])('output and steps are bounded: %#', (template, data) => {
  expect(() => text(template, data)).toThrow(aProblem('artifact_too_large'));
});

test('as an artifact it is stored, recorded and held by the run', async () => {
  const store = aMemoryStore();
  const render = createRender(store);
  const input = { template: '# {{t}}', data: { t: 'Report' }, mediaType: 'text/markdown', as: 'artifact', name: 'report.md' };
  const artifact = await render(input, anExecution());
  expect(artifact).toEqual({ sha256: expect.any(String), size: 8, mediaType: 'text/markdown', name: 'report.md' });
  expect(store.rows).toEqual([{ workspace: anExecution().workspace, artifact, holder: `run:${RUN}` }]);
});

test('as text it is the output', async () => {
  await expect(createRender(aMemoryStore())({ template: 'x{{a}}', data: { a: 1 } }, anExecution())).resolves.toBe('x1');
});
