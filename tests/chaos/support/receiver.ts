import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request that reached the outside world. `port` is the caller's own end of the connection. */
export type Call = { key: string; path: string; body: string; port: number; at: number; answered: number | undefined };

export type Receiver = {
  /** `http://127.0.0.1:port`. A path may ask: `?ms=50` waits, `?fail=2` refuses the first two calls of a key with 503, `?status=400` all of them, `?generation=1` those of an earlier generation of their task, `?value=7` is answered. */
  url: string;
  port: number;
  calls: Call[];
  /** Calls per idempotency key. */
  counts: () => Map<string, number>;
  /** The next call whose key or path contains `text`, also one that came already and was not yet given out. */
  next: (text: string, ms?: number) => Promise<Call>;
  /** Calls whose path contains `text` are not answered until the returned function is called. */
  hold: (text: string) => () => void;
  /** Called when an answer is about to be written; the answer waits for what it returns. */
  beforeAnswer: (listener: ((call: Call) => Promise<void> | void) | undefined) => void;
  close: () => Promise<void>;
};

type Waiting = { text: string; resolve: (call: Call) => void };
type Gate = { text: string; opened: Promise<void> };
type Parts = {
  calls: Call[];
  counts: Map<string, number>;
  given: Set<Call>;
  waiting: Waiting[];
  gates: Set<Gate>;
  listener: ((call: Call) => Promise<void> | void) | undefined;
};

const matches = (call: Call, text: string): boolean => call.key.includes(text) || call.path.includes(text);

/** An HTTP server on loopback that remembers what it was asked for. */
export async function aReceiver(): Promise<Receiver> {
  const parts: Parts = { calls: [], counts: new Map(), given: new Set(), waiting: [], gates: new Set(), listener: undefined };
  const server = http.createServer((request, response) => {
    void serve(parts, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    calls: parts.calls,
    counts: () => new Map(parts.counts),
    next: (text, ms = 150_000) => next(parts, text, ms),
    hold: (text) => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const gate = { text, opened: promise };
      parts.gates.add(gate);
      return () => {
        parts.gates.delete(gate);
        resolve(undefined);
      };
    },
    beforeAnswer: (listener) => {
      parts.listener = listener;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function next(parts: Parts, text: string, ms: number): Promise<Call> {
  const come = parts.calls.find((call) => matches(call, text) && !parts.given.has(call));
  if (come) {
    parts.given.add(come);
    return come;
  }
  const { promise, resolve, reject } = Promise.withResolvers<Call>();
  parts.waiting.push({ text, resolve });
  const timer = setTimeout(() => {
    reject(new Error(`no call of ${text} within ${ms} ms`));
  }, ms);
  return promise.finally(() => {
    clearTimeout(timer);
  });
}

function announce(parts: Parts, call: Call): void {
  const index = parts.waiting.findIndex(({ text }) => matches(call, text));
  if (index < 0) return;
  const [waiting] = parts.waiting.splice(index, 1);
  parts.given.add(call);
  waiting?.resolve(call);
}

async function serve(parts: Parts, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://receiver');
  const at = Date.now();
  let body = '';
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  for await (const part of request.setEncoding('utf8')) body += String(part);
  const path = url.pathname + url.search;
  const port = request.socket.remotePort ?? 0;
  const call: Call = { key: String(request.headers['idempotency-key']), path, body, port, at, answered: undefined };
  const before = parts.counts.get(call.key) ?? 0;
  parts.counts.set(call.key, before + 1);
  parts.calls.push(call);
  announce(parts, call);
  await new Promise((later) => setTimeout(later, Number(url.searchParams.get('ms') ?? 0)));
  for (const gate of parts.gates) if (matches(call, gate.text)) await gate.opened;
  await parts.listener?.(call);
  call.answered = Date.now();
  const refused = before < Number(url.searchParams.get('fail') ?? 0);
  const early = Number(call.key.split('/').at(-1)) < Number(url.searchParams.get('generation') ?? 0);
  response.writeHead(refused ? 503 : early ? 400 : Number(url.searchParams.get('status') ?? 200), { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({ calls: before + 1, value: Number(url.searchParams.get('value') ?? 0), secret: url.searchParams.get('secret') }),
  );
}
