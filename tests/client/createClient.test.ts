import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient, type Client } from '../../src/client/createClient.ts';

type Reply = 'cut' | { status: number; body: unknown; headers?: Record<string, string> };

let server: http.Server;
let client: Client;
let seen: { path: string; key: string | undefined; authorization: string | undefined }[];
let replies: Reply[];

/** A service that answers as told, in order, and goes on with the last; `cut` breaks the connection after the request has arrived. */
beforeEach(async () => {
  seen = [];
  replies = [];
  server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      const { 'idempotency-key': key, authorization } = request.headers;
      seen.push({ path: request.url ?? '', key: key as string | undefined, authorization });
      const reply = replies.length > 1 ? replies.shift() : replies[0];
      if (reply === 'cut' || reply === undefined) request.socket.destroy();
      else response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers }).end(JSON.stringify(reply.body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = createClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, token: 'secret' });
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

const problem = (status: number, code: string, more: object = {}) => ({
  status,
  body: { type: `urn:tiu:problem:${code}`, title: code, status, code, ...more },
});

test('a start whose answer was lost is sent again under the same key', async () => {
  replies = ['cut', problem(503, 'unavailable'), { status: 202, body: { id: 'r1' } }];
  expect(await client.runs.start({ definition: 'dsl: tiu/1' })).toMatchObject({ id: 'r1' });
  expect(seen).toHaveLength(3);
  expect(new Set(seen.map(({ key }) => key)).size).toBe(1);
  expect(seen[0]).toMatchObject({
    path: '/api/v1/runs',
    authorization: 'Bearer secret',
    key: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
  });
});

test('two starts have two keys, and the caller may give one', async () => {
  replies = [{ status: 202, body: { id: 'r1' } }];
  await client.runs.start({ definition: 'a' });
  await client.runs.start({ definition: 'a' });
  await client.runs.start({ definition: 'a' }, { key: 'mine' });
  expect(new Set(seen.map(({ key }) => key)).size).toBe(3);
  expect(seen[2]?.key).toBe('mine');
});

test('a refusal is a typed problem with its issues and is not repeated', async () => {
  const issues = [{ pointer: '/tasks/a', line: 3, column: 5, code: 'unknown_kind', message: 'is not known' }];
  replies = [problem(422, 'invalid_definition', { issues, detail: '1 fault', requestId: 'q' })];
  await expect(client.runs.start({ definition: 'a' })).rejects.toMatchObject({
    ...{ name: 'ApiProblem', code: 'invalid_definition', status: 422, message: '1 fault', requestId: 'q', issues },
  });
  expect(seen).toHaveLength(1);
});

test('an answer that is no problem document is still a typed problem', async () => {
  replies = [{ status: 502, body: '<html>' }];
  await expect(client.runs.cancel('r1')).rejects.toMatchObject({ code: 'unexpected_answer', status: 502 });
});

test('a cancel whose answer was lost is the same cancel again; a second one has a key of its own', async () => {
  replies = ['cut', { status: 202, body: { id: 'r1' } }];
  await client.runs.cancel('r1');
  await client.runs.cancel('r1');
  const [first, again, second] = seen.map(({ key }) => key);
  expect(again).toBe(first);
  expect(second).not.toBe(first);
});

test('a service that stays away is reported after some seconds', async () => {
  replies = ['cut'];
  await expect(client.runs.get('r1')).rejects.toMatchObject({ name: 'Unreachable' });
  expect(seen.length).toBeGreaterThan(3);
});

test('what was asked to wait is waited for', async () => {
  replies = [
    { ...problem(503, 'unavailable'), headers: { 'retry-after': '1' } },
    { status: 200, body: { id: 'r1' } },
  ];
  const since = performance.now();
  await client.runs.get('r1');
  expect(performance.now() - since).toBeGreaterThanOrEqual(990);
});
