import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';

let stack: TestStack;
/** Answers held back, and how many there were at most at once. */
const held: ServerResponse[] = [];
let most = 0;
let arrived: (() => void) | undefined;
const server = createServer((_, response) => {
  held.push(response);
  most = Math.max(most, held.length);
  arrived?.();
});
let url = '';
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  stack = await aStack({ workers: 2, env: { TIU_HTTP_ALLOW: '127.0.0.0/8' } });
}, 90_000);
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await stack.stop();
}, 60_000);

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
}, 120_000);
