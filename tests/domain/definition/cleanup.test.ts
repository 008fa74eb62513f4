import { expect, test } from '@jest/globals';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { compile } from '../../../src/domain/plan/compile.ts';
import { countedTasks, mainTasks, phaseOf, undoneBy } from '../../../src/domain/plan/phases.ts';

const constant = (value: Json = 1): JsonObject => ({ type: 'transform', with: { value } });
const read = (tasks: JsonObject, more: JsonObject = {}) => readDefinitionValue({ dsl: 'tiu/1', name: 'probe', ...more, tasks });

test.each<[string, JsonObject, JsonObject, string[]]>([
  ['a compensation without a kind', { a: { ...constant(), compensate: {} } }, {}, ['missing_key /tasks/a/compensate']],
  [
    'a compensation of a kind that is not there',
    { a: { ...constant(), compensate: { type: 'htpp' } } },
    {},
    ['unknown_kind /tasks/a/compensate/type'],
  ],
  [
    'a compensation that chooses',
    { a: { ...constant(), compensate: { type: 'switch', with: { cases: [{ if: 'true', then: ['a'] }] } } } },
    {},
    ['not_applicable /tasks/a/compensate/type'],
  ],
  [
    'a compensation with dependencies',
    { a: { ...constant(), compensate: { ...constant(), dependsOn: [] } } },
    {},
    ['unknown_key /tasks/a/compensate/dependsOn'],
  ],
  [
    'a compensation that names no task',
    { a: { ...constant(), compensate: constant('${tasks.b.output}') } },
    {},
    ['unknown_task /tasks/a/compensate/with/value'],
  ],
  [
    'a policy that is not there, of a compensation',
    { a: { ...constant(), compensate: { type: 'http', with: { url: 'http://x/' }, retry: 'p' } } },
    {},
    ['unknown_policy /tasks/a/compensate/retry'],
  ],
  [
    'a loop without an end',
    { a: { type: 'http', with: { url: 'http://x/' }, loop: { until: 'false' } } },
    {},
    ['missing_key /tasks/a/loop'],
  ],
  [
    'a loop of what gives the same each time',
    { a: { ...constant(), loop: { until: 'true', max: 2 } } },
    {},
    ['not_applicable /tasks/a/loop'],
  ],
  [
    'more rounds than allowed',
    { a: { type: 'http', with: { url: 'http://x/' }, loop: { until: 'true', max: 10_001 } } },
    {},
    ['invalid_value /tasks/a/loop/max'],
  ],
  [
    'a loop that names no task',
    { a: { type: 'http', with: { url: 'http://x/' }, loop: { until: 'tasks.b.output', max: 2 } } },
    {},
    ['unknown_task /tasks/a/loop/until'],
  ],
  ['nothing to run last', { a: constant() }, { finally: {} }, ['invalid_value /finally']],
  ['a last task called like another', { a: constant() }, { finally: { a: constant() } }, ['duplicate_name /finally/a']],
  [
    'a last task that waits for one of the others',
    { a: constant() },
    { finally: { b: { ...constant(), dependsOn: ['a'] } } },
    ['unknown_task /finally/b/dependsOn/0'],
  ],
  [
    'last tasks that wait for each other',
    { a: constant() },
    { finally: { b: constant('${tasks.c.output}'), c: constant('${tasks.b.output}') } },
    ['cycle /finally/b'],
  ],
  [
    'a last task that is undone',
    { a: constant() },
    { finally: { b: { ...constant(), compensate: constant() } } },
    ['not_applicable /finally/b/compensate'],
  ],
  [
    'a task that names a last one',
    { a: constant('${tasks.b.output}') },
    { finally: { b: constant() } },
    ['unknown_task /tasks/a/with/value'],
  ],
])('refused: %s', (_, tasks, more, issues) => {
  expect(read(tasks, more).issues.map(({ code, pointer }) => `${code} ${pointer}`)).toEqual(issues);
});

test('a plan has its tasks first, then those of finally, then what undoes the first ones, in their order', () => {
  const b = { ...constant('${tasks.a.output}'), compensate: constant('${tasks.b.output}') };
  const result = read(
    { b, a: { ...constant(), compensate: constant() } },
    { finally: { z: constant('${tasks.y.output}'), y: constant('${tasks.b.output}') } },
  );
  if (!('definition' in result)) throw new Error(JSON.stringify(result.issues));
  const { graph, tasks, finallyTimeoutMs } = compile(result.definition);
  expect(graph.names).toEqual(['a', 'b', 'y', 'z', 'a.compensate', 'b.compensate']);
  expect([mainTasks(graph), countedTasks(graph), finallyTimeoutMs]).toEqual([2, 4, 300_000]);
  expect(graph.names.map((_, task) => phaseOf(graph, task))).toEqual([0, 0, 2, 2, 1, 1]);
  expect([undoneBy(graph, 4), undoneBy(graph, 5), undoneBy(graph, 3)]).toEqual([0, 1, undefined]);
  expect(graph.deps).toEqual([[], [[0, 2]], [], [[2, 2]], [], []]);
  expect(tasks.map(({ reads }) => reads)).toEqual([[], [0], [1], [2], [0], [1]]);
});
