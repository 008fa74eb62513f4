import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export type Receiver = { url: string; seen: () => number; close: () => void };

/** Answers every request at once with a small JSON document; the first of each address with `?once=` is refused. */
export async function openReceiver(): Promise<Receiver> {
  let seen = 0;
  const refused = new Set<string>();
  const server = http.createServer((request, answer) => {
    seen++;
    request.resume();
    const { url = '' } = request;
    const isRefused = url.includes('?once=') && !refused.has(url);
    if (isRefused) refused.add(url);
    answer.writeHead(isRefused ? 400 : 200, { 'content-type': 'application/json' }).end('{"ok":true}');
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/effect`,
    seen: () => seen,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
