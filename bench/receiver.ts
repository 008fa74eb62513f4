import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export type Receiver = { url: string; seen: () => number; close: () => void };

/** Answers every request at once with a small JSON document. */
export async function openReceiver(): Promise<Receiver> {
  let seen = 0;
  const server = http.createServer((request, answer) => {
    seen++;
    request.resume();
    answer.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
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
