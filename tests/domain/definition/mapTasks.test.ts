import { expect, test } from '@jest/globals';
import { checkSystemKinds } from '../../../src/domain/access/systemKinds.ts';
import { canonicalJson } from '../../../src/domain/definition/canonical.ts';
import { readDefinition, readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { compile } from '../../../src/domain/plan/compile.ts';
import { aroundOf } from '../../../src/domain/plan/scope.ts';
import { planMarks } from '../../../src/domain/redaction/planMarks.ts';
import { aPlan } from '../../support/anEngine.ts';

const constant = (value: Json = 1): JsonObject => ({ type: 'transform', with: { value } });
const mapOf = (tasks: JsonObject, more: JsonObject = {}): JsonObject => ({ map: { items: [1], tasks, ...more } });
const around = (tasks: JsonObject, more: JsonObject = {}): JsonObject => ({ dsl: 'tiu/1', name: 'probe', ...more, tasks });
const issuesOf = (tasks: JsonObject, more: JsonObject = {}): string[] =>
  readDefinitionValue(around(tasks, more)).issues.map(({ code, pointer }) => `${code} ${pointer}`);
const nested = (depth: number): JsonObject => (depth === 0 ? constant() : mapOf({ [`t${depth}`]: nested(depth - 1) }));

test.each<[string, JsonObject, JsonObject, string[]]>([
  [
    'a kind beside it',
    { x: { ...mapOf({ y: constant() }), ...constant() } },
    {},
    ['not_applicable /tasks/x/type', 'not_applicable /tasks/x/with'],
  ],
  ['no tasks', { x: mapOf({}) }, {}, ['invalid_value /tasks/x/map/tasks']],
  ['tasks that are none', { x: { map: { items: [1], tasks: 7 } } }, {}, ['invalid_type /tasks/x/map/tasks']],
  ['a kind that is not there', { x: mapOf({ y: { type: 'htpp' } }) }, {}, ['unknown_kind /tasks/x/map/tasks/y/type']],
  ['a task without a kind', { x: mapOf({ y: {} }) }, {}, ['missing_key /tasks/x/map/tasks/y']],
  ['a name that is nowhere', { x: mapOf({ y: constant('${tasks.z.output}') }) }, {}, ['unknown_task /tasks/x/map/tasks/y/with/value']],
  ['an item of another name', { x: mapOf({ y: constant('${file}') }) }, {}, ['unknown_name /tasks/x/map/tasks/y/with/value']],
  [
    'an inner task that is named outside',
    { a: constant('${tasks.y.output}'), x: mapOf({ y: constant() }) },
    {},
    ['unknown_task /tasks/a/with/value'],
  ],
  [
    'a dependency on a task outside',
    { a: constant(), x: mapOf({ y: { ...constant(), dependsOn: ['a'] } }) },
    {},
    ['unknown_task /tasks/x/map/tasks/y/dependsOn/0'],
  ],
  [
    'a cycle inside',
    { x: mapOf({ y: constant('${tasks.z.output}'), z: constant('${tasks.y.output}') }) },
    {},
    ['cycle /tasks/x/map/tasks/y'],
  ],
  [
    'a cycle through the outside',
    { a: constant('${tasks.x.output}'), x: mapOf({ y: constant('${tasks.a.output}') }) },
    {},
    ['cycle /tasks/a'],
  ],
  ['the map itself', { x: mapOf({ y: constant('${tasks.x.output}') }) }, {}, ['cycle /tasks/x/map/tasks/y/with/value']],
  ['an id that is taken outside', { y: constant(), x: mapOf({ y: constant() }) }, {}, ['duplicate_name /tasks/x/map/tasks/y']],
  [
    'a field that the input has not',
    { x: mapOf({ y: constant('${input.b}') }) },
    { input: { schema: { type: 'object', properties: { a: {} } } } },
    ['unknown_field /tasks/x/map/tasks/y/with/value'],
  ],
  [
    'a policy that is not there, told once',
    { x: mapOf({ y: { type: 'http', with: { url: 'http://x/' } } }) },
    { defaults: { retry: 'nope' } },
    ['unknown_policy /defaults/retry'],
  ],
  ['a retry of the map', { x: { ...mapOf({ y: constant() }), retry: { limit: 1 } } }, {}, ['not_applicable /tasks/x/retry']],
  [
    'tasks of a map of `finally`',
    { a: constant() },
    { finally: { f: mapOf({ y: constant('${tasks.b.output}') }) } },
    ['unknown_task /finally/f/map/tasks/y/with/value'] as string[],
  ],
])('refused: %s', (_, tasks, root, expected) => {
  expect(issuesOf(tasks, root).sort()).toEqual(expected.sort());
});

test('maps inside each other: as deep as may be, and one more', () => {
  expect(issuesOf({ t: nested(8) })).toEqual([]);
  expect(issuesOf({ t: nested(9) })).toEqual([
    'too_large /tasks/t/map/tasks/t9/map/tasks/t8/map/tasks/t7/map/tasks/t6/map/tasks/t5/map/tasks/t4/map/tasks/t3/map/tasks/t2/map/tasks',
  ]);
});

const many = (n: number, each: (i: number) => JsonObject): JsonObject =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`t${i}`, each(i)]));

