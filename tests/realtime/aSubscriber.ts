import { io, type Socket } from 'socket.io-client';
import type { RunEvent } from '../../src/domain/run/events.ts';

export type Ack = { ok: boolean; seq?: number; problem?: { code: string } };

export const aSocket = (url: string, token: string): Socket =>
  io(url, { auth: { token }, transports: ['websocket'], reconnection: false, forceNew: true });

export const ask = async (socket: Socket, name: 'subscribe' | 'unsubscribe', request: unknown): Promise<Ack> =>
  (await socket.timeout(10_000).emitWithAck(name, request)) as Ack;

/**
 * Follows a run to its end over Socket.IO. `lose` says after how many further events to drop the connection and come
 * back, perhaps to another process, asking from the last number received. `again`: connections are cut by others too.
 */
export async function follow(
  target: { urls: string[]; token: string; run: string; onEvent?: () => void },
  lose: () => number,
  onError: 'fail' | 'again' = 'fail',
): Promise<{ events: RunEvent[]; connections: number }> {
  const { urls, token, run } = target;
  const events: RunEvent[] = [];
  let connections = 0;
  const done = () => /^run\.(completed|failed|cancelled|timed_out)$/.test(events.at(-1)?.type ?? '');
  while (!done()) {
    const socket = aSocket(urls[connections % urls.length] ?? '', token);
    connections += 1;
    let left = lose();
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        socket.disconnect();
        resolve();
      };
      socket.on('connect_error', onError === 'fail' ? reject : end);
      socket.on('behind', end);
      if (onError === 'again') socket.on('disconnect', end);
      socket.on('event', (event: RunEvent) => {
        if (left <= 0) return; // what is still in flight when the connection goes is lost
        events.push(event);
        target.onEvent?.();
        left -= 1;
        if (done() || left <= 0) end();
      });
      socket.on('connect', () => {
        ask(socket, 'subscribe', { topic: `run:${run}`, after: events.at(-1)?.seq ?? 0 }).then(
          (ack) => {
            if (!ack.ok) reject(new Error(JSON.stringify(ack)));
          },
          onError === 'fail' ? reject : end,
        );
      });
    });
  }
  return { events, connections };
}
