import { expect, test } from '@jest/globals';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { changedFields } from '../../../src/domain/plan/inputReaders.ts';
import { compile } from '../../../src/domain/plan/compile.ts';
import { wasDone, type Why } from '../../../src/domain/plan/fork.ts';
import type { TaskStatus } from '../../../src/domain/plan/outcome.ts';
import type { Plan } from '../../../src/domain/plan/plan.ts';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import { mayTakeInput, planFork, type ForkRequest } from '../../../src/domain/run/planFork.ts';

function planOf(tasks: JsonObject, more: JsonObject = {}): Plan {
  const read = readDefinitionValue({ dsl: 'tiu/1', name: 'fork', tasks, ...more });
  if (!('definition' in read)) throw new Error(JSON.stringify(read.issues));
  return compile(read.definition);
}
const transform = (value: Json, more: JsonObject = {}): JsonObject => ({ type: 'transform', with: { value }, ...more });

type Asked = Partial<Omit<ForkRequest, 'from' | 'given'>> & {
  before?: Json;
  from?: string[];
  given?: string[];
  ended?: Record<string, TaskStatus | undefined>;
};

const http: JsonObject = { type: 'http', with: { url: 'http://localhost/' } };

/** All tasks had completed, unless said otherwise; undefined: nothing had happened to it. */
function endedIn({ graph }: Plan, ended: Record<string, TaskStatus | undefined>): Map<number, TaskStatus> {
  return new Map(
    graph.names.flatMap((name, task): [number, TaskStatus][] => {
      const status = Object.hasOwn(ended, name) ? ended[name] : 'completed';
      return status === undefined ? [] : [[task, status]];
    }),
  );
}

/** Ids that run again with the type of their reason, those kept and those given. */
function decided(source: Plan, { before = {}, from = [], given = [], ended = {}, ...asked }: Asked) {
  const plan = asked.plan ?? source;
  const { names } = plan.graph;
  const places = (ids: string[]) => ids.map((id) => names.indexOf(id));
  const fork = planFork(
    { plan: source, input: before, ended: endedIn(source, ended) },
    {
      edited: plan !== source,
      inputGiven: asked.input !== undefined,
      input: before,
      ...asked,
      plan,
      from: places(from),
      given: new Set(places(given)),
    },
  );
  return {
    again: Object.fromEntries([...fork.again].map(([task, why]) => [names[task] ?? '', why.type])) as Record<string, Why['type']>,
    kept: fork.kept.map((task) => names[task]).sort(),
    given: fork.given.map((task) => names[task]),
    ...(fork.keepItems.length > 0 && { keepItems: fork.keepItems.map((task) => names[task]) }),
  };
}

const chain = { a: transform(1), b: transform('${tasks.a.output}'), c: transform('${tasks.b.output}'), other: transform(2) };

test('a task that is asked for runs again, and what depends on it', () => {
  expect(decided(planOf(chain), { from: ['b'] })).toEqual({ again: { b: 'asked', c: 'depends' }, kept: ['a', 'other'], given: [] });
});

test('a task that is given an output does not run again, what depends on it does', () => {
  expect(decided(planOf(chain), { given: ['b'] })).toEqual({ again: { c: 'depends' }, kept: ['a', 'other'], given: ['b'] });
  expect(decided(planOf(chain), { from: ['a'], given: ['b'] })).toMatchObject({ again: { a: 'asked', c: 'depends' }, kept: ['other'] });
});

test('what did not complete runs again; what was skipped is kept; finally always runs and compensations never show', () => {
  const plan = planOf({ ...chain, u: transform(3, { compensate: transform(4) }) }, { finally: { last: transform(5) } });
  expect(decided(plan, { ended: { b: 'failed', c: 'blocked', other: 'skipped', u: 'compensated' } })).toEqual({
    again: { b: 'unfinished', c: 'unfinished', u: 'unfinished', last: 'finally' },
    kept: ['a', 'other'],
    given: [],
  });
});

test('expressions that name a changed field of the input run again, wherever they stand; a whole input names all', () => {
  const plan = planOf({
    whole: transform('${input}'),
    dynamic: transform('${input[tasks.plain.output]}'),
    plain: transform('x'),
    byIf: transform(1, { if: '${input.x > 0}' }),
    byMap: transform('${i}', { map: { items: '${input.x == 1 ? [1] : [2]}', as: 'i' } }),
    byItem: transform(1, { map: { items: [1], as: 'i', if: '${i == input.x}' } }),
    byCase: { type: 'switch', with: { cases: [{ if: '${input.x == 1}', then: ['chosen'] }] } },
    chosen: transform(1),
    byLimit: { type: 'http', with: { url: 'http://localhost/' }, limits: [{ key: '${string(input.x)}', concurrency: 1 }] },
    y: transform('${input.y}'),
  });
  const { again, kept } = decided(plan, { before: { x: 1, y: 1 }, input: { x: 2, y: 1 } });
  expect(kept).toEqual(['plain', 'y']);
  expect(Object.keys(again).sort()).toEqual(['byCase', 'byIf', 'byItem', 'byLimit', 'byMap', 'chosen', 'dynamic', 'whole']);
  expect(decided(plan, { before: { x: 1, y: 1 }, input: { y: 1, x: 1 } }).again).toEqual({});
});

