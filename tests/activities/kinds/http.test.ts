import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHttp } from '../../../src/activities/kinds/http.ts';
import { readRetryAfter } from '../../../src/activities/kinds/unexpectedStatus.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { Problem } from '../../../src/domain/problem.ts';
import type { Address } from '../../../src/providers/http/guardedAgent.ts';
import { createHttpClient, type HttpClient } from '../../../src/providers/http/httpClient.ts';
import { aProblem } from '../../providers/aProblem.ts';
import { aMemoryStore, anExecution } from './anExecution.ts';

const MAX = 100_000;
type Seen = { method: string | undefined; url: string | undefined; headers: http.IncomingHttpHeaders; body: string };
const seen: Seen[] = [];
const clients: HttpClient[] = [];
let connections = 0;
let server: http.Server;
let port: number;

const ANSWERS: Record<string, (response: http.ServerResponse) => void> = {
  '/json': (r) => r.setHeader('content-type', 'application/json').end('{"ok":true}'),
  '/empty': (r) => r.writeHead(204).end(),
  '/text': (r) => r.end('grüße'),
  '/redirect': (r) => r.writeHead(302, { location: '/json' }).end(),
  '/busy': (r) => r.writeHead(503, { 'retry-after': '7' }).end('x'.repeat(50_000)),
  '/missing': (r) => r.writeHead(404).end('no'),
  '/huge': (r) => r.end(Buffer.alloc(MAX + 1, 'x')),
  '/hugeUnstated': (r) => {
    for (let i = 0; i < 4; i += 1) r.write(Buffer.alloc(MAX / 2, 'x'));
    r.end();
  },
  '/slow': () => undefined,
  '/slowBody': (r) => r.writeHead(200).write('{"a":'),
  '/cut': (r) => {
    r.writeHead(200, { 'content-length': '100' }).write('partial');
    setImmediate(() => r.destroy());
  },
  '/hangup': (r) => r.destroy(),
  '/gzip': (r) => r.setHeader('content-encoding', 'gzip').end(gzipSync('{"a":1}')),
  '/binary': (r) => r.end(Buffer.from([0xff, 0xfe, 0])),
  '/cookies': (r) => r.setHeader('set-cookie', ['a=1', 'b=2']).end('{}'),
};

beforeAll(async () => {
  server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
      (ANSWERS[request.url ?? ''] ?? ((r) => r.writeHead(404).end()))(response);
    });
  });
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await Promise.all(clients.map((client) => client.close()));
});

/** An executor that may call the test's server, unless told otherwise. */
function aHttp(options: { allow?: string; resolve?: (host: string) => Promise<Address[]> } = {}) {
  const { allow = `127.0.0.1:${port}`, ...rest } = options;
  const client = createHttpClient({ allow, maxBodyBytes: MAX, ...rest });
  clients.push(client);
  const store = aMemoryStore();
  const executor = createHttp({ ...store, http: client, now: () => 0 });
  const call = (path: string, input: JsonObject = {}, signal = new AbortController().signal) =>
    executor(
      { url: path.startsWith('/') ? `http://127.0.0.1:${port}${path}` : path, ...input },
      anExecution({ key: 'run/task/-/0', signal }),
    );
  return { call, store };
}

test('a JSON answer is the body, with status and headers', async () => {
  await expect(aHttp().call('/json')).resolves.toEqual({
    status: 200,
    headers: expect.objectContaining({ 'content-type': 'application/json' }),
    body: { ok: true },
  });
});

test('the key goes along, an object goes as JSON, text as it is', async () => {
  const { call } = aHttp();
  await call('/json', { method: 'POST', body: { a: [1, null] }, headers: { 'X-Number': 5, 'x-left-out': null } });
  expect(seen.at(-1)).toMatchObject({ method: 'POST', body: '{"a":[1,null]}' });
  expect(seen.at(-1)?.headers).toMatchObject({ 'idempotency-key': 'run/task/-/0', 'content-type': 'application/json', 'x-number': '5' });
  expect(seen.at(-1)?.headers['x-left-out']).toBeUndefined();
  await call('/json', { method: 'PUT', body: 'plain', headers: { 'Content-Type': 'text/markdown', 'Idempotency-Key': 'own' } });
  expect(seen.at(-1)).toMatchObject({ method: 'PUT', body: 'plain' });
  expect(seen.at(-1)?.headers).toMatchObject({ 'content-type': 'text/markdown', 'idempotency-key': 'own' });
});

