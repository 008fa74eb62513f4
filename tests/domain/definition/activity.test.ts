import { expect, test } from '@jest/globals';
import type { JsonObject } from '../../../src/domain/json.ts';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';

const activity = (fields: JsonObject = {}, task: JsonObject = {}): JsonObject => ({
  type: 'activity',
  with: { taskQueue: 'billing', activity: 'charge', ...fields },
  ...task,
});
const read = (task: JsonObject, root: JsonObject = {}) => readDefinitionValue({ dsl: 'tiu/1', name: 'test', ...root, tasks: { a: task } });
const issuesOf = (task: JsonObject) => read(task).issues.map(({ code, pointer }) => `${code} ${pointer}`);

test.each<[string, JsonObject]>([
  ['arguments of any form, with expressions', activity({ args: ['${input.order}', { n: 1 }, null] })],
  ['one argument', activity({ args: '${input.order}' })],
  ['a queue that the input names', activity({ taskQueue: 'billing-${input.region}' })],
  ['limits', activity({}, { limits: [{ key: '${input.k}', concurrency: 1, rate: { limit: 1, per: 'PT1S' } }] })],
  ['a map of tasks with it', { map: { items: [1], tasks: { b: activity() } } }],
  ['timeout, deadline, heartbeat and retry', activity({ heartbeat: 'PT10S' }, { timeout: 'PT1M', deadline: 'PT1H', retry: { limit: 3 } })],
])('%s', (_, task) => {
  expect(issuesOf(task)).toEqual([]);
});

test.each<[string, JsonObject, string]>([
  ['a secret in its arguments', activity({ args: [{ key: '${secrets.token}' }] }), 'secret_not_allowed /tasks/a/with/args/0/key'],
  ['a map', activity({}, { map: { items: [1] } }), 'not_supported /tasks/a/map'],
  ['a loop', activity({}, { loop: { until: 'true', max: 2 } }), 'not_supported /tasks/a/loop'],
  ['what a deadline makes of it', activity({}, { deadline: 'PT1S', onDeadline: 'continue' }), 'not_applicable /tasks/a/onDeadline'],
  ['no time at all', activity({}, { timeout: 'PT0S' }), 'invalid_value /tasks/a/timeout'],
  ['retries of timeouts alone', activity({}, { retry: { codes: ['task_timed_out'] } }), 'not_applicable /tasks/a/retry'],
  ['a queue of the server itself', activity({ taskQueue: '/_sys/x' }), 'invalid_value /tasks/a/with/taskQueue'],
  ['a task queue left out', { type: 'activity', with: { activity: 'charge' } }, 'missing_key /tasks/a/with'],
])('%s is refused at its place', (_, task, issue) => {
  expect(issuesOf(task)).toEqual([issue]);
});

test('defaults of timeout and retry hold for it, else it has five minutes and one attempt', () => {
  const of = (root: JsonObject) => {
    const result = read(activity(), root);
    return 'definition' in result ? result.definition.tasks.a : undefined;
  };
  expect(of({ defaults: { timeout: 'PT3S', retry: { limit: 2 } } })).toMatchObject({ timeoutMs: 3_000, retry: { limit: 2 } });
  expect(of({})).toMatchObject({ timeoutMs: 300_000 });
  expect(of({})).not.toHaveProperty('retry');
});