test('what differs between inputs: fields of objects, everything else as a whole', () => {
  expect(changedFields({ a: 1, b: { c: 1, d: 2 } }, { b: { d: 2, c: 1 }, a: 1 })).toEqual(new Set());
  expect(changedFields({ a: 1, b: 1 }, { a: 1, c: 1 })).toEqual(new Set(['b', 'c']));
  expect(changedFields([1], [2])).toBe('all');
  expect(changedFields({ a: null }, {})).toEqual(new Set(['a']));
});

test('in another definition, tasks run again that are new or differ in words, edges or join; numbers and titles do not count', () => {
  const source = planOf({ ...chain, j: transform(1, { dependsOn: ['a', 'other'] }) }, { title: 'One' });
  const same = planOf({
    a0: transform(0),
    ...chain,
    j: transform(1, { dependsOn: ['a', 'other'] }),
    other: transform(2, { title: 'Two' }),
  });
  expect(decided(source, { plan: same })).toEqual({ again: { a0: 'new' }, kept: ['a', 'b', 'c', 'j', 'other'], given: [] });
  const words = planOf({ ...chain, b: transform('${tasks.a.output + 1}'), j: transform(1, { dependsOn: ['a', 'other'] }) });
  expect(decided(source, { plan: words }).again).toEqual({ b: 'changed', c: 'depends' });
  const edges = planOf({ ...chain, j: transform(1, { dependsOn: ['a', { task: 'other', when: ['completed', 'skipped'] }] }) });
  expect(decided(source, { plan: edges }).again).toEqual({ j: 'changed' });
  const join = planOf({ ...chain, j: transform(1, { dependsOn: ['a', 'other'], join: 'any' }) });
  expect(decided(source, { plan: join }).again).toEqual({ j: 'changed' });
});

const hiding = {
  input: { schema: { type: 'object', properties: { pin: { type: 'string', 'x-secret': true }, n: { type: 'number' } } } },
};
const marked = { told: transform('${input.pin}'), n: transform('${input.n}') };

test('what is marked goes into no other definition: neither the input nor outputs that hold it', () => {
  const source = planOf(marked, hiding);
  expect([mayTakeInput(source), mayTakeInput(planOf(chain))]).toEqual([false, true]);
  const shown = planOf({ ...marked, more: transform('${tasks.told.output}') });
  const input = { pin: 'guess', n: 1 };
  expect(decided(source, { plan: shown, before: { pin: 'real', n: 1 }, input })).toEqual({
    again: { told: 'marked', more: 'new' },
    kept: ['n'],
    given: [],
  });
  expect(decided(source, { before: { pin: 'real', n: 1 }, from: ['n'] })).toMatchObject({ kept: ['told'] });
});

test('whether a marked field is what it was is told to nobody: given, it counts as changed', () => {
  const source = planOf(marked, hiding);
  for (const pin of ['real', 'guess'])
    expect(decided(source, { before: { pin: 'real', n: 1 }, input: { pin, n: 1 } })).toEqual({
      again: { told: 'input' },
      kept: ['n'],
      given: [],
    });
});

test('a mapped task that was broken off keeps its finished items, unless what they are made of changes or they were undone', () => {
  const each = { ...http, map: { items: '${tasks.a.output}', as: 'i' } };
  const undone = planOf({ a: transform([1]), each: { ...each, compensate: http } });
  const plan = planOf({ a: transform([1]), each });
  const broken = { ended: { each: 'failed' as const } };
  expect(decided(plan, broken)).toMatchObject({ again: { each: 'unfinished' }, kept: ['a'], keepItems: ['each'] });
  for (const asked of [{ from: ['a'] }, { from: ['each'] }, { given: ['a'] }])
    expect(decided(plan, { ...broken, ...asked })).not.toHaveProperty('keepItems');
  expect(decided(undone, broken)).not.toHaveProperty('keepItems');
  expect(decided(undone, { ended: { ...broken.ended, 'each.compensate': undefined } })).toMatchObject({ keepItems: ['each'] });
});

test('an effect was done when it completed, undone since or not', () => {
  expect((['completed', 'compensated', 'failed', 'skipped', undefined] as const).map(wasDone)).toEqual([true, true, false, false, false]);
});
