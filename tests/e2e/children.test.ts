import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';

let stack: TestStack;
let connection: Connection;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  stack = await aStack({ workers: 1 });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
});

const begin = async (tasks: JsonObject, definition?: JsonObject) =>
  (await client.start(tasks, { wait: false, ...(definition && { definition }) })).id;
const child = (tasks: JsonObject, more: JsonObject = {}, input: JsonObject = {}): JsonObject => ({
  type: 'workflow',
  with: { definition: { dsl: 'tiu/1', name: 'a-child', tasks, ...more }, ...input },
});
const hour: JsonObject = { type: 'wait', with: { for: 'PT1H' } };
const transform = (value: unknown): JsonObject => ({ type: 'transform', with: { value } as JsonObject });
const output = { value: '${tasks.c.output}' };
const resultOf = async (id: string) => (await client.ask('GET', `/runs/${id}/output`)).body.output;
/** Runs that a run has started, once there are so many. */
async function childrenOf(id: string, n = 1): Promise<{ id: string; status: string }[]> {
  for (;;) {
    const { items } = (await client.ask('GET', `/runs?parent=${id}`)).body as { items: { id: string; status: string }[] };
    if (items.length >= n) return items;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a task starts a run, gives it its input and gets its output', async () => {
  const inner = child(
    { double: transform('${input.n * 2}') },
    { output: { value: { twice: '${tasks.double.output}' } } },
    { input: { n: '${tasks.n.output}' } },
  );
  const id = await begin({ n: transform(21), c: inner }, { output });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toEqual({ twice: 42 });
  const [run] = await childrenOf(id);
  expect(run).toMatchObject({ status: 'completed', parent: id });
  await client.ended(run?.id ?? ''); // it is an execution of its own in Temporal
});

test('a stored workflow is started by its name; large inputs and outputs go by reference', async () => {
  const stored = { dsl: 'tiu/1', name: 'echo', tasks: { e: transform('${input.text}') }, output: { value: '${tasks.e.output}' } };
  expect((await client.ask('POST', '/workflows', { definition: stored })).status).toBe(201);
  const id = await begin(
    {
      t: transform('${join(range(0, 30000).map(i, "abc"), "")}'),
      c: { type: 'workflow', with: { name: 'echo', input: { text: '${tasks.t.output}' } } },
    },
    { output: { value: '${size(tasks.c.output)}' } },
  );
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toBe(90_000);
});

test.each<[string, JsonObject, JsonObject]>([
  [
    'a run that fails fails its task',
    child({ a: { type: 'assert', with: { that: 'false' } } }),
    { code: 'child_failed', data: { failure: { code: 'assertion_failed' } } },
  ],
  ['a name that is not there', { type: 'workflow', with: { name: 'nowhere' } }, { code: 'not_found' }],
  [
    'an input that does not match',
    child({ a: transform(1) }, { input: { schema: { type: 'object', required: ['x'] } } }),
    { code: 'invalid_run_input' },
  ],
])('%s', async (_, task, failure) => {
  const id = await begin({ c: task });
  expect(await client.end(id)).toMatchObject({ status: 'failed' });
  expect((await client.ask('GET', `/runs/${id}/tasks/c`)).body).toMatchObject({ status: 'failed', failure });
});

test('a definition that is written inside is checked with its place when it is submitted', async () => {
  const { status, body } = await client.ask('POST', '/runs', {
    definition: { dsl: 'tiu/1', name: 'outer', tasks: { c: child({ a: { type: 'htpp' } }) } },
  });
  expect(status).toBe(422);
  expect(body.issues).toMatchObject([{ pointer: '/tasks/c/with/definition/tasks/a/type', code: 'unknown_kind' }]);
});

test('a cancel goes down, and the parent ends when its child has cleaned up', async () => {
  const id = await begin({ c: child({ w: hour }, { finally: { f: { type: 'wait', with: { for: 'PT0.3S' } } } }) });
  const [run] = await childrenOf(id);
  await client.until(run?.id ?? '', ({ status }) => status === 'waiting');
  await client.ask('POST', `/runs/${id}/cancel`, { reason: 'enough' });
  expect(await client.end(id)).toMatchObject({ status: 'cancelled' });
  expect((await client.ask('GET', `/runs/${run?.id ?? ''}`)).body).toMatchObject({ status: 'cancelled' });
  expect(await client.statuses(run?.id ?? '')).toEqual({ w: 'cancelled', f: 'completed' });
});

test('a pause goes down, and so does what ends it', async () => {
  const key = randomUUID();
  const id = await begin({ c: child({ w: { type: 'event', with: { name: 'go', key } }, a: { ...transform(1), dependsOn: ['w'] } }) });
  const [run] = await childrenOf(id);
  await client.until(run?.id ?? '', ({ status }) => status === 'waiting');
  await client.ask('POST', `/runs/${id}/pause`);
  await client.until(run?.id ?? '', ({ status }) => status === 'paused');
  await client.ask('POST', '/events', { name: 'go', key });
  await client.until(run?.id ?? '', ({ status, counts }) => status === 'paused' && (counts as JsonObject).completed === 1);
  await client.ask('POST', `/runs/${id}/resume`);
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
});

test("a task's deadline ends the run that it has started", async () => {
  const id = await begin({ c: { ...child({ w: hour }), deadline: 'PT5S' } });
  const [run] = await childrenOf(id);
  expect(await client.end(id)).toMatchObject({ status: 'failed' });
  expect(['timed_out', 'cancelled']).toContain((await client.end(run?.id ?? '')).status);
});

test('a child never waits for a concurrency key that its parent holds', async () => {
  const limited = { concurrency: { key: 'mine', limit: 1 } };
  const id = await begin({ c: child({ a: transform(1) }, limited) }, limited);
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
});

test('a worker is killed while the child runs: both end, the child once', async () => {
  const id = await begin(
    {
      c: child(
        { w: { type: 'wait', with: { for: 'PT0.5S' } }, a: { ...transform(7), dependsOn: ['w'] } },
        { output: { value: '${tasks.a.output}' } },
      ),
    },
    { output },
  );
  await childrenOf(id);
  const [worker] = stack.workers;
  await worker?.kill();
  await worker?.restart();
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect([await resultOf(id), (await childrenOf(id)).length]).toEqual([7, 1]);
});

test('approvals of children are answered like any other, also two levels down', async () => {
  const ask: JsonObject = { type: 'approval', with: { message: 'Well?' } };
  const id = await begin({ a: ask, b: ask, c: child({ d: child({ deep: ask }) }) });
  for (;;) {
    const { items } = (await client.ask('GET', '/approvals')).body as { items: { runId: string; task: string }[] };
    if (items.length < 3) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      continue;
    }
    for (const { runId, task } of items.reverse())
      expect(await client.ask('POST', `/runs/${runId}/tasks/${task}/approve`)).toMatchObject({ status: 202 });
    break;
  }
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
});
