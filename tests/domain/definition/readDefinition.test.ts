import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from '../../../src/domain/definition/canonical.ts';
import { readDefinition, readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import type { Issue } from '../../../src/domain/problem.ts';
import { compile } from '../../../src/domain/plan/compile.ts';

const yaml = (text: string): Issue[] => readDefinition(text, 'yaml').issues;
const found = (issues: readonly Issue[]): string[] => issues.map(({ code, pointer }) => `${code} ${pointer}`);
const placed = (issues: readonly Issue[]): string[] => issues.map((i) => `${i.line}:${i.column} ${i.code} ${i.pointer}`).sort();

/** A definition around some tasks, as JSON. */
const around = (tasks: JsonObject, more: JsonObject = {}): JsonObject => ({ dsl: 'tiu/1', name: 'probe', ...more, tasks });
const issuesOf = (tasks: JsonObject, more: JsonObject = {}): string[] => found(readDefinitionValue(around(tasks, more)).issues);
const constant = (value: Json = 1): JsonObject => ({ type: 'transform', with: { value } });

const TEN_FAULTS = `dsl: tiu/1
name: Ten-Faults
dealine: PT1H
deadline: PT1H
input:
  schema: { type: object, properties: { n: { type: number } } }
budget: { tokens: 5 }
tasks:
  load:
    type: transfrom
    with: { value: 1 }
  a: { type: transform, with: { value: 1 }, dependsOn: [b] }
  b: { type: transform, with: { value: 1 }, dependsOn: [a] }
  c:
    type: transform
    with: { value: "\${input.n +}" }
  d:
    type: http
    timeout: 5s
    with:
      url: "\${input.n}"
  e:
    type: wait
    deadline: P2D
    with: { for: PT1M }
  f:
    type: transform
    with: { value: "\${tasks.aa.output}" }
  g: { type: assert, timeout: PT5S, with: { that: "true" } }
`;

test('ten different faults get ten issues in one answer, each at its line and column', () => {
  expect(placed(yaml(TEN_FAULTS))).toEqual(
    [
      '2:1 invalid_value /name',
      '3:1 unknown_key /dealine',
      '7:1 not_supported /budget',
      '10:5 unknown_kind /tasks/load/type',
      '12:3 cycle /tasks/a',
      '16:13 expression_syntax /tasks/c/with/value',
      '19:5 invalid_duration /tasks/d/timeout',
      '21:7 type_mismatch /tasks/d/with/url',
      '24:5 deadline_too_long /tasks/e/deadline',
      '28:13 unknown_task /tasks/f/with/value',
      '29:22 not_applicable /tasks/g/timeout',
    ].sort(),
  );
});

test('an unknown key is answered with the nearest known one', () => {
  const issues = readDefinitionValue(around({ a: { ...constant(), dependOn: [] } })).issues;
  expect(issues).toEqual([
    { pointer: '/tasks/a/dependOn', code: 'unknown_key', message: 'unknown key `dependOn`', hint: 'did you mean "dependsOn"?' },
  ]);
});

test('x- keys are allowed on every level', () => {
  const tasks = {
    a: { ...constant(), 'x-owner': 'me' },
    b: { type: 'wait', with: { for: 'PT1S', 'x-why': 1 }, dependsOn: [{ task: 'a', 'x-n': 1 }] },
  };
  expect(issuesOf(tasks, { 'x-anything': { at: 'all' }, input: { schema: true, 'x-doc': '' } })).toEqual([]);
});

test.each<[string, JsonObject, JsonObject]>([
  ['/budget', {}, { budget: {} }],
  ['/tasks/t/strategy', { strategy: 'sequential' }, {}],
  ['/tasks/t/gate', { gate: {} }, {}],
  ['/tasks/t/type', { type: 'ai' }, {}],
  ['/tasks/t/type', { type: 'backup.create' }, {}],
])('what does not run yet is refused at its place: %s %j', (pointer, task, root) => {
  expect(issuesOf({ t: { ...constant(), ...task } }, root)).toEqual([`not_supported ${pointer}`]);
});

const REFUSED: [string, JsonObject, JsonObject, string[]][] = [
  ['a kind that is not there', { a: { type: 'htpp' } }, {}, ['unknown_kind /tasks/a/type']],
  ['no task', {}, {}, ['invalid_value /tasks']],
  ['an id with a dash', { 'a-b': constant() }, {}, ['invalid_name /tasks/a-b']],
  ['an id that every object inherits', { toString: constant() }, {}, ['reserved_name /tasks/toString']],
  ['an id that is a word of the language', { in: constant() }, {}, ['reserved_name /tasks/in']],
  ['a definition called constructor', { a: constant() }, { name: 'constructor' }, ['reserved_name /name']],
  ['a definition called like one of ours', { a: constant() }, { name: 'tiu.mapslice' }, ['invalid_value /name']],
  ['another dsl', { a: constant() }, { dsl: 'tiu/2' }, ['invalid_value /dsl']],
  ['a dependency that is not there', { a: { ...constant(), dependsOn: ['b'] } }, {}, ['unknown_task /tasks/a/dependsOn/0']],
  ['a dependency on itself', { a: { ...constant(), dependsOn: ['a'] } }, {}, ['cycle /tasks/a/dependsOn/0']],
  ['its own output', { a: constant('${tasks.a.output}') }, {}, ['cycle /tasks/a/with/value']],
  ['a cycle through expressions', { a: constant('${tasks.b.output}'), b: constant('${tasks.a.output}') }, {}, ['cycle /tasks/a']],
  [
    'an outcome that is none',
    { a: constant(), b: { ...constant(), dependsOn: [{ task: 'a', when: ['done'] }] } },
    {},
    ['invalid_value /tasks/b/dependsOn/0/when/0'],
  ],
  ['a missing field', { a: { type: 'http' } }, {}, ['missing_key /tasks/a/with']],
  ['an unknown field', { a: { type: 'http', with: { url: 'http://x/', metod: 'GET' } } }, {}, ['unknown_key /tasks/a/with/metod']],
  [
    'a field of the wrong type',
    { a: { type: 'http', with: { url: 'http://x/', headers: 'none' } } },
    {},
    ['invalid_type /tasks/a/with/headers'],
  ],
  [
    'two ways to say when',
    { a: { type: 'wait', with: { for: 'PT1S', until: '2026-01-01T00:00:00Z' } } },
    {},
    ['invalid_value /tasks/a/with'],
  ],
  ['no way to say when', { a: { type: 'wait' } }, {}, ['invalid_value /tasks/a/with']],
  ['years', { a: { type: 'wait', with: { for: 'P1Y' } } }, {}, ['invalid_value /tasks/a/with/for']],
  [
    'a wait past the deadline',
    { a: { type: 'wait', with: { for: 'PT2H' } } },
    { deadline: 'PT1H' },
    ['deadline_too_long /tasks/a/with/for'],
  ],
  ['retry where nothing can be cured', { a: { ...constant(), retry: { limit: 2 } } }, {}, ['not_applicable /tasks/a/retry']],
  [
    'a timeout of what has no attempts',
    { a: { type: 'wait', timeout: 'PT1S', with: { for: 'PT1S' } } },
    {},
    ['not_applicable /tasks/a/timeout'],
  ],
  ['a mapped wait', { a: { type: 'wait', map: { items: [1] }, with: { for: 'PT1S' } } }, {}, ['not_applicable /tasks/a/map']],
  ['a map of nothing', { a: { ...constant(), map: {} } }, {}, ['invalid_value /tasks/a/map']],
  ['a map over text', { a: { ...constant(), map: { items: 'abc' } } }, {}, ['invalid_type /tasks/a/map/items']],
  ['an item name that is taken', { a: { ...constant(), map: { items: [1], as: 'input' } } }, {}, ['reserved_name /tasks/a/map/as']],
  [
    'too many at once',
    { a: { ...constant(), map: { items: [1], maxConcurrency: 501 } } },
    {},
    ['invalid_value /tasks/a/map/maxConcurrency'],
  ],
  [
    'both tolerances',
    { a: { ...constant(), map: { items: [1], tolerate: { count: 1, percent: 1 } } } },
    {},
    ['invalid_value /tasks/a/map/tolerate'],
  ],
  ['an item without a map', { a: constant('${item}') }, {}, ['unknown_name /tasks/a/with/value']],
  ['tasks in a priority', { a: constant() }, { priority: '${tasks.a.output}' }, ['unknown_name /priority']],
  ['a priority that is none', { a: constant() }, { priority: 'hihg' }, ['invalid_value /priority']],
  [
    'a switch on itself',
    { a: { type: 'switch', with: { cases: [{ if: true, then: ['a'] }] } } },
    {},
    ['cycle /tasks/a/with/cases/0/then/0'],
  ],
  [
    'a switch to nowhere',
    { a: { type: 'switch', with: { cases: [{ if: true, then: ['b'] }] } } },
    {},
    ['unknown_task /tasks/a/with/cases/0/then/0'],
  ],
  ['a switch without then', { a: { type: 'switch', with: { cases: [{ if: true }] } } }, {}, ['missing_key /tasks/a/with/cases/0']],
  [
    'a schema that is none',
    { a: { ...constant(), output: { schema: { type: 'objekt' } } } },
    {},
    ['invalid_schema /tasks/a/output/schema/type'],
  ],
  ['a schema that refers to nowhere', { a: constant() }, { input: { schema: { $ref: '#/$defs/x' } } }, ['invalid_schema /input/schema']],
  [
    'a retry of what nothing fails with',
    { a: { type: 'http', retry: { codes: ['http_statsu'] }, with: { url: 'http://x/' } } },
    {},
    ['unknown_failure /tasks/a/retry/codes/0'],
  ],
  ['labels with expressions', { a: constant() }, { labels: { team: '${input.team}' } }, ['invalid_value /labels/team']],
];

test.each(REFUSED.map(([what, tasks, root, expected]) => ({ what, tasks, root, expected })))(
  'refused: $what',
  ({ tasks, root, expected }) => {
    expect(issuesOf(tasks, root)).toEqual(expected);
  },
);

test('a cycle is printed as its path, in the order of work', () => {
  const tasks = { a: { ...constant(), dependsOn: ['c'] }, b: { ...constant(), dependsOn: ['a'] }, c: { ...constant(), dependsOn: ['b'] } };
  expect(readDefinitionValue(around(tasks)).issues[0]?.message).toContain('a → b → c → a');
});

test('an output that can never be there when it is read is refused', () => {
  const tasks = {
    a: { type: 'http', with: { url: 'http://x/' } },
    b: { ...constant('${tasks.a.output}'), dependsOn: [{ task: 'a', when: ['failed'] }] },
  };
  expect(issuesOf(tasks)).toEqual(['output_never_there /tasks/b/with/value']);
});

test('a task that needs both sides of a switch is refused', () => {
  const tasks = {
    s: { type: 'switch', with: { cases: [{ if: 'true', then: ['a'] }], else: ['b'] } },
    a: constant(),
    b: constant('${tasks.a.output}'),
  };
  expect(issuesOf(tasks)).toEqual(['never_runs /tasks/b']);
});

test('whole references are checked against what is declared', () => {
  const input = { schema: { type: 'object', properties: { url: { type: 'string' }, count: { type: 'integer' } } } };
  const get = (url: string): JsonObject => ({ a: { type: 'http', with: { url } } });
  expect(issuesOf(get('${input.url}'), { input })).toEqual([]);
  expect(issuesOf(get('${input.count}'), { input })).toEqual(['type_mismatch /tasks/a/with/url']);
  expect(issuesOf(get('${input.ulr}'), { input })).toEqual(['unknown_field /tasks/a/with/url']);
  expect(issuesOf(get('http://x/${input.count}'), { input })).toEqual([]);
  expect(issuesOf({ ...get('http://x/'), b: constant('${tasks.a.output.stauts}') })).toEqual(['unknown_field /tasks/b/with/value']);
});

const KEYS = [
  'type',
  'with',
  'dependsOn',
  'join',
  'map',
  'items',
  'retry',
  'limit',
  'output',
  'schema',
  'if',
  'timeout',
  'task',
  'when',
  'cases',
  'then',
  '$ref',
  'a',
  'b',
];
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom('transform', 'http', 'switch', 'wait', 'a', '${tasks.a.output}', '${item', 'P1D', 'done', 'all', '#'),
    fc.jsonValue({ maxDepth: 1 }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS, '__proto__', 'constructor'), tie('value'), { maxKeys: 5 }),
  ),
}));

