import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export type Receiver = {
  address: string;
  /** What arrived, once per idempotency key. */
  received: () => { key: string; body: unknown }[];
  stop: () => Promise<void>;
};

/** A web hook on loopback that keeps what it is told: an effect that comes twice under one key counts once. */
export async function startReceiver(): Promise<Receiver> {
  const byKey = new Map<string, unknown>();
  const server = http.createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const key = request.headers['idempotency-key'];
      byKey.set(typeof key === 'string' ? key : '', parse(Buffer.concat(parts).toString()));
      response.writeHead(202, { 'content-type': 'application/json' }).end('{"accepted":true}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => [...byKey].map(([key, body]) => ({ key, body })),
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
