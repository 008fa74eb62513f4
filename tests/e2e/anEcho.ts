import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What a request told: its `x-key`, credentials, or body. */
type Told = { said: string; request: IncomingMessage; calls: number };

const ascii = (value: unknown): string =>
  JSON.stringify(value).replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
const html = (said: string): string => `<pre>${said.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')}</pre>`;
const LARGE = 100_000;

const parsed = (said: string): unknown => {
  try {
    return JSON.parse(said) as unknown;
  } catch {
    return said;
  }
};

/** By path: a receiver that says back what it was told, in its own way. */
const WAYS: Record<string, (response: ServerResponse, told: Told) => void> = {
  '/echo': (r, { said, request }) =>
    r.end(JSON.stringify({ headers: request.headers, raw: request.rawHeaders, said, parsed: parsed(said) })),
  '/header': (r, { said }) => r.setHeader('x-echo', said).setHeader('set-cookie', `session=${said}; Path=/`).end('{}'),
  '/ascii': (r, { said }) => r.end(ascii({ said })),
  '/base64': (r, { said }) => r.end(JSON.stringify({ data: Buffer.from(`{"said":"${said}"}`).toString('base64') })),
  '/form': (r, { said }) => r.end(JSON.stringify(new URLSearchParams({ said }).toString())),
  '/key': (r, { said }) => r.end(JSON.stringify({ [said]: { [`x-${said}`]: 1 } })),
  '/number': (r, { said }) => r.end(`{"pin":${said}}`),
  '/basic': (r, { said }) =>
    r.end(JSON.stringify({ credentials: Buffer.from(said.replace('Basic ', ''), 'base64').toString().split(':') })),
  '/malformed': (r, { said }) => r.end(`{"said": ${said}`),
  '/largeMalformed': (r, { said }) => r.end(`${JSON.stringify(Array(LARGE / 10).fill(said)).slice(0, -1)} ${said}`),
  '/largeJson': (r, { said }) => r.end(ascii(Array(LARGE / 10).fill({ said }))),
  '/largeText': (r, { said }) => r.end(`${said}\n${`${'x'.repeat(977)}${said}`.repeat(LARGE / 1000)}`),
  '/pieces': (r, { said }) => {
    r.write('x'.repeat(LARGE) + said.slice(0, 7));
    setImmediate(() => r.end(said.slice(7)));
  },
  '/refused': (r, { said }) => r.writeHead(400, 'no', { 'x-echo': said, 'content-type': 'text/html' }).end(html(said)),
  '/edge': (r, { said }) => r.writeHead(500).end(`${'x'.repeat(4_096 - 12)}${said}`),
  '/again': (r, { said, calls }) => r.writeHead(calls === 1 ? 503 : 200, { 'retry-after': '0' }).end(JSON.stringify({ said })),
  '/reset': (r) => r.destroy(),
  '/cut': (r, { said }) => {
    r.writeHead(200, { 'content-length': '1000' }).write(`{"said":"${said}"`);
    setImmediate(() => r.destroy());
  },
  '/hang': () => undefined,
  '/session': (r, { request }) => r.end(JSON.stringify({ token: 'token-of-the-session', key: request.headers['x-api-key'] })),
  '/notes': (r, { request }) => r.end(JSON.stringify({ signed: request.headers['x-signature'] })),
};

export async function anEcho() {
  const heard: string[] = [];
  const calls = new Map<string, number>();
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { authorization = '', 'x-key': key } = request.headers;
      const said = typeof key === 'string' ? key : body === '' ? authorization : body;
      heard.push(body, authorization, said, Buffer.from(said.replace('Basic ', ''), 'base64').toString());
      const path = request.url ?? '';
      calls.set(path, (calls.get(path) ?? 0) + 1);
      (WAYS[path] ?? ((r) => r.writeHead(404).end()))(response, { said, request, calls: calls.get(path) ?? 0 });
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Everything it was told, in the clear. */
    heard,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
