import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import type { JsonObject } from '../../src/domain/json.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
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

const http = (path: string, more: JsonObject = {}): JsonObject => ({
  ...{ type: 'http', with: { url: `${receiver.url}${path}` }, retry: { limit: 0 } },
  ...more,
});
const transform = (value: unknown, more: JsonObject = {}): JsonObject => ({ type: 'transform', with: { value } as JsonObject, ...more });
const pathsOf = (id: string) => receiver.calls.filter(({ key }) => key.startsWith(id)).map(({ path }) => path);
const outputOf = async (id: string) => (await client.ask('GET', `/runs/${id}/output`)).body.output;

type Preview = { again: string[]; kept: string[]; repeatedEffects: string[] };

const ENDS = ['task.completed', 'task.skipped', 'task.failed', 'task.blocked'];

/** Tasks that ended in these events; compensations aside, which have a dot. */
const endedIn = (events: readonly RunEvent[]): string[] => {
  const ends = events.filter(({ type, item }) => ENDS.includes(type) && item === undefined);
  return [...new Set(ends.flatMap(({ task = '.' }) => (task.includes('.') ? [] : [task])))].sort();
};

/** Forks after a preview, and holds what happens against it. @returns the new run, closed */
async function forked(source: string, body: JsonObject): Promise<{ id: string; run: JsonObject; preview: Preview }> {
  const preview = (await client.ask('POST', `/runs/${source}/fork/preview`, body)).body as Preview;
  const answer = await client.ask('POST', `/runs/${source}/fork`, body);
  expect(answer).toMatchObject({ status: 202, body: { forkedFrom: source } });
  const { id } = answer.body as { id: string };
  const run = await client.end(id);
  expect(run).toMatchObject({ forkedFrom: source });
  const { items: events } = (await client.ask('GET', `/runs/${id}/events?limit=1000`)).body as { items: RunEvent[] };
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  const began = events.findIndex(({ type }) => type === 'run.started');
  expect(endedIn(events.slice(0, began))).toEqual([...preview.kept].sort());
  expect(endedIn(events.slice(began))).toEqual([...preview.again].sort());
  return { id, run, preview };
}

const tasks = (): JsonObject => ({
  first: http('/fork/first'),
  big: transform('${[input.text + input.text]}'),
  each: { ...http('/fork/each/${i}'), map: { items: [1, 2], as: 'i' } },
  second: http('/fork/second', { dependsOn: ['first'] }),
  size: transform('${size(tasks.big.output[0]) + size(tasks.each.output)}', { dependsOn: ['second'] }),
});
const more = () => ({ output: { value: '${tasks.size.output}' }, finally: { last: http('/fork/last') } });
const input = { text: 'y'.repeat(40_000) };

test('a fork calls only what runs again, and passes on what it kept, large outputs and items too', async () => {
  const source = await client.start(tasks(), { definition: more(), input });
  expect(source).toMatchObject({ status: 'completed' });
  const { id, run, preview } = await forked(source.id, { from: ['second'] });
  expect(preview).toMatchObject({ repeatedEffects: ['second', 'last'] });
  expect(run).toMatchObject({ status: 'completed', counts: { completed: 6 } });
  expect(pathsOf(id)).toEqual(['/fork/second', '/fork/last']);
  expect(await outputOf(id)).toBe(80_002);
  const db = await stack.base.open();
  const refs = await Promise.all(
    [source.id, id].map((of) =>
      db.rows<{ ref: string }>({
        name: 'ref',
        text: `select encode(output_ref, 'hex') as ref from task where run = $1 and output_size > 80000`,
        values: [of],
      }),
    ),
  );
  expect(refs[1]).toHaveLength(1);
  expect(refs[1]).toEqual(refs[0]);
  const again = await forked(id, { from: ['size'] }); // a fork of a fork
  expect([pathsOf(again.id), await outputOf(again.id)]).toEqual([['/fork/last'], 80_002]);
});

test('a run that failed goes on in a fork with a mended definition; what did not change is not called again', async () => {
  receiver.fail('/mend/b', 1);
  const a = http('/mend/a');
  const source = await client.start({ a, b: http('/mend/b', { dependsOn: ['a'] }), c: transform('${tasks.b.output.body.path}') });
  expect(source).toMatchObject({ status: 'failed' });
  const { id, run } = await forked(source.id, {
    reason: 'mended',
    definition: {
      ...{ dsl: 'tiu/1', name: 'mended', output: { value: '${tasks.c.output}' } },
      tasks: { a1: transform(1), a, b: http('/mend/better', { dependsOn: ['a'] }), c: transform('${tasks.b.output.body.path}') },
    },
  });
  expect(run).toMatchObject({ status: 'completed', workflow: { name: 'mended' } });
  expect([pathsOf(id), await outputOf(id)]).toEqual([['/mend/better'], '/mend/better']);
});

