import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export type Receiver = {
  url: string;
  seen: () => number;
  /** Of the latest request, by `performance.now()`. */
  last: () => number;
  /** Address of a call that is never answered. `began` resolves when it is there, `ended` when the caller has closed its connection. */
  silent: () => { url: string; began: Promise<void>; ended: Promise<void> };
  close: () => void;
};

/** Answers every request at once with a small JSON document; the first of each address with `?once=` is refused. */
export async function openReceiver(): Promise<Receiver> {
  let [seen, last] = [0, 0];
  const silent = new Map<string, { began: () => void; ended: () => void }>();
  const refused = new Set<string>();
  const server = http.createServer((request, answer) => {
    seen++;
    last = performance.now();
    request.resume();
    const { url = '' } = request;
    const kept = silent.get(url);
    if (kept) {
      kept.began();
      request.socket.once('close', kept.ended);
      return;
    }
    const isRefused = url.includes('?once=') && !refused.has(url);
    if (isRefused) refused.add(url);
    answer.writeHead(isRefused ? 400 : 200, { 'content-type': 'application/json' }).end('{"ok":true}');
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${origin}/effect`,
    seen: () => seen,
    last: () => last,
    silent: () => {
      const path = `/silent/${silent.size}`;
      const began = Promise.withResolvers<undefined>();
      const ended = Promise.withResolvers<undefined>();
      silent.set(path, { began: began.resolve.bind(null, undefined), ended: ended.resolve.bind(null, undefined) });
      return { url: `${origin}${path}`, began: began.promise, ended: ended.promise };
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