test('text, nothing and an artifact', async () => {
  const { call, store } = aHttp();
  await expect(call('/text', { as: 'text' })).resolves.toMatchObject({ body: 'grüße' });
  await expect(call('/empty')).resolves.toMatchObject({ status: 204, body: null });
  await expect(call('/json', { as: 'artifact' })).resolves.toMatchObject({
    body: { size: 11, mediaType: 'application/json', name: 'json' },
  });
  expect(store.rows).toHaveLength(1);
});

test('several fields of one name are joined', async () => {
  await expect(aHttp().call('/cookies')).resolves.toMatchObject({ headers: { 'set-cookie': 'a=1, b=2' } });
});

test('a redirect is an answer, not an instruction', async () => {
  const { call } = aHttp();
  await expect(call('/redirect')).rejects.toThrow(aProblem('http_status', { data: expect.objectContaining({ status: 302 }) }));
  await expect(call('/redirect', { expect: ['3xx'], as: 'text' })).resolves.toMatchObject({ status: 302, headers: { location: '/json' } });
  expect(seen.at(-1)?.url).toBe('/redirect');
});

test('an unexpected status tells status, the start of the body and when to come back', async () => {
  const failure = await aHttp()
    .call('/busy')
    .catch((error: unknown) => error as Problem);
  expect(failure).toMatchObject({ code: 'http_status', retryAfterMs: 7_000, data: { status: 503, body: 'x'.repeat(4_096) } });
});

test('expect takes statuses and classes', async () => {
  const { call } = aHttp();
  await expect(call('/missing', { expect: ['2xx', 404], as: 'text' })).resolves.toMatchObject({ status: 404, body: 'no' });
  await expect(call('/json', { expect: [201] })).rejects.toThrow(aProblem('http_status'));
});

test.each(['/huge', '/hugeUnstated'])('%s is too large, whatever it is read as', async (path) => {
  for (const as of ['json', 'text', 'artifact'])
    await expect(aHttp().call(path, { as })).rejects.toThrow(aProblem('http_response_too_large'));
});

test.each(['/slow', '/slowBody'])('%s ends with the reason of the signal', async (path) => {
  const controller = new AbortController();
  const before = seen.length;
  const called = aHttp().call(path, {}, controller.signal);
  const caught = expect(called).rejects.toThrow(aProblem('task_timed_out'));
  while (seen.length === before) await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Problem('task_timed_out'));
  await caught;
});

test('a signal that is aborted already sends nothing', async () => {
  const before = seen.length;
  await expect(aHttp().call('/json', {}, AbortSignal.abort(new Problem('task_cancelled')))).rejects.toThrow(aProblem('task_cancelled'));
  expect(seen).toHaveLength(before);
});

test.each(['/cut', '/hangup'])('%s is http_failed', async (path) => {
  await expect(aHttp().call(path)).rejects.toThrow(aProblem('http_failed'));
});

test('what cannot be read as it should is http_response_invalid', async () => {
  const { call } = aHttp();
  await expect(call('/text')).rejects.toThrow(aProblem('http_response_invalid'));
  await expect(call('/binary', { as: 'text' })).rejects.toThrow(aProblem('http_response_invalid'));
  await expect(call('/gzip')).rejects.toThrow(aProblem('http_response_invalid'));
  expect(seen.at(-1)?.headers['accept-encoding']).toBe('identity');
});

test('a port without a listener is http_failed', async () => {
  await expect(aHttp({ allow: '127.0.0.0/8' }).call('http://127.0.0.1:1/')).rejects.toThrow(aProblem('http_failed'));
});

test.each([
  ['host', { host: 'elsewhere' }],
  ['transfer-encoding', { 'Transfer-Encoding': 'chunked' }],
  ['proxy-authorization', { 'proxy-authorization': 'x' }],
  ['a line break', { 'x-a': 'b\r\nx-injected: 1' }],
])('a task cannot set %s', async (_name, headers) => {
  await expect(aHttp().call('/json', { headers })).rejects.toThrow(aProblem('invalid_task_input'));
});

