import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import type { RunEvent } from '../../src/domain/run/events.ts';

/** Speaks the topic protocol over a log that the test writes, and misbehaves on request. */
export async function aLogServer(runId: string) {
  const log: RunEvent[] = [];
  const asked: number[] = [];
  const web = http.createServer();
  const io = new Server(web);
  const topic = `run:${runId}`;
  io.use((socket, next) => {
    if (socket.handshake.auth.token === 'good') next();
    else next(Object.assign(new Error('refused'), { data: { code: 'unauthenticated', status: 401, title: 'Authentication is required' } }));
  });
  io.on('connection', (socket) => {
    socket.on('subscribe', (message: { topic: string; after: number }, ack: (answer: object) => void) => {
      if (message.topic !== topic) {
        ack({ ok: false, problem: { code: 'not_found', status: 404, title: 'Not found' } });
        return;
      }
      asked.push(message.after);
      void socket.join(topic);
      ack({ ok: true, seq: log.length });
      for (const event of log.slice(message.after)) socket.emit('event', { topic, ...event });
    });
  });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  return {
    baseUrl: `http://127.0.0.1:${(web.address() as AddressInfo).port}`,
    /** What subscribers asked to start after, in order. */
    asked,
    write: (type: RunEvent['type'], options: { lost?: boolean } = {}) => {
      const event: RunEvent = { seq: log.length + 1, type, at: '2026-01-01T00:00:00.000Z', runId };
      log.push(event);
      if (!options.lost) io.to(topic).emit('event', { topic, ...event });
    },
    /** Tells subscribers that they are too slow, and sends them nothing until they ask again. */
    fallBehind: async () => {
      io.to(topic).emit('behind', { topic, seq: 0 });
      for (const socket of await io.in(topic).fetchSockets()) socket.leave(topic);
    },
    repeat: (seq: number) => io.to(topic).emit('event', { topic, ...log[seq - 1] }),
    /** Breaks every connection without a word, as a network does. */
    cut: () => {
      for (const socket of io.sockets.sockets.values()) socket.conn.transport.close();
    },
    close: async () => {
      await io.close();
    },
  };
}
