import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';

let stack: TestStack;
/** Answers held back, how many there were at most at once, and what was called, in order. */
const held: ServerResponse[] = [];
const called: string[] = [];
let most = 0;
let arrived: (() => void) | undefined;
const server = createServer((request, response) => {
  held.push(response);
  called.push(request.url ?? '');
  most = Math.max(most, held.length);
  arrived?.();
});
let url = '';
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  stack = await aStack({ workers: 2, env: { TIU_HTTP_ALLOW: '127.0.0.0/8' } });
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await stack.stop();
});

async function call(path: string, body?: object): Promise<JsonObject> {
  const headers = { authorization: `Bearer ${stack.key}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  const response = await fetch(
    stack.url + path,
    body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) },
  );
  return (await response.json()) as JsonObject;
}

/** The next call that the limit lets through. */
async function next(): Promise<ServerResponse> {
  while (held.length === 0) await new Promise<void>((resolve) => (arrived = resolve));
  return held[0] as ServerResponse;
}
function answer(response: ServerResponse): void {
  held.splice(held.indexOf(response), 1);
  response.setHeader('content-type', 'application/json').end('{}');
}

const definition = {
  dsl: 'tiu/1',
  name: 'one-at-a-time',
  limits: [{ key: 'the-host', concurrency: 1 }],
  tasks: {
    ...Object.fromEntries(['a', 'b', 'c'].map((id) => [id, { type: 'http', with: { url: '${input.url}' }, timeout: 'PT1M' }])),
    each: { type: 'http', map: { items: '${[1, 2]}' }, with: { url: '${input.url}' } },
    last: { type: 'transform', with: { value: 'done' }, dependsOn: ['a', 'b', 'c', 'each'] },
  },
  output: { value: '${tasks.last.output}' },
};

test('effects and items of two runs on two workers go through a limit of 1 one after the other', async () => {
  const runs = await Promise.all([0, 1].map(async () => (await call('/api/v1/runs', { definition, input: { url } })).id as string));
  for (let i = 0; i < 10; i++) {
    const response = await next();
    const limit = await call('/api/v1/limits/the-host');
    expect(limit.holders).toHaveLength(1);
    answer(response);
  }
  for (const run of runs) {
    const headers = { authorization: `Bearer ${stack.key}`, prefer: 'wait=30' };
    const closed = (await (await fetch(`${stack.url}/api/v1/runs/${run}`, { headers })).json()) as JsonObject;
    expect(closed.status).toBe('completed');
    expect((await call(`/api/v1/runs/${run}/output`)).output).toBe('done');
  }
  expect(most).toBe(1);
});

/** Answers every call of a run as it comes. @returns the run, closed */
async function serve(tasks: object, more: object): Promise<{ run: JsonObject; order: string[] }> {
  const of = { dsl: 'tiu/1', name: 'in-order', tasks, ...more };
  const from = called.length;
  most = 0;
  const { id } = (await call('/api/v1/runs', { definition: of, input: { url } })) as { id: string };
  const calls = Object.values(tasks).filter(({ type }: { type: string }) => type === 'http').length;
  for (let i = 0; i < calls; i++) answer(await next());
  const headers = { authorization: `Bearer ${stack.key}`, prefer: 'wait=30' };
  const run = (await (await fetch(`${stack.url}/api/v1/runs/${id}`, { headers })).json()) as JsonObject;
  return { run, order: called.slice(from) };
}
const get = (path: string, more: object = {}) => ({ type: 'http', with: { url: `\${input.url}${path}` }, ...more });
const computed = (...dependsOn: string[]) => ({ type: 'transform', with: { value: 1 }, dependsOn });

test('one after the other by their priority, on whichever worker, and what the last one released waits for its turn', async () => {
  const tasks = {
    low: get('low', { priority: 'low' }),
    plain: get('plain'),
    between: computed('critical'),
    behind: get('behind', { priority: 'low', dependsOn: ['between'] }),
    urgent: get('urgent', { priority: 'high', dependsOn: ['plain'] }),
    critical: get('critical', { priority: 'critical' }),
  };
  const { run, order } = await serve(tasks, { strategy: 'priority_based', maxConcurrency: 1 });
  expect(run).toMatchObject({ status: 'completed', strategyUsed: 'priority_based', strategyReason: 'it was asked for' });
  expect([order, most]).toEqual([['/critical', '/plain', '/urgent', '/low', '/behind'], 1]);
});

test('one after the other as they were written, with what is computed between them', async () => {
  const tasks = {
    z: get('z'),
    y: computed('z'),
    x: get('x', { dependsOn: ['y'] }),
    a: get('a'),
    b: computed('a', 'x'),
    other: get('other'),
    c: get('c', { dependsOn: ['b'] }),
  };
  const { run, order } = await serve(tasks, { strategy: 'sequential' });
  expect(run).toMatchObject({ status: 'completed', strategyUsed: 'sequential' });
  expect([order, most]).toEqual([['/z', '/x', '/a', '/other', '/c'], 1]);
  const { items } = (await call(`/api/v1/runs/${run.id as string}/events`)) as { items: { type: string; task?: string }[] };
  const ended = items.filter(({ type }) => type === 'task.completed').map(({ task }) => task);
  expect(ended).toEqual(['z', 'y', 'x', 'a', 'b', 'other', 'c']);
});
