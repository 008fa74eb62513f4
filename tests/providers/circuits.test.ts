import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Problem } from '../../src/domain/problem.ts';
import { createCircuits, type CircuitSettings } from '../../src/providers/http/circuits.ts';
import { createHttpClient, type HttpClient } from '../../src/providers/http/httpClient.ts';
import { createRegistry, watchCircuits } from '../../src/runtime/metrics.ts';
import { aProblem } from './aProblem.ts';

let server: http.Server;
let client: HttpClient;
let port: number;
let calls = 0;
beforeAll(async () => {
  server = http.createServer((request, response) => {
    calls += 1;
    const status = Number(request.url?.slice(1));
    if (status > 0) response.writeHead(status).end();
    else if (request.url === '/hangup') response.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  client = createHttpClient({ allow: '127.0.0.0/8', maxBodyBytes: 1_000 });
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await client.close();
});

function someCircuits(given: Partial<CircuitSettings> = {}) {
  const clock = { now: 0 };
  const circuits = createCircuits({ http: client, now: () => clock.now }, { failures: 2, openMs: 1_000, max: 100, ...given });
  const call = async (path: string, more: { workspace?: string; signal?: AbortSignal; expects?: (status: number) => boolean } = {}) => {
    const url = path.startsWith('/') ? `http://127.0.0.1:${port}${path}` : path;
    const signal = more.signal ?? new AbortController().signal;
    const request = {
      method: 'GET',
      url,
      headers: {},
      body: null,
      workspace: 'a',
      expects: (status: number) => status < 400,
      ...more,
      signal,
    };
    const { status, body } = await circuits.send(request);
    body.destroy();
    return status;
  };
  return { circuits, clock, call };
}
const refused = aProblem('circuit_open');

test('after so many answers of 5xx in a row the host is not called, until a probe works', async () => {
  const { call, clock } = someCircuits();
  expect([await call('/500'), await call('/503')]).toEqual([500, 503]);
  const before = calls;
  clock.now = 400;
  await expect(call('/200')).rejects.toThrow(aProblem('circuit_open', { retryAfterMs: 600, data: { host: `127.0.0.1:${port}` } }));
  expect(calls).toBe(before);
  clock.now = 1_000;
  expect([await call('/200'), await call('/500'), await call('/200')]).toEqual([200, 500, 200]);
});

test('no answer is a fault, too: a connection that is closed or refused, and an attempt that timed out', async () => {
  const { call } = someCircuits();
  await expect(call('/hangup')).rejects.toThrow(aProblem('http_failed'));
  await expect(call('/hangup')).rejects.toThrow(aProblem('http_failed'));
  await expect(call('/200')).rejects.toThrow(refused);
  for (const code of ['http_failed', 'http_failed', 'circuit_open'] as const)
    await expect(call('http://127.0.0.1:1/')).rejects.toThrow(aProblem(code));
  const late = someCircuits({ failures: 1 });
  const attempt = new AbortController();
  const before = calls;
  const called = expect(late.call('/silent', { signal: attempt.signal })).rejects.toThrow(aProblem('task_timed_out'));
  while (calls === before) await new Promise((resolve) => setImmediate(resolve));
  attempt.abort(new Problem('task_timed_out'));
  await called;
  await expect(late.call('/200')).rejects.toThrow(refused);
});

test.each([
  ['a refusal (4xx)', '/429', {}],
  ['a 5xx that the task expects', '/503', { expects: () => true }],
])('%s says that the host works', async (_what, path, more) => {
  const { call } = someCircuits();
  for (let i = 0; i < 3; i += 1) await call('/500').then(() => call(path, more));
  await expect(call('/200')).resolves.toBe(200);
});

test.each([
  ['a cancel', 'task_cancelled'],
  ['the deadline of the task', 'deadline_exceeded'],
] as const)('%s says nothing of the host', async (_what, code) => {
  const { call } = someCircuits({ failures: 1 });
  await expect(call('/silent', { signal: AbortSignal.abort(new Problem(code)) })).rejects.toThrow(aProblem(code));
  await expect(call('/200')).resolves.toBe(200);
});

test('without a number of faults nothing opens', async () => {
  const { call } = someCircuits({ failures: Infinity });
  for (let i = 0; i < 20; i += 1) await call('/500');
  await expect(call('/200')).resolves.toBe(200);
});

test('an address that is refused or wrong opens nothing', async () => {
  const { call, circuits } = someCircuits({ failures: 1 });
  for (let i = 0; i < 2; i += 1) {
    await expect(call('http://10.0.0.1/')).rejects.toThrow(aProblem('http_address_refused'));
    await expect(call('nonsense')).rejects.toThrow(aProblem('invalid_task_input'));
  }
  expect(circuits.states()).toEqual([]);
});

test('a workspace has circuits of its own, and a host is a name with its port', async () => {
  const { call } = someCircuits({ failures: 1 });
  await call('/500', { workspace: 'a' });
  await expect(call('/200', { workspace: 'a' })).rejects.toThrow(refused);
  await expect(call('/200', { workspace: 'b' })).resolves.toBe(200);
  await expect(call(`http://localhost:${port}/200`, { workspace: 'a' })).resolves.toBe(200);
});

test('beyond the limit the one longest unused is forgotten', async () => {
  const { call } = someCircuits({ failures: 1, max: 2 });
  for (const workspace of ['a', 'b']) await call('/500', { workspace });
  await expect(call('/200', { workspace: 'a' })).rejects.toThrow(refused);
  await call('/500', { workspace: 'c' });
  await expect(call('/200', { workspace: 'a' })).rejects.toThrow(refused);
  await expect(call('/200', { workspace: 'b' })).resolves.toBe(200);
});

test('the metric has hosts that are not closed, and a bounded number of them', async () => {
  const { call, circuits } = someCircuits({ failures: 1 });
  const registry = createRegistry();
  watchCircuits(registry, circuits.states);
  for (const workspace of ['a', 'b']) await call('/500', { workspace });
  expect(await registry.metrics()).toContain(`tiu_circuits{host="127.0.0.1:${port}",state="open"} 2`);
  const many = createRegistry();
  watchCircuits(many, () => Array.from({ length: 60 }, (_, i) => ({ host: `h${i}`, open: 1, halfOpen: 1 })));
  const text = await many.metrics();
  expect(text.match(/^tiu_circuits\{.*state="open"/gm)).toHaveLength(51);
  expect(text).toContain('tiu_circuits{host="other",state="half_open"} 10');
});
