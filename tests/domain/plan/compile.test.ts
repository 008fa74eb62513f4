import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from '../../../src/domain/definition/canonical.ts';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { compile } from '../../../src/domain/plan/compile.ts';
import { CONTROL, EFFECT, INLINE, type Edge, type Plan } from '../../../src/domain/plan/plan.ts';
import { predict } from '../../../src/domain/plan/predict.ts';

const COMPLETED_BIT = 2;

function planOf(tasks: JsonObject, more: JsonObject = {}): Plan {
  const read = readDefinitionValue({ dsl: 'tiu/1', name: 'probe', ...more, tasks });
  if (!('definition' in read)) throw new Error(JSON.stringify(read.issues));
  return compile(read.definition);
}

/** Edges of a task with the id of the dependency in place of its index. */
function edges(plan: Plan, id: string): [string | undefined, ...unknown[]][] {
  return (plan.graph.deps[plan.graph.names.indexOf(id)] ?? []).map(([from, ...rest]: Edge) => [plan.graph.names[from], ...rest]);
}

const constant = (value: JsonObject[string] = 1, more: JsonObject = {}): JsonObject => ({ type: 'transform', with: { value }, ...more });

test('what expressions name makes edges, once each', () => {
  const plan = planOf({
    a: constant(),
    b: constant(),
    c: constant(['${tasks.a.output}', '${tasks.a.output + tasks.b.output}']),
    d: constant(1, { if: 'tasks.a.output > 0', map: { items: '${[tasks.b.output]}' } }),
  });
  expect(edges(plan, 'c')).toEqual([
    ['a', COMPLETED_BIT],
    ['b', COMPLETED_BIT],
  ]);
  expect(edges(plan, 'd')).toEqual([
    ['a', COMPLETED_BIT],
    ['b', COMPLETED_BIT],
  ]);
  expect(plan.tasks[plan.graph.names.indexOf('c')]?.reads.map((i) => plan.graph.names[i])).toEqual(['a', 'b']);
});

test('a written edge beats the implied one', () => {
  const plan = planOf({ a: constant(), b: constant('${tasks.a.status}', { dependsOn: [{ task: 'a', when: 'done' }] }) });
  expect(edges(plan, 'b')).toEqual([['a', 0b1111110]]);
});

test('edges written twice accept the outcomes of both', () => {
  const plan = planOf({ a: constant(), b: constant(1, { dependsOn: ['a', { task: 'a', when: ['skipped'] }] }) });
  expect(edges(plan, 'b')).toEqual([['a', 0b1010]]);
});

test('a switch lets its targets run by branch; else is the branch after the last case', () => {
  const plan = planOf({
    s: {
      type: 'switch',
      with: {
        cases: [
          { if: true, then: ['a', 'b'] },
          { if: true, then: ['b'] },
        ],
        else: ['c'],
      },
    },
    a: constant(),
    b: constant(),
    c: constant(1, { dependsOn: [{ task: 's', when: ['completed', 'failed'] }] }),
    d: constant('${tasks.s.output.chosen}'),
  });
  expect(edges(plan, 'a')).toEqual([['s', COMPLETED_BIT, [0]]]);
  expect(edges(plan, 'b')).toEqual([['s', COMPLETED_BIT, [0, 1]]]);
  expect(edges(plan, 'c')).toEqual([['s', 0b110, [2]]]);
  expect(edges(plan, 'd')).toEqual([['s', COMPLETED_BIT]]);
});

test('classes: a mapped effect is control, a mapped inline task stays inline', () => {
  const get = { type: 'http', with: { url: 'http://x/' } };
  const plan = planOf({
    a: get,
    b: { ...get, map: { items: [1] } },
    c: constant(1, { map: { items: [1] } }),
    d: { type: 'wait', with: { for: 'PT1S' } },
  });
  expect(plan.graph.classes).toEqual([EFFECT, CONTROL, INLINE, CONTROL]);
});

