import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { lookup } from 'node:dns/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createHttp } from '../../src/activities/kinds/http.ts';
import { createNotify } from '../../src/activities/kinds/notify.ts';
import { Problem } from '../../src/domain/problem.ts';
import type { Resolve } from '../../src/providers/http/guardedAgent.ts';
import { createHttpClient, type HttpClient } from '../../src/providers/http/httpClient.ts';
import { createMailer } from '../../src/providers/mail/mailer.ts';
import { readWebhookKeys } from '../../src/providers/webhook/webhookKeys.ts';
import { aMemoryStore, anExecution } from '../activities/kinds/anExecution.ts';
import { addressForms } from './addressForms.ts';

let canary: Awaited<ReturnType<typeof aListener>>;
let port: number;
const clients: HttpClient[] = [];
const closing: (() => Promise<unknown>)[] = [];

/** Somebody who listens and answers, whatever is said. */
async function aListener(host: string, at = 0) {
  const sockets = new Set<net.Socket>();
  const seen = { connections: 0 };
  const server = net.createServer((socket) => {
    seen.connections += 1;
    sockets.add(socket.on('error', () => undefined));
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}');
  });
  server.listen(at, host);
  await once(server, 'listening');
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  closing.push(close);
  return { seen, port: (server.address() as AddressInfo).port };
}

beforeAll(async () => {
  canary = await aListener('::'); // and so on every address of the machine, of both families
  port = canary.port;
});
beforeEach(() => {
  canary.seen.connections = 0;
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all(closing.map((close) => close()));
});

const NAMES: Readonly<Record<string, { address: string; family: number }[]>> = {
  private: [{ address: '127.0.0.1', family: 4 }],
  mapped: [{ address: '::ffff:127.0.0.1', family: 6 }],
  meta: [{ address: '169.254.169.254', family: 4 }],
  six: [{ address: '::1', family: 6 }],
  nat64: [{ address: '64:ff9b::7f00:1', family: 6 }],
  none: [],
};
/** Names of the test as it says, all others as the system does. */
const resolve: Resolve = (host) => {
  const [, name] = /^(\w+)\.example\.?$/.exec(host) ?? [];
  return name === undefined ? lookup(host, { all: true }) : Promise.resolve(NAMES[name] ?? []);
};

/** Every way out that a definition can name an address for. */
function sinks(settings: { allow: string; resolve: Resolve }) {
  const client = createHttpClient({ maxBodyBytes: 1_000, ...settings });
  clients.push(client);
  const plain = createHttp({ ...aMemoryStore(), http: client, now: Date.now });
  const mailer = createMailer({ url: undefined, from: undefined });
  const notify = createNotify({
    mailer,
    http: client,
    webhookKeys: readWebhookKeys(`k:${randomBytes(32).toString('base64')}`),
    now: Date.now,
  });
  return {
    http: (url: string) => plain({ url }, anExecution()),
    webhook: (url: string) => notify({ channel: 'webhook', to: url, text: 'x' }, anExecution()),
    slack: (url: string) => notify({ channel: 'slack', to: url, text: 'x' }, anExecution()),
  };
}

const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'reached',
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );

test.each(['http', 'webhook', 'slack'] as const)('no form of a private address is connected to: %s', async (sink) => {
  const send = sinks({ allow: '', resolve })[sink];
  const forms = addressForms(port);
  expect(forms.length).toBeGreaterThanOrEqual(150);
  const told = await Promise.all(forms.map(async (url) => [url, await codeOf(send(url))] as const));
  const REFUSED = ['http_address_refused', 'invalid_task_input', 'http_failed'];
  expect(told.filter(([, code]) => !REFUSED.includes(code))).toEqual([]);
  expect(canary.seen.connections).toBe(0);
  // most of them are known for what they are; only names that do not resolve fail in another way
  expect(told.filter(([, code]) => code === 'http_failed').length).toBeLessThan(10);
  // the same sink does reach it when the operator says so: the listener would have noticed
  expect(await codeOf(sinks({ allow: `127.0.0.1:${port}`, resolve })[sink](`http://127.0.0.1:${port}/`))).toBe('reached');
  expect(canary.seen.connections).toBe(1);
});

test('a redirect to a private address is not followed', async () => {
  const hop = http.createServer((_, response) => response.writeHead(307, { location: `http://127.0.0.1:${port}/` }).end());
  hop.listen(0, '127.0.0.3');
  await once(hop, 'listening');
  closing.push(() => {
    hop.closeAllConnections();
    return new Promise((done) => hop.close(done));
  });
  const url = `http://127.0.0.3:${(hop.address() as AddressInfo).port}/`;
  for (const send of Object.values(sinks({ allow: '127.0.0.3/32', resolve }))) expect(await codeOf(send(url))).toBe('http_status');
  expect(canary.seen.connections).toBe(0);
});

/** A name server whose answers for a name are an allowed address first and a private one from then on. */
async function aRebindingServer(addresses: readonly string[]) {
  const asked: string[] = [];
  const server = dgram.createSocket('udp4', (query, from) => {
    const address = addresses[Math.min(asked.length, addresses.length - 1)] ?? '';
    asked.push(address);
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const header = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    const answer = Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
    server.send(Buffer.concat([header, question, answer]), from.port, from.address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${server.address().port}`]);
  const byServer: Resolve = async (host) => (await resolver.resolve4(host)).map((address) => ({ address, family: 4 }));
  closing.push(() => new Promise<void>((done) => server.close(done)));
  return { asked, resolve: byServer };
}

test('a name that answers with a public address first and a private one then is asked once for each connection, and reaches no private one', async () => {
  // 127.0.0.3 stands for the public internet, which a test has none of
  const outside = await aListener('127.0.0.3');
  const inside = await aListener('127.0.0.1', outside.port);
  const url = `http://turning.example:${outside.port}/`;
  for (const name of ['http', 'webhook', 'slack'] as const) {
    const dns = await aRebindingServer(['127.0.0.3', '127.0.0.1']);
    const send = sinks({ allow: '127.0.0.3/32', resolve: dns.resolve })[name];
    expect(await codeOf(send(url))).toBe('reached');
    expect(dns.asked).toEqual(['127.0.0.3']);
    expect(await codeOf(send(url))).toBe('http_address_refused');
    expect(dns.asked).toEqual(['127.0.0.3', '127.0.0.1']);
  }
  expect([outside.seen.connections, inside.seen.connections]).toEqual([3, 0]);
});
