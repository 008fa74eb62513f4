import { expect, test } from '@jest/globals';
import { canonicalJson } from '../../../src/domain/definition/canonical.ts';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { compile } from '../../../src/domain/plan/compile.ts';

const call = (more: JsonObject = {}): JsonObject => ({ type: 'http', with: { url: 'https://example.org/' }, ...more });
const read = (root: JsonObject, tasks: JsonObject = { a: call() }) =>
  readDefinitionValue({ dsl: 'tiu/1', name: 'bounded', tasks, ...root });
const issuesOf = (...given: Parameters<typeof read>) => read(...given).issues.map(({ code, pointer }) => `${code} ${pointer}`);
function planOf(...given: Parameters<typeof read>) {
  const result = read(...given);
  if (!('definition' in result)) throw new Error(JSON.stringify(result.issues));
  return compile(result.definition);
}

test('concurrency and limits arrive in the plan in their one form', () => {
  const limits = [
    { key: 'host', rate: { limit: 10, per: 'PT1S' } },
    { key: '${input.owner}', concurrency: 4 },
  ];
  const plan = planOf({ concurrency: { key: '${input.source}' }, limits }, { a: call(), b: { type: 'transform', with: { value: 1 } } });
  expect(plan.concurrency).toEqual({ key: '${input.source}', limit: 1, onConflict: 'queue' });
  expect(plan.limits).toEqual([
    { key: 'host', rate: { limit: 10, perMs: 1_000 } },
    { key: '${input.owner}', concurrency: 4 },
  ]);
  const mapped = call({ map: { items: [1], as: 'file' }, limits: [{ key: '${file}/${index}', concurrency: 1 }] });
  expect(planOf({}, { a: mapped, b: call() })).toMatchObject({ graph: { limited: [1, 0] }, tasks: [{ limits: [{ concurrency: 1 }] }, {}] });
});

test('a definition without them has nothing of them in its plan', () => {
  expect(canonicalJson(planOf({}))).not.toMatch(/limit(ed|s)|concurrency/);
});

test.each<[string, JsonObject, JsonObject | undefined, string[]]>([
  ['the widest there is', { concurrency: { key: 'k', limit: 10_000 } }, undefined, []],
  ['wider than that', { concurrency: { key: 'k', limit: 10_001 } }, undefined, ['invalid_value /concurrency/limit']],
  ['none', { concurrency: { key: 'k', limit: 0 } }, undefined, ['invalid_value /concurrency/limit']],
  ['no key', { concurrency: { key: '' } }, undefined, ['invalid_type /concurrency/key']],
  ['an unknown way out', { concurrency: { key: 'k', onConflict: 'drop' } }, undefined, ['invalid_value /concurrency/onConflict']],
  ['a key that names a task', { concurrency: { key: '${tasks.a.output}' } }, undefined, ['unknown_name /concurrency/key']],
  ['eight limits', { limits: Array.from({ length: 8 }, (_, i) => ({ key: `k${i}`, concurrency: 1 })) }, undefined, []],
  [
    'nine limits',
    { limits: Array.from({ length: 9 }, (_, i) => ({ key: `k${i}`, concurrency: 1 })) },
    undefined,
    ['invalid_value /limits'],
  ],
  ['a limit of nothing', { limits: [{ key: 'k' }] }, undefined, ['invalid_value /limits/0']],
  ['a rate in no time', { limits: [{ key: 'k', rate: { limit: 1, per: 'PT0S' } }] }, undefined, ['invalid_value /limits/0/rate/per']],
  ['the fastest', { limits: [{ key: 'k', rate: { limit: 1_000_000, per: 'PT1S' } }] }, undefined, []],
  ['faster', { limits: [{ key: 'k', rate: { limit: 1_000_001, per: 'PT1S' } }] }, undefined, ['invalid_value /limits/0/rate/limit']],
  [
    'a limit of what has no attempts',
    {},
    { a: { type: 'transform', with: { value: 1 }, limits: [{ key: 'k', concurrency: 1 }] } },
    ['not_applicable /tasks/a/limits'],
  ],
  [
    'an item where there is none',
    {},
    { a: call({ limits: [{ key: '${item}', concurrency: 1 }] }) },
    ['unknown_name /tasks/a/limits/0/key'],
  ],
])('%s', (_, root, tasks, issues) => {
  expect(issuesOf(root, tasks)).toEqual(issues);
});