test('defaults reach the tasks they are for, and no others', () => {
  const plan = planOf(
    {
      a: { type: 'http', with: { url: 'http://x/' } },
      b: { type: 'http', retry: { limit: 0 }, timeout: 'PT1S', with: { url: 'http://x/' } },
      c: constant(),
    },
    { defaults: { retry: { limit: 5, delay: 'PT2S' }, timeout: { minutes: 1 } } },
  );
  expect(plan.tasks[0]).toMatchObject({
    timeoutMs: 60_000,
    retry: { limit: 5, delayMs: 2_000, backoff: 2, maxDelayMs: 60_000, jitter: 0.2 },
  });
  expect(plan.tasks[1]).toMatchObject({ timeoutMs: 1_000, retry: { limit: 0 } });
  expect(plan.tasks[2]).not.toHaveProperty('retry');
  expect(plan.tasks[2]).not.toHaveProperty('timeoutMs');
});

test('without retry an attempt is final; without timeout the kind says', () => {
  expect(planOf({ a: { type: 'http', with: { url: 'http://x/' } } }).tasks[0]).not.toHaveProperty('retry');
  expect(planOf({ a: { type: 'http', with: { url: 'http://x/' } } }).tasks[0]?.timeoutMs).toBe(30_000);
});

test('the run: deadline, labels, fail fast, artifacts in the input, what the output reads', () => {
  const input = { schema: { type: 'object', properties: { src: { type: 'string', format: 'artifact' }, n: { type: 'number' } } } };
  const plan = planOf(
    { b: constant(), a: constant() },
    { input, deadline: 'P1DT1H', labels: { team: 'x' }, onError: 'failFast', output: { value: '${tasks.b.output}' } },
  );
  expect(plan).toMatchObject({
    deadlineMs: 90_000_000,
    labels: { team: 'x' },
    artifactInputs: ['src'],
    priority: 'normal',
    output: { reads: [1] },
  });
  expect(plan.graph.failFast).toBe(1);
});

/** A random graph in which tasks depend on earlier ones. */
const graphs = fc
  .array(fc.array(fc.nat(1_000), { maxLength: 4 }), { minLength: 1, maxLength: 40 })
  .map((rows) =>
    Object.fromEntries(
      rows.map((row, i) => [`t${i}`, constant(i, { dependsOn: i === 0 ? [] : [...new Set(row.map((n) => `t${n % i}`))] })]),
    ),
  );

test('every dependency has a lower index, and the order of writing does not matter', () => {
  fc.assert(
    fc.property(graphs, (tasks) => {
      const plan = planOf(tasks);
      plan.graph.deps.forEach((list, i) => {
        for (const [from] of list) expect(from).toBeLessThan(i);
      });
      expect(canonicalJson(planOf(Object.fromEntries(Object.entries(tasks).reverse())))).toBe(canonicalJson(plan));
    }),
    { numRuns: 200 },
  );
});

test('a chain and a fan of 5,000 tasks compile in seconds', () => {
  const chain = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, i) => [`t${i}`, constant(1, i === 0 ? {} : { dependsOn: [`t${i - 1}`] })]),
  );
  expect(predict(planOf(chain))).toMatchObject({ tasks: 5_000, depth: 5_000, width: 1 });
  const fan = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`t${i}`, constant(1, i === 0 ? {} : { dependsOn: ['t0'] })]));
  expect(predict(planOf(fan))).toMatchObject({ depth: 2, width: 4_999 });
});

test('the prediction counts effects, waits and maps', () => {
  const get = { type: 'http', with: { url: 'http://x/' } };
  expect(
    predict(planOf({ a: get, b: { ...get, map: { items: [1] } }, c: { type: 'wait', with: { for: 'PT1S' } }, d: constant() })),
  ).toEqual({
    tasks: 4,
    effects: 2,
    waits: 1,
    maps: 1,
    width: 4,
    depth: 1,
    temporalEvents: 24,
  });
});
