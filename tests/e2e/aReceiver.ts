import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Receiver = {
  url: string;
  /** Paths that were called, in order, with the key of each call. */
  calls: { path: string; key: string }[];
  /** Calls of this path are answered when the promise is kept. */
  hold: (path: string, until: Promise<unknown>) => void;
  /** The next `times` calls of this path are answered with 503. */
  fail: (path: string, times: number) => void;
  called: (path: string) => Promise<void>;
  /** Connections of calls of this path that their caller has closed before the answer. */
  hungUp: (path: string) => number;
  close: () => void;
};

/** The outside that effects call: answers with the path, and how often it was called. */
export async function aReceiver(): Promise<Receiver> {
  const calls: Receiver['calls'] = [];
  const held = new Map<string, Promise<unknown>>();
  const failing = new Map<string, number>();
  const waiting = new Map<string, () => void>();
  const hungUp: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    calls.push({ path, key: String(request.headers['idempotency-key']) });
    waiting.get(path)?.();
    response.once('close', () => {
      if (!response.writableEnded) hungUp.push(path);
    });
    const n = calls.filter((call) => call.path === path).length;
    const left = failing.get(path) ?? 0;
    failing.set(path, left - 1);
    const answer = () => response.writeHead(left > 0 ? 503 : 200, { 'content-type': 'application/json' }).end(JSON.stringify({ path, n }));
    void (held.get(path) ?? Promise.resolve()).then(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    ...{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls },
    hold: (path, until) => held.set(path, until),
    fail: (path, times) => failing.set(path, times),
    called: (path) => (calls.some((call) => call.path === path) ? Promise.resolve() : new Promise((resolve) => waiting.set(path, resolve))),
    hungUp: (path) => hungUp.filter((one) => one === path).length,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
