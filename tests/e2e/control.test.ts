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

const retry = { limit: 0 };
const http = (path: string, more: JsonObject = {}): JsonObject => ({
  type: 'http',
  with: { url: `${receiver.url}${path}` },
  retry,
  ...more,
});
const transform = (value: unknown, more: JsonObject = {}): JsonObject => ({ type: 'transform', with: { value } as JsonObject, ...more });
const hour: JsonObject = { type: 'wait', with: { for: 'PT1H' } };
const pathsOf = (id: string) => receiver.calls.filter(({ key }) => key.startsWith(id)).map(({ path }) => path);
const post = (id: string, what: string, body?: JsonObject) => client.ask('POST', `/runs/${id}/${what}`, body);
const begin = async (tasks: JsonObject, definition?: JsonObject) =>
  (await client.start(tasks, { wait: false, ...(definition && { definition }) })).id;
const gapless = async (id: string) => {
  expect((await client.story(id)).gapless).toBe(true);
};

/** A path whose calls are answered once `answer` was called. */
function held(path: string): { path: string; answer: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  receiver.hold(path, promise);
  return {
    path,
    answer: () => {
      resolve(undefined);
    },
  };
}

test('a pause lets what is at work come to its end and begins nothing new; then the run goes on', async () => {
  const slow = held('/pause/slow');
  const id = await begin({ a: http(slow.path), b: http('/pause/next', { dependsOn: ['a'] }) });
  await receiver.called(slow.path);
  expect(await post(id, 'pause', { reason: 'look' })).toMatchObject({ status: 202, body: { status: 'paused', paused: true } });
  expect(await post(id, 'pause')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  slow.answer();
  await client.until(id, ({ counts }) => (counts as JsonObject).completed === 1);
  const { body } = await client.ask('GET', `/runs/${id}/explain`);
  expect(body.waitsFor).toContainEqual(expect.objectContaining({ kind: 'paused' }));
  expect(pathsOf(id)).toEqual(['/pause/slow']);
  expect(await post(id, 'resume')).toMatchObject({ status: 202, body: { paused: false } });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await post(id, 'resume')).toMatchObject({ status: 409, body: { code: 'run_already_closed' } });
  await gapless(id);
});

test('a queued run that is paused begins nothing until it is resumed', async () => {
  const response = await client.ask('POST', '/runs', {
    definition: { dsl: 'tiu/1', name: 'late', tasks: { a: http('/late') } },
    delay: 'PT0.5S',
  });
  const { id } = response.body as { id: string };
  await post(id, 'pause');
  await client.until(id, ({ status }) => status === 'paused');
  expect(pathsOf(id)).toEqual([]);
  await post(id, 'resume');
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
});

test('a paused task holds back itself and its branch; the rest goes on', async () => {
  const first = held('/branch/first');
  const id = await begin({
    a: http(first.path),
    b: http('/branch/b', { dependsOn: ['a'] }),
    c: http('/branch/c', { dependsOn: ['b'] }),
    d: http('/branch/d', { dependsOn: ['a'] }),
  });
  await receiver.called(first.path);
  expect((await post(id, 'pause', { tasks: ['b'], branch: true })).status).toBe(202);
  first.answer();
  await receiver.called('/branch/d');
  await client.until(id, ({ counts }) => (counts as JsonObject).completed === 2);
  expect(pathsOf(id)).toEqual(['/branch/first', '/branch/d']);
  expect((await client.ask('GET', `/runs/${id}/explain`)).body).toMatchObject({ waitsFor: [{ task: 'b' }, { task: 'c' }] });
  await post(id, 'resume', { tasks: ['b', 'c'] });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(pathsOf(id).slice(2)).toEqual(['/branch/b', '/branch/c']);
  expect(await post(id, 'pause', { tasks: ['x'] })).toMatchObject({ status: 404 });
});

test('the items of a mapped effect stop with the run, and go on with it', async () => {
  const slow = held('/items/0');
  const id = await begin({ each: { ...http('/items/${i}'), map: { items: '${range(0, 30)}', as: 'i', maxConcurrency: 1 } } });
  await receiver.called(slow.path);
  await post(id, 'pause');
  slow.answer();
  await client.until(id, ({ lastSeq }) => Number(lastSeq) >= 6);
  const called = pathsOf(id).length;
  expect(called).toBeLessThan(30);
  await post(id, 'resume');
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(new Set(pathsOf(id)).size).toBe(30);
});

test('a retry runs what failed and what depends on it again, and nothing else (Conductor 310)', async () => {
  receiver.fail('/retry/b', 1);
  const id = await begin(
    {
      a: http('/retry/a'),
      b: http('/retry/b', { dependsOn: ['a'] }),
      c: http('/retry/c', { dependsOn: ['b'] }),
      other: http('/retry/other'),
      noted: transform('${tasks.b.status}', { dependsOn: [{ task: 'b', when: ['failed', 'completed'] }] }),
    },
    { output: { value: '${tasks.noted.output}' }, finally: { last: http('/retry/last') } },
  );
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await post(id, 'retry')).toMatchObject({ status: 409 });
  receiver.fail('/retry/e', 1);
  const failing = await begin(
    {
      a: http('/retry/d'),
      b: http('/retry/e', { dependsOn: ['a'] }),
      c: http('/retry/f', { dependsOn: ['b'] }),
      other: http('/retry/g'),
    },
    { finally: { last: http('/retry/last/${run.status}') } },
  );
  expect(await client.end(failing)).toMatchObject({ status: 'failed' });
  expect(await post(failing, 'retry', { reason: 'mended' })).toMatchObject({ status: 202, body: { failure: null } });
  expect(await client.end(failing)).toMatchObject({ status: 'completed', counts: { completed: 5 } });
  expect(pathsOf(failing).sort()).toEqual([
    '/retry/d',
    '/retry/e',
    '/retry/e',
    '/retry/f',
    '/retry/g',
    '/retry/last/completed',
    '/retry/last/failed',
  ]);
  const keys = receiver.calls.filter(({ key }) => key.startsWith(failing)).map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length); // another generation is another effect
  await gapless(failing);
});