test('no value makes reading throw', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.dictionary(fc.constantFrom(...KEYS), anyValue)),
      anyValue,
      (tasks, rest) => {
        const value = { dsl: 'tiu/1', name: 'probe', tasks, input: rest, output: rest } as Json;
        expect(readDefinitionValue(value)).toHaveProperty('issues');
        expect(readDefinitionValue(rest as Json)).toHaveProperty('issues');
      },
    ),
    { numRuns: 500 },
  );
});

/** The same value with the keys of every object in another order. */
function shuffled(value: Json, turn: number): Json {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, turn));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]): [string, Json] => [key, shuffled(item, turn)]);
  return Object.fromEntries([...entries.slice(turn % entries.length), ...entries.slice(0, turn % entries.length)].reverse());
}

test('the order of keys changes neither the canonical form nor the plan', () => {
  const value = around(
    {
      b: constant('${tasks.a.output}'),
      a: { type: 'http', with: { url: 'http://x/', headers: { one: '1', two: '2' } }, retry: { limit: 1 } },
    },
    { labels: { x: 'y', a: 'b' }, deadline: 'PT1H', input: { schema: { type: 'object', properties: { p: true, o: true } } } },
  );
  const texts = [0, 1, 2, 3].map((turn) => {
    const read = readDefinitionValue(shuffled(value, turn));
    if (!('definition' in read)) throw new Error(JSON.stringify(read.issues));
    return [canonicalJson(read.definition), canonicalJson(compile(read.definition))];
  });
  expect(new Set(texts.map(([definition]) => definition)).size).toBe(1);
  expect(new Set(texts.map(([, plan]) => plan)).size).toBe(1);
});

