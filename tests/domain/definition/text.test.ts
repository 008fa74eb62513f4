import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readDefinition } from '../../../src/domain/definition/read.schema.ts';
import type { Issue } from '../../../src/domain/problem.ts';

const yaml = (text: string): Issue[] => readDefinition(text, 'yaml').issues;
const found = (issues: readonly Issue[]): string[] => issues.map(({ code, pointer }) => `${code} ${pointer}`);
const placed = (issues: readonly Issue[]): string[] => issues.map((i) => `${i.line}:${i.column} ${i.code} ${i.pointer}`).sort();

test('YAML is 1.2: on, yes, no and dates are text', () => {
  const text = 'dsl: tiu/1\nname: probe\ntasks: { a: { type: transform, with: { value: [on, yes, no, 2026-01-01, 0x10, ~] } } }';
  const read = readDefinition(text, 'yaml');
  expect('definition' in read && read.definition.tasks.a?.with.value).toEqual(['on', 'yes', 'no', '2026-01-01', 16, null]);
});

test('a key that is there twice is refused in YAML and in JSON, at the second place', () => {
  expect(placed(yaml('dsl: tiu/1\nname: a\nname: b\ntasks: {}'))).toEqual(['3:1 duplicate_key /name']);
  const json = readDefinition('{"dsl":"tiu/1","name":"a",\n "name":"b","tasks":{}}', 'json');
  expect(placed(json.issues)).toEqual(['2:2 duplicate_key /name']);
});

test('JSON text has lines and columns too', () => {
  const read = readDefinition('{\n  "dsl": "tiu/1",\n  "name": "a",\n  "tasks": {\n    "t": { "type": "nope" }\n  }\n}', 'json');
  expect(placed(read.issues)).toEqual(['5:12 unknown_kind /tasks/t/type']);
});

test('a whole number that would be rounded is refused', () => {
  expect(found(yaml('dsl: tiu/1\nname: a\ntasks: { a: { type: transform, with: { value: 12345678901234567890 } } }'))).toEqual([
    'number_out_of_range /tasks/a/with/value',
  ]);
});

test.each([
  [
    'aliases that multiply',
    'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]',
  ],
  ['brackets without end', '['.repeat(100_000)],
  ['depth', `${'['.repeat(5_000)}${']'.repeat(5_000)}`],
  ['two documents', 'a: 1\n---\nb: 2'],
  ['a tag of its own', 'a: !!js/function "x"'],
  ['nothing', ''],
])('hostile YAML is an issue: %s', (_what, text) => {
  expect(yaml(text).length).toBeGreaterThan(0);
});

test('hostile JSON is an issue', () => {
  for (const text of [
    '',
    '{',
    '[1,]',
    '{"a" 1}',
    '"\u0001"',
    '[1e999]',
    '['.repeat(100_000),
    '{"__proto__":1}',
    '01',
    'nul',
    '{} {}',
    '"\\x"',
  ])
    expect(readDefinition(text, 'json').issues.length).toBeGreaterThan(0);
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc
    .array(
      fc.constantFrom(
        'dsl: tiu/1',
        'name: x',
        'tasks:',
        ' a:',
        '  type: http',
        '  with: {',
        '}',
        '- &a',
        '*a',
        '${',
        'if: [',
        '\t',
        '"',
        '!!x',
        '? :',
        '|',
        '>-',
        '\n',
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join('\n')),
);

test('no text makes reading throw', () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom('json' as const, 'yaml' as const), (text, type) => {
      const { issues } = readDefinition(text, type);
      for (const issue of issues) expect(issue.line).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});

test('large and hostile texts are answered at once', () => {
  const from = process.cpuUsage().user;
  for (const text of ['['.repeat(1_000_000), '- '.repeat(500_000), '{a: '.repeat(250_000), '*a '.repeat(300_000), ' '.repeat(1_000_000)])
    expect(yaml(text).length).toBeGreaterThan(0);
  expect(yaml(Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n')).length).toBeGreaterThan(0);
  expect(process.cpuUsage().user - from).toBeLessThan(10_000_000);
});
