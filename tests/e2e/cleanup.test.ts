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
const refused = (dependsOn: string[] = []): JsonObject => ({ type: 'assert', with: { that: 'false' }, dependsOn });
const pathsOf = (id: string) => receiver.calls.filter(({ key }) => key.startsWith(id)).map(({ path }) => path);
const ofRun = (events: string[]) => events.filter((type) => type.startsWith('run.') || type.startsWith('task.compensated'));

async function play(tasks: JsonObject, definition: JsonObject = {}) {
  const run = await client.start(tasks, { definition });
  const story = await client.story(run.id);
  expect(story.gapless).toBe(true);
  return { run, story, paths: pathsOf(run.id), statuses: await client.statuses(run.id) };
}

test('what was completed is undone when the run fails, the last first, and the events say so', async () => {
  const undo = { type: 'http', retry, with: { url: `${receiver.url}/undo\${tasks.a.output.body.path}` } };
  const played = await play({
    a: http('/a', { compensate: undo }),
    b: http('/b', { dependsOn: ['a'], compensate: http('/undo/b') }),
    c: { ...refused(['b']), compensate: http('/undo/c') },
  });
  expect(played.paths).toEqual(['/a', '/b', '/undo/b', '/undo/a']);
  expect(played.statuses).toEqual({
    a: 'compensated',
    b: 'compensated',
    c: 'failed',
    'a.compensate': 'completed',
    'b.compensate': 'completed',
  });
  expect(played.run).toMatchObject({ status: 'failed', failure: { data: { task: 'c' } } });
  expect(ofRun(played.story.events)).toEqual([
    ...['run.accepted', 'run.started', 'run.compensating', 'run.compensated', 'task.compensated b', 'task.compensated a', 'run.failed'],
  ]);
  expect(played.story.data('run.compensated')).toEqual({ status: 'failed', compensated: ['b', 'a'], failed: [] });
});

test('a run that completes undoes nothing, and needs no more activities for it', async () => {
  const { run, paths } = await play({ a: { type: 'transform', with: { value: 1 }, compensate: http('/never') } });
  expect(run.status).toBe('completed');
  expect(paths).toEqual([]);
  await client.ended(run.id);
  expect(await client.activities(`run/${run.id}`)).toEqual({});
});

test('a compensation that fails holds up no other, and the report names what it left', async () => {
  receiver.fail('/undo/left', 1);
  const { run, paths, statuses, story } = await play({
    a: http('/1', { compensate: http('/undo/1') }),
    b: http('/2', { dependsOn: ['a'], compensate: http('/undo/left') }),
    c: refused(['b']),
  });
  expect(paths).toEqual(['/1', '/2', '/undo/left', '/undo/1']);
  expect(statuses).toMatchObject({ a: 'compensated', b: 'completed', 'b.compensate': 'failed' });
  expect(story.data('run.compensated')).toEqual({ status: 'failed', compensated: ['a'], failed: ['b'] });
  expect(run.failure).toMatchObject({ code: 'assertion_failed' });
});

test('a cancelled run undoes what it did', async () => {
  const run = await client.start(
    { a: http('/done', { compensate: http('/undone') }), w: { type: 'wait', with: { for: 'PT1H' }, dependsOn: ['a'] } },
    { wait: false },
  );
  await client.until(run.id, ({ status }) => status === 'waiting');
  await client.ask('POST', `/runs/${run.id}/cancel`, { reason: 'enough' });
  expect(await client.end(run.id)).toMatchObject({ status: 'cancelled', reason: 'enough' });
  expect(pathsOf(run.id)).toEqual(['/done', '/undone']);
});