const joined = (join: Json, dependencies = 3): JsonObject => ({
  ...Object.fromEntries(Array.from({ length: dependencies }, (_, i) => [`d${i}`, constant()])),
  t: { ...constant(), dependsOn: Array.from({ length: dependencies }, (_, i) => `d${i}`), join },
});

test.each<[Json, number | string]>([
  ['all', 0],
  ['any', 1],
  [{ quorum: 1 }, 1],
  [{ quorum: 3 }, 3],
  [{ quorum: 4 }, 'invalid_value /tasks/t/join/quorum'],
  [{ quorum: 0 }, 'invalid_value /tasks/t/join/quorum'],
  [{ percent: 1 }, 1],
  [{ percent: 34 }, 2],
  [{ percent: 66 }, 2],
  [{ percent: 67 }, 3],
  [{ percent: 100 }, 3],
  [{ percent: 101 }, 'invalid_value /tasks/t/join/percent'],
  [{ quorum: 1, percent: 1 }, 'invalid_value /tasks/t/join'],
  [{}, 'invalid_value /tasks/t/join'],
  ['most', 'invalid_value /tasks/t/join'],
])('a join of three dependencies: %j needs %s', (join, needs) => {
  const read = readDefinitionValue(around(joined(join)));
  if (!('definition' in read)) expect(issuesOf(joined(join))).toEqual([needs]);
  else {
    const { graph } = compile(read.definition);
    expect(graph.need[graph.names.indexOf('t')]).toBe(needs);
  }
});

