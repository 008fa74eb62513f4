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

const poll = (path: string, loop: JsonObject, more: JsonObject = {}): JsonObject => ({
  ...{ type: 'http', with: { url: `${receiver.url}${path}` }, retry: { limit: 0 } },
  loop: { max: 10, ...loop },
  ...more,
});
const callsOf = (id: string) => receiver.calls.filter(({ key }) => key.startsWith(id));
const output = { value: '${tasks.p.output.body.n}' };

test('a task is repeated until its own output says enough; each round is an effect of its own', async () => {
  const run = await client.start(
    { p: poll('/three', { until: 'tasks.p.output.body.n >= 3', every: 'PT0.05S' }) },
    { definition: { output } },
  );
  expect(run).toMatchObject({ status: 'completed', output: 3 });
  const keys = callsOf(run.id).map(({ key }) => key.slice(run.id.length));
  expect(keys).toEqual(['/p/-/0', '/p/-/0/1', '/p/-/0/2']);
  const { events, gapless } = await client.story(run.id);
  expect(gapless).toBe(true);
  expect(events.filter((type) => type.startsWith('task.'))).toEqual(
    ['started', 'retrying', 'started', 'retrying', 'started', 'completed'].map((what) => `task.${what} p`),
  );
});

test('a loop that never ends does end: it fails after its last round, or goes on if the definition says so', async () => {
  const failing = await client.start({ p: poll('/never/a', { until: 'false', max: 3 }) });
  expect(failing).toMatchObject({ status: 'failed', failure: { code: 'loop_exhausted' } });
  expect(callsOf(failing.id)).toHaveLength(3);
  const going = await client.start(
    { p: poll('/never/b', { until: 'false', max: 2, onExhausted: 'continue' }) },
    { definition: { output } },
  );
  expect(going).toMatchObject({ status: 'completed', output: 2 });
});

test('a failure in the middle is tried again by the policy of the task, and the rounds before it count', async () => {
  receiver.fail('/shaky', 1);
  const run = await client.start({ p: poll('/shaky', { until: 'tasks.p.output.body.n >= 4' }, { retry: { limit: 1, delay: 'PT0.02S' } }) });
  expect(run.status).toBe('completed');
  expect(callsOf(run.id).map(({ key }) => key.slice(run.id.length))).toEqual(['/p/-/0', '/p/-/0', '/p/-/0/1', '/p/-/0/2']);
});

test('more than ten steps, and as many rounds, come to their end, each done once (Inngest 3693)', async () => {
  const step = (n: number): JsonObject => ({
    type: 'http',
    with: { url: `${receiver.url}/step/${n}` },
    ...(n > 0 && { dependsOn: [`s${n - 1}`] }),
  });
  const steps = Object.fromEntries(Array.from({ length: 25 }, (_, n) => [`s${n}`, step(n)]));
  const run = await client.start({ ...steps, p: poll('/many', { until: 'tasks.p.output.body.n >= 12', max: 12 }) });
  expect(run.status).toBe('completed');
  const paths = callsOf(run.id).map(({ path }) => path);
  expect(paths.filter((path) => path !== '/many')).toEqual(Object.keys(steps).map((_, n) => `/step/${n}`));
  expect(paths.filter((path) => path === '/many')).toHaveLength(12);
});

test('the items of a mapped task loop each by itself', async () => {
  const run = await client.start({
    p: { ...poll('/each/${i}', { until: 'tasks.p.output.body.n >= i' }), map: { items: [1, 2, 3], as: 'i' } },
  });
  expect(run.status).toBe('completed');
  expect([1, 2, 3].map((i) => callsOf(run.id).filter(({ path }) => path === `/each/${i}`).length)).toEqual([1, 2, 3]);
});

test('a worker that is killed in a loop loses no round', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const { id } = await client.start(
    { p: poll('/killed', { until: 'tasks.p.output.body.n >= 4', every: 'PT0.05S' }) },
    { wait: false, definition: { output } },
  );
  await client.until(id, ({ lastSeq }) => Number(lastSeq) >= 5);
  receiver.hold('/killed', promise);
  const [worker] = stack.workers;
  await worker?.kill();
  resolve(undefined);
  await worker?.restart();
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  const rounds = new Set(callsOf(id).map(({ key }) => key));
  expect(rounds.size).toBeLessThanOrEqual(4);
});