test('what was undone runs again in a retry', async () => {
  receiver.fail('/again/b', 1);
  const id = await begin({ a: http('/again/a', { compensate: http('/again/undo') }), b: http('/again/b', { dependsOn: ['a'] }) });
  expect(await client.end(id)).toMatchObject({ status: 'failed' });
  await post(id, 'retry');
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(pathsOf(id)).toEqual(['/again/a', '/again/b', '/again/undo', '/again/a', '/again/b']);
  expect(await client.statuses(id)).toMatchObject({ a: 'completed', b: 'completed' });
});

test('what could not be undone is tried once more when the run fails again after a retry, and the run ends', async () => {
  receiver.fail('/left/undo', 1);
  receiver.fail('/left/b', 2);
  const id = await begin({ a: http('/left/a', { compensate: http('/left/undo') }), b: http('/left/b', { dependsOn: ['a'] }) });
  expect(await client.end(id)).toMatchObject({ status: 'failed' });
  expect(await client.statuses(id)).toMatchObject({ a: 'completed', 'a.compensate': 'failed' });
  expect(await post(id, 'retry')).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'failed' });
  expect(pathsOf(id)).toEqual(['/left/a', '/left/b', '/left/undo', '/left/b', '/left/undo']);
  expect(await client.statuses(id)).toMatchObject({ a: 'compensated', b: 'failed', 'a.compensate': 'completed' });
  await gapless(id);
});

test('a retry of a mapped task calls its failed items alone', async () => {
  receiver.fail('/item/3', 1);
  const id = await begin(
    { each: { ...http('/item/${i}'), map: { items: [1, 2, 3, 4], as: 'i' } } },
    { output: { value: '${size(tasks.each.output)}' } },
  );
  expect(await client.end(id)).toMatchObject({ status: 'failed' });
  await post(id, 'retry', { tasks: ['each'] });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(pathsOf(id).sort()).toEqual(['/item/1', '/item/2', '/item/3', '/item/3', '/item/4']);
  expect((await client.ask('GET', `/runs/${id}/output`)).body.output).toBe(4);
});

test('a retry takes its place in the queue like a new run (DBOS 305)', async () => {
  receiver.fail('/limited/first', 1);
  const limited = { concurrency: { key: 'one-at-a-time', limit: 1 } };
  const failed = await begin({ a: http('/limited/first') }, limited);
  expect(await client.end(failed)).toMatchObject({ status: 'failed' });
  const other = await begin({ w: hour }, limited);
  await client.until(other, ({ status }) => status === 'waiting');
  expect(await post(failed, 'retry')).toMatchObject({ body: { status: 'queued' } });
  expect((await client.ask('GET', `/runs/${failed}/explain`)).body).toMatchObject({ waitsFor: [{ kind: 'concurrency' }] });
  await post(other, 'cancel');
  expect(await client.end(failed)).toMatchObject({ status: 'completed' });
});

test('a task that waits, or is at work, is settled by hand: skipped, or completed with an output', async () => {
  const stuck = held('/stuck');
  const id = await begin(
    {
      w: hour,
      x: http(stuck.path),
      y: transform('${tasks.x.output.n + 1}'),
      z: transform(1, { dependsOn: [{ task: 'w', when: ['skipped'] }] }),
    },
    { output: { value: '${tasks.y.output}' } },
  );
  await receiver.called(stuck.path);
  expect(await post(id, 'tasks/w/skip', { reason: 'no need' })).toMatchObject({ status: 202 });
  expect(await post(id, 'tasks/w/skip')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  expect(await post(id, 'tasks/x/complete', { output: { n: 41 }, reason: 'asked by phone' })).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  stuck.answer();
  expect((await client.ask('GET', `/runs/${id}/output`)).body.output).toBe(42);
  expect(await client.statuses(id)).toEqual({ w: 'skipped', x: 'completed', y: 'completed', z: 'completed' });
  expect((await client.story(id)).data('command.complete')).toMatchObject({ reason: 'asked by phone' });
  expect(await post(id, 'tasks/x/complete', { output: 1 })).toMatchObject({ status: 409, body: { code: 'run_already_closed' } });
});

test('an output given by hand must be what the definition says', async () => {
  const id = await begin({ w: { ...hour }, x: http('/never/asked', { dependsOn: ['w'], output: { schema: { type: 'object' } } }) });
  expect(await post(id, 'tasks/x/complete', { output: 'text' })).toMatchObject({ body: { code: 'invalid_task_output' } });
  expect(await post(id, 'tasks/nowhere/skip')).toMatchObject({ status: 404 });
  expect(await post(id, 'tasks/x/items/0/skip')).toMatchObject({ status: 404 });
  await post(id, 'cancel');
});

test('one item of a mapped task is settled by hand, and the others count with it', async () => {
  const stuck = held('/one/1');
  const id = await begin(
    { each: { ...http('/one/${i}'), map: { items: [0, 1, 2], as: 'i' } } },
    { output: { value: '${tasks.each.output.map(o, has(o.body) ? o.body.path : o.by)}' } },
  );
  await receiver.called(stuck.path);
  await client.until(id, ({ lastSeq }) => Number(lastSeq) >= 8);
  expect(await post(id, 'tasks/each/items/1/complete', { output: { by: 'hand' } })).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  stuck.answer();
  expect((await client.ask('GET', `/runs/${id}/output`)).body.output).toEqual(['/one/0', 'hand', '/one/2']);
});