test.each(['ftp://example.com/', 'file:///etc/passwd', `http://${['user', 'word'].join(':')}@example.com/`, 'nonsense', 'http://'])(
  '%s is no address to call',
  async (url) => {
    await expect(aHttp().call(url)).rejects.toThrow(aProblem('invalid_task_input'));
  },
);

test.each([
  'http://127.0.0.1/',
  'http://127.1:80/',
  'http://2130706433/',
  'http://0x7f.0.0.1/',
  'http://0.0.0.0/',
  'http://10.0.0.1/',
  'http://172.31.255.255/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://169.254.169.254/latest/meta-data/',
  'http://[::1]/',
  'http://[::]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:169.254.169.254]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[fe80::1]/',
  'http://[fd00:ec2::254]/',
  'http://[2002:7f00:1::]/',
  'http://255.255.255.255/',
  'http://224.0.0.1/',
])('%s is refused', async (url) => {
  await expect(aHttp({ allow: '' }).call(url)).rejects.toThrow(aProblem('http_address_refused'));
});

test.each(['localhost', 'LOCALHOST', 'internal.example'])('the name %s is refused when it leads to a private address', async (host) => {
  const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
  const before = connections;
  await expect(aHttp({ allow: '', resolve }).call(`http://${host}:${port}/json`)).rejects.toThrow(aProblem('http_address_refused'));
  expect(connections).toBe(before);
});

test('the connection goes to the address that was checked: a second answer of the resolver is never asked for', async () => {
  const asked: string[] = [];
  const resolve = (host: string) => {
    asked.push(host);
    return Promise.resolve([{ address: asked.length === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]);
  };
  const { call } = aHttp({ resolve });
  await expect(call(`http://rebinding.example:${port}/json`)).resolves.toMatchObject({ status: 200 });
  expect(asked).toEqual(['rebinding.example']);
  expect(seen.at(-1)?.headers.host).toBe(`rebinding.example:${port}`);
});

test('a name that turns private later is refused then', async () => {
  const answers = [[{ address: '127.0.0.1', family: 4 }], [{ address: '127.0.0.2', family: 4 }]];
  const resolve = () => Promise.resolve(answers.shift() ?? []);
  await aHttp({ resolve }).call(`http://turning.example:${port}/json`);
  await expect(aHttp({ resolve }).call(`http://turning.example:${port}/json`)).rejects.toThrow(aProblem('http_address_refused'));
});

test('of several addresses only the allowed ones are tried', async () => {
  const resolve = () =>
    Promise.resolve([
      { address: '10.0.0.1', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
  await expect(aHttp({ resolve }).call(`http://mixed.example:${port}/json`)).resolves.toMatchObject({ status: 200 });
});

test('what is allowed is that host and port, or that network', async () => {
  const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
  await expect(aHttp({ allow: `receiver.example:${port}`, resolve }).call(`http://receiver.example:${port}/json`)).resolves.toMatchObject({
    status: 200,
  });
  await expect(aHttp({ allow: `receiver.example:${port}`, resolve }).call(`http://other.example:${port}/json`)).rejects.toThrow(
    aProblem('http_address_refused'),
  );
  await expect(aHttp({ allow: '127.0.0.1:1' }).call('/json')).rejects.toThrow(aProblem('http_address_refused'));
  await expect(aHttp({ allow: '10.0.0.0/8, 127.0.0.0/8' }).call('/json')).resolves.toMatchObject({ status: 200 });
});

test('an allow list that cannot be read is refused at start', () => {
  for (const allow of ['127.0.0.1', '10.0.0.0/33', 'nonsense/8', ':80'])
    expect(() => createHttpClient({ allow, maxBodyBytes: 1 })).toThrow(allow);
});

test('connections are kept and used again', async () => {
  const { call } = aHttp();
  const before = connections;
  for (let i = 0; i < 10; i += 1) await call('/json');
  expect(connections - before).toBeLessThanOrEqual(2);
});

test.each<[string | undefined, number | null]>([
  [undefined, null],
  ['3', 3_000],
  ['0', 0],
  ['nonsense', null],
  ['Thu, 01 Jan 1970 00:00:10 GMT', 10_000],
  ['Wed, 31 Dec 1969 23:59:50 GMT', 0],
  ['99999999999', 86_400_000],
])('Retry-After %s is %s ms', (value, expected) => {
  expect(readRetryAfter(value, 0)).toBe(expected);
});