test.each([1, 40])('the completed ones of %s times two items of a mapped effect are undone, each seeing itself', async (n) => {
  const names = Array.from({ length: n }, (_, i) => [`x${i}`, `bad${i}`]).flat();
  for (const name of names) if (name.startsWith('bad')) receiver.fail(`/item/${n}/${name}`, 1);
  const each = {
    ...{ ...http(`/item/${n}/\${name}`), map: { items: names, as: 'name' } },
    compensate: { type: 'http', retry, with: { url: `${receiver.url}/undo/\${index}\${tasks.each.output.body.path}/\${name}` } },
  };
  const { paths, statuses } = await play({ each });
  expect(statuses).toEqual({ each: 'failed', 'each.compensate': 'completed' });
  const expected = names.flatMap((name, i) => (name.startsWith('x') ? [`/undo/${i}/item/${n}/${name}/${name}`] : []));
  expect(paths.filter((path) => path.startsWith('/undo')).sort()).toEqual(expected.sort());
});

test.each([
  ['completed', { a: { type: 'transform', with: { value: 1 } } }],
  ['failed', { a: { type: 'assert', with: { that: 'false' } } }],
])('finally runs when a run has %s: it sees how it ends and what its tasks gave, and never changes it', async (status, tasks) => {
  const last = {
    tell: http(`/told/\${run.status}/\${tasks.a.status}`),
    broken: refused(['tell']),
    after: http(`/after/\${tasks.broken.status}`, { dependsOn: [{ task: 'broken', when: ['failed'] }] }),
  };
  const { run, paths, statuses } = await play(tasks, { finally: last, output: { value: '${tasks.a.output}' } });
  expect(paths).toEqual([`/told/${status}/${status}`, '/after/failed']);
  expect(statuses).toEqual({ a: status, tell: 'completed', broken: 'failed', after: 'completed' });
  expect(run).toMatchObject({ status, ...(status === 'completed' && { output: 1 }) });
});

test('finally comes after what is undone', async () => {
  const { paths, run } = await play(
    { a: http('/first', { compensate: http('/second') }), b: refused(['a']) },
    { finally: { c: http('/third') } },
  );
  expect(paths).toEqual(['/first', '/second', '/third']);
  expect(run.status).toBe('failed');
});

test('finally has a time of its own: what is left then is cancelled, and the run ends as it was to', async () => {
  const last = { slow: { type: 'wait', with: { for: 'PT1H' } }, quick: http('/quick') };
  const { statuses, run } = await play({ a: { type: 'transform', with: { value: 1 } } }, { finally: last, finallyTimeout: 'PT3S' });
  expect(statuses).toEqual({ a: 'completed', slow: 'cancelled', quick: 'completed' });
  expect(run.status).toBe('completed');
});

test('once a run cleans up, how it ends stands: a cancel is refused, a forced one ends what is left', async () => {
  const run = await client.start(
    { a: { type: 'transform', with: { value: 1 } } },
    { wait: false, definition: { finally: { w: { type: 'wait', with: { for: 'PT1H' } } } } },
  );
  await client.until(run.id, ({ phase, status }) => phase === 'finishing' && status === 'waiting');
  expect(await client.ask('POST', `/runs/${run.id}/cancel`)).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  expect(await client.ask('POST', `/runs/${run.id}/cancel`, { force: true })).toMatchObject({ status: 202 });
  expect(await client.end(run.id)).toMatchObject({ status: 'completed' });
  expect(await client.statuses(run.id)).toEqual({ a: 'completed', w: 'cancelled' });
});

test('a forced cancel leaves out all that would clean up', async () => {
  const tasks = { a: http('/kept', { compensate: http('/never') }), w: { type: 'wait', with: { for: 'PT1H' }, dependsOn: ['a'] } };
  const run = await client.start(tasks, { wait: false, definition: { finally: { last: http('/never') } } });
  await client.until(run.id, ({ status }) => status === 'waiting');
  await client.ask('POST', `/runs/${run.id}/cancel`, { force: true });
  expect(await client.end(run.id)).toMatchObject({ status: 'cancelled' });
  expect(await client.statuses(run.id)).toEqual({ a: 'completed', w: 'cancelled', last: 'cancelled' });
  expect(pathsOf(run.id)).toEqual(['/kept']);
});