test.each([
  [1, []],
  [10_000, []],
  [0, ['invalid_value /tasks/t/map/batch']],
  [10_001, ['invalid_value /tasks/t/map/batch']],
  [1.5, ['invalid_value /tasks/t/map/batch']],
])('a batch of %s elements', (batch, issues) => {
  expect(issuesOf({ t: { ...constant(), map: { items: [1], batch } } })).toEqual(issues);
});

test.each([['any'], [{ quorum: 1 }], [{ percent: 50 }]])('a join of nothing is refused: %j', (join) => {
  expect(issuesOf(joined(join, 0))).toEqual(['not_applicable /tasks/t/join']);
});

const call = { type: 'http', with: { url: 'http://x/' } };

test('a retry policy by name is the same definition as the policy written out, in a task and in the defaults', () => {
  const policy = { limit: 5, delay: 'PT2S', jitter: 0 };
  const use = { retries: { patient: policy } };
  const read = (task: JsonObject, root: JsonObject): string => canonicalJson(readDefinitionValue(around({ a: task }, root)));
  const plain = read({ ...call, retry: policy }, {});
  expect(plain).toContain('"limit":5');
  expect(read({ ...call, retry: 'patient' }, { use })).toBe(plain);
  expect(read(call, { use, defaults: { retry: 'patient' } })).toBe(plain);
});

test.each<[string, JsonObject, JsonObject, string[]]>([
  ['a policy that is not there', { ...call, retry: 'patent' }, { use: { retries: { patient: {} } } }, ['unknown_policy /tasks/a/retry']],
  ['one that every object inherits', { ...call, retry: 'constructor' }, {}, ['unknown_policy /tasks/a/retry']],
  ['one in the defaults', call, { defaults: { retry: 'patient' } }, ['unknown_policy /defaults/retry']],
  ['a code that is none', call, { use: { retries: { p: { codes: ['nope'] } } } }, ['unknown_failure /use/retries/p/codes/0']],
  [
    'a delay past the longest',
    call,
    { use: { retries: { p: { delay: 'PT2M', maxDelay: 'PT1M' } } } },
    ['invalid_value /use/retries/p/delay'],
  ],
  ['the same in the defaults', call, { defaults: { retry: { delay: 'PT2M', maxDelay: 'PT1M' } } }, ['invalid_value /defaults/retry/delay']],
  ['a name with a dash', call, { use: { retries: { 'a-b': {} } } }, ['invalid_name /use/retries/a-b']],
  ['a task that cannot retry', { ...constant(), retry: 'p' }, { use: { retries: { p: {} } } }, ['not_applicable /tasks/a/retry']],
])('retry policies: %s', (_, task, root, issues) => {
  expect(issuesOf({ a: task }, root)).toEqual(issues);
});

test('two spellings of the same meaning are the same definition', () => {
  const read = (task: JsonObject): string => canonicalJson(readDefinitionValue(around({ a: task })));
  const plain = { type: 'http', with: { url: 'http://x/' } };
  expect(read({ ...plain, deadline: { minutes: 30 } })).toBe(read({ ...plain, deadline: 'PT30M', join: 'all', onError: 'fail' }));
});