test('with an edited input, or a given output, what depends on it runs again; a fork in which nothing does just ends', async () => {
  const definition = { output: { value: '${[tasks.x.output, tasks.sum.output]}' } };
  const source = await client.start(
    { x: transform('${input.x}'), y: http('/edit/${input.y}'), sum: transform('${tasks.y.output.body.path + "!"}') },
    { definition, input: { x: 1, y: 1 }, mode: 'express' },
  );
  const edited = await forked(source.id, { input: { x: 1, y: 2 } });
  expect([pathsOf(edited.id), await outputOf(edited.id)]).toEqual([['/edit/2'], [1, '/edit/2!']]);
  const waited = await fetch(`${stack.url}/api/v1/runs/${source.id}/fork`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stack.key}`, 'content-type': 'application/json', 'idempotency-key': 'given', prefer: 'wait=60' },
    body: JSON.stringify({ outputs: { y: { body: { path: 'by hand' } } } }),
  });
  const given = (await waited.json()) as JsonObject & { id: string };
  expect([waited.status, given]).toMatchObject([
    200,
    { status: 'completed', mode: 'express', forkedFrom: source.id, output: [1, 'by hand!'] },
  ]);
  expect(pathsOf(given.id)).toEqual([]);
  const same = await forked(source.id, {});
  expect([same.run.status, pathsOf(same.id), await outputOf(same.id)]).toEqual(['completed', [], [1, '/edit/1!']]);
});

test('of a mapped task that failed only the items are called that had failed', async () => {
  receiver.fail('/part/2', 1);
  const each = { ...http('/part/${i}'), map: { items: [1, 2, 3], as: 'i' } };
  const source = await client.start({ each }, { definition: { output: { value: '${tasks.each.output.map(o, o.body.path)}' } } });
  expect(source).toMatchObject({ status: 'failed' });
  const { id, run, preview } = await forked(source.id, {});
  expect([run.status, pathsOf(id), preview.repeatedEffects]).toEqual(['completed', ['/part/2'], []]);
  expect(await outputOf(id)).toEqual(['/part/1', '/part/2', '/part/3']);
});

test('a fork that fails undoes what it kept as well; what was undone in its source runs again', async () => {
  receiver.fail('/undo/b', 2);
  const a = http('/undo/a', { compensate: http('/undo/back') });
  const source = await client.start({ a, kept: http('/undo/kept'), b: http('/undo/b', { dependsOn: ['a'] }) });
  expect(source).toMatchObject({ status: 'failed' });
  expect(pathsOf(source.id).slice(-1)).toEqual(['/undo/back']);
  const failing = await forked(source.id, {});
  expect(failing.preview.repeatedEffects).toEqual(['a']);
  expect([failing.run.status, pathsOf(failing.id)]).toEqual(['failed', ['/undo/a', '/undo/b', '/undo/back']]);
  const fine = await forked(failing.id, {});
  expect([fine.run.status, pathsOf(fine.id)]).toEqual(['completed', ['/undo/a', '/undo/b']]);
  receiver.fail('/undo/b', 1);
  const late = await forked(fine.id, { from: ['b'] });
  expect([late.run.status, pathsOf(late.id)]).toEqual(['failed', ['/undo/b', '/undo/back']]);
});

test('a fork asks nobody again and starts no run again for what it keeps', async () => {
  const ask: JsonObject = { type: 'approval', with: { message: 'Ship?' } };
  const child: JsonObject = {
    type: 'workflow',
    with: { definition: { dsl: 'tiu/1', name: 'a-child', tasks: { a: transform(7) }, output: { value: '${tasks.a.output}' } } },
  };
  const last = http('/fork/waits', { dependsOn: ['ask', 'child'] });
  const { id } = await client.start(
    { ask, child, last },
    { wait: false, definition: { output: { value: ['${tasks.ask.output}', '${tasks.child.output}'] } } },
  );
  await client.until(id, ({ status }) => status === 'waiting');
  expect((await client.ask('POST', `/runs/${id}/tasks/ask/approve`, {})).status).toBeLessThan(300);
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  const fork = await forked(id, { from: ['last'] });
  expect([fork.run.status, fork.preview.kept]).toEqual(['completed', ['ask', 'child']]);
  expect((await client.ask('GET', `/runs?parent=${fork.id}`)).body.items).toEqual([]);
  expect(await outputOf(fork.id)).toMatchObject([{ decision: 'approved' }, 7]);
});