test('as many maps with tasks as may be, and one more; inner ones count, and so do their tasks and expressions', () => {
  expect(issuesOf(many(100, (i) => mapOf({ [`y${i}`]: constant() })))).toEqual([]);
  expect(issuesOf(many(101, (i) => mapOf({ [`y${i}`]: constant() })))).toEqual(['too_large /tasks']);
  expect(issuesOf({ x: mapOf(many(100, (i) => mapOf({ [`y${i}`]: constant() }))) })).toEqual(['too_large /tasks']);
  expect(issuesOf({ x: mapOf(many(9_999, () => constant())) })).toEqual([]);
  expect(issuesOf({ x: mapOf(many(9_999, () => constant())), y: constant() })).toEqual(['too_large /tasks']);
  const lists = (n: number) => many(n, () => constant(Array<string>(1_000).fill('${item}')));
  expect(issuesOf({ x: mapOf(lists(20)) })).toEqual([]);
  expect(issuesOf({ x: mapOf(lists(20)), y: mapOf({ z: constant('${item}') }) })).toEqual(['too_large /tasks']);
});

test('a fault inside has its line and column', () => {
  const text = 'dsl: tiu/1\nname: probe\ntasks:\n  x:\n    map:\n      items: [1]\n      tasks:\n        y: { type: htpp }\n';
  expect(readDefinition(text, 'yaml').issues).toMatchObject([{ pointer: '/tasks/x/map/tasks/y/type', line: 8, column: 14 }]);
});

test('what the tasks of a map name outside makes edges of the map; only that goes into their input', () => {
  const plan = aPlan(
    around({
      a: constant(),
      b: constant(),
      c: constant(),
      x: mapOf(
        { y: constant('${tasks.a.output + size(tasks.b.items)}'), z: { ...constant('${tasks.y.status}'), if: '${tasks.c.error == null}' } },
        { as: 'n' },
      ),
    }),
  );
  const index = plan.graph.names.indexOf('x');
  expect(plan.graph.deps[index]?.map(([task]) => plan.graph.names[task])).toEqual(['a', 'b', 'c']);
  const { each, kind, with: fields } = plan.tasks[index] ?? {};
  expect(kind).toBe('workflow');
  expect(fields).toEqual({
    input: {
      names: { index: '${index}', n: '${n}' },
      tasks: { a: { output: '${tasks.a.output}' }, b: { items: '${tasks.b.items}' }, c: { error: '${tasks.c.error}' } },
    },
  });
  expect(each).toMatchObject({
    name: 'probe-x',
    scope: { names: ['index', 'n'], tasks: ['a', 'b', 'c'] },
    output: { value: '${tasks.z.output}' },
  });
  expect(each?.graph.deps.map((edges) => edges.length)).toEqual([0, 1]);
});

test('several last tasks give an object by id; defaults and policies of the document hold inside', () => {
  const http: JsonObject = { type: 'http', with: { url: 'http://x/' } };
  const plan = aPlan(around({ x: mapOf({ b: http, a: constant() }) }, { defaults: { retry: 'p' }, use: { retries: { p: { limit: 7 } } } }));
  const each = plan.tasks[0]?.each;
  expect(each?.output?.value).toEqual({ a: '${tasks.a.output}', b: '${tasks.b.output}' });
  expect(each?.tasks.find(({ id }) => id === 'b')?.retry?.limit).toBe(7);
});

test('two texts that mean the same give the same plan', () => {
  const plans = [
    around({ a: constant(), x: mapOf({ y: constant('${tasks.a.output}'), z: constant() }) }),
    around({ x: { map: { tasks: { z: constant(), y: constant('${tasks.a.output}') }, items: [1] } }, a: constant() }),
  ].map((value) => {
    const read = readDefinitionValue(value);
    return 'definition' in read ? canonicalJson(compile(read.definition)) : read.issues;
  });
  expect(plans[0]).toBe(plans[1]);
});

test('what a run of such tasks was given, whatever it is, has every name', () => {
  const scope = { names: ['item'], tasks: ['a'] };
  const nothing = { status: 'pending', output: null, error: null };
  expect(aroundOf({}, { x: 1 })).toEqual({ input: { x: 1 }, names: {}, tasks: {} });
  for (const given of [null, 7, [], {}, { names: [], tasks: 1 }])
    expect(aroundOf({ scope }, given)).toEqual({ input: null, names: { item: null }, tasks: { a: nothing } });
  expect(aroundOf({ scope }, { input: 1, names: { item: 2 }, tasks: { a: { output: 3 } } })).toEqual({
    ...{ input: 1, names: { item: 2 } },
    tasks: { a: { ...nothing, output: 3 } },
  });
});

test('tasks of a map are no way around what only the system workspace may', () => {
  const plan = aPlan(around({ x: mapOf({ y: mapOf({ z: { type: 'retention.sweep' } }) }) }));
  expect(() => {
    checkSystemKinds(plan, { workspace: 'any' });
  }).toThrow('belong to the system workspace');
});

test('where something is marked, all that comes from around a map is hidden in its runs, and so is what is made of it', () => {
  const input = { schema: { type: 'object', properties: { key: { 'x-secret': true }, plain: {} } } };
  const hidden = aPlan(around({ x: mapOf({ y: constant('${input.key}'), z: constant('fixed') }) }, { input }));
  const each = hidden.tasks[0]?.each ?? hidden;
  expect(planMarks(each).input.whole).toBe(true);
  expect(planMarks(each).tasks.map(({ output }) => output.whole)).toEqual([true, false]);
  expect(planMarks(hidden).tasks[0]?.output.field('y').whole).toBe(true);
  expect(planMarks(hidden).tasks[0]?.output.field('z').any).toBe(false);
  expect(planMarks(aPlan(around({ x: mapOf({ y: constant('${item}') }) }))).tasks[0]?.output.any).toBe(false);
});
