import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';
import { aReceiver, type Receiver } from './aReceiver.ts';

let stack: TestStack;
let connection: Connection;
let receiver: Receiver;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  receiver = await aReceiver();
  stack = await aStack({ workers: 1, env: { TIU_HTTP_ALLOW: '127.0.0.0/8' } });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
  receiver.close();
});

const call = (path: string, more: JsonObject = {}): JsonObject => ({ type: 'http', with: { url: `${receiver.url}${path}` }, ...more });
const many = (n: number, task: (i: number) => [string, JsonObject]): JsonObject =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => task(i)));
const callsOf = (id: string) => receiver.calls.filter(({ key }) => key.startsWith(id));
const retry = { limit: 5, delay: 'PT0.1S', backoff: 1, jitter: 0 };

test('a fan-out of 60 effects calls each once and costs Temporal a few activities', async () => {
  const wide = many(60, (i) => [`e${i}`, call(`/wide/${i}`)]);
  const run = await client.start({ ...wide, end: { type: 'transform', with: { value: 1 }, dependsOn: Object.keys(wide) } });
  expect(run.status).toBe('completed');
  expect(
    callsOf(run.id)
      .map(({ path }) => path)
      .sort(),
  ).toEqual(
    Object.keys(wide)
      .map((id) => `/wide/${id.slice(1)}`)
      .sort(),
  );
  await client.ended(run.id);
  const activities = await client.activities(`run/${run.id}`);
  expect(activities.runTasks).toBeLessThanOrEqual(8);
  expect(activities.runTask).toBeUndefined();
});

test('a slow effect holds up neither its siblings in the batch nor what they release', async () => {
  const tasks = many(16, (i) => [`e${i}`, call(`/slow/${i}`)]);
  receiver.hold('/slow/0', receiver.called('/slow/after'));
  const run = await client.start({ ...tasks, after: call('/slow/after', { dependsOn: Object.keys(tasks).slice(1) }) });
  expect(run.status).toBe('completed');
  expect(callsOf(run.id)).toHaveLength(17);
});

test('an effect of a batch that fails is tried again by itself', async () => {
  receiver.fail('/shy/3', 2);
  const run = await client.start(many(10, (i) => [`e${i}`, call(`/shy/${i}`, { retry })]));
  expect(run.status).toBe('completed');
  const paths = callsOf(run.id).map(({ path }) => path);
  expect(paths.filter((path) => path === '/shy/3')).toHaveLength(3);
  expect(paths).toHaveLength(12);
  const { events, gapless } = await client.story(run.id);
  expect(gapless).toBe(true);
  expect(events.filter((event) => event === 'task.retrying e3')).toHaveLength(2);
});

test('effects in a row are called in order, once each, and share activities', async () => {
  const row = many(20, (i) => [`e${i}`, call(`/row/${i}`, i > 0 ? { dependsOn: [`e${i - 1}`] } : {})]);
  const run = await client.start(row);
  expect(run.status).toBe('completed');
  expect(callsOf(run.id).map(({ path }) => path)).toEqual(Array.from({ length: 20 }, (_, i) => `/row/${i}`));
  await client.ended(run.id);
  expect((await client.activities(`run/${run.id}`)).runTask).toBeLessThan(20);
});

test('an effect in a row that fails is tried again, and the row goes on', async () => {
  receiver.fail('/broken/2', 1);
  const row = many(5, (i) => [`e${i}`, call(`/broken/${i}`, { retry, ...(i > 0 && { dependsOn: [`e${i - 1}`] }) })]);
  const run = await client.start(row);
  expect(run.status).toBe('completed');
  expect(
    callsOf(run.id)
      .map(({ path }) => path.slice(-1))
      .join(''),
  ).toBe('012234');
});

test('what an effect of a row releases beside its successor does not wait for the row', async () => {
  receiver.hold('/fork/long', receiver.called('/fork/other'));
  const run = await client.start({
    first: call('/fork/first'),
    long: call('/fork/long', { dependsOn: ['first'] }),
    other: call('/fork/other', { dependsOn: ['first'] }),
  });
  expect(run.status).toBe('completed');
});

test('items of a mapped effect share activities; one that fails is tried again by itself', async () => {
  receiver.fail('/item/7', 2);
  const items = Array.from({ length: 60 }, (_, i) => i);
  const run = await client.start(
    {
      each: {
        type: 'http',
        map: { items: '${input.items}', as: 'n', maxConcurrency: 10 },
        with: { url: `${receiver.url}/item/\${n}` },
        retry,
      },
    },
    { input: { items }, definition: { output: { value: '${size(tasks.each.output)}' } } },
  );
  expect(run).toMatchObject({ status: 'completed', output: 60 });
  expect(callsOf(run.id)).toHaveLength(62);
  await client.ended(run.id);
  const slice = await client.activities(`slice/${run.id}/0/0/0`);
  expect(slice.runEffectItems).toBeLessThan(10);
});
