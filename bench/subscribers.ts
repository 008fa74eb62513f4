import { io, type Socket } from 'socket.io-client';
import { quantile } from './spread.ts';

/**
 * A process of its own with many Socket.IO subscribers: `node bench/subscribers.ts URL COUNT RUN...`, socket i follows run i mod n, the token in
 * BENCH_TOKEN. Sends `ready` when all are subscribed; at the end of the runs, how late its events reached them.
 */
type TopicEvent = { seq: number; type: string; at: string };

const [url = '', count = '1', ...runs] = process.argv.slice(2);
const subscribers = Number(count);
const CLOSED = new Set(['run.completed', 'run.failed', 'run.cancelled', 'run.timed_out']);
const late: number[] = [];
let missing = 0;
let ended = 0;
let live = false;

const sockets = Array.from({ length: subscribers }, () =>
  io(url, { path: '/socket.io', transports: ['websocket'], auth: { token: process.env.BENCH_TOKEN }, forceNew: true, autoConnect: false }),
);
for (let first = 0; first < sockets.length; first += 50)
  await Promise.all(sockets.slice(first, first + 50).map((socket, i) => subscribe(socket, first + i)));
live = true;
process.send?.({ ready: true });

async function subscribe(socket: Socket, index: number): Promise<void> {
  let last = 0;
  socket.on('event', (event: TopicEvent) => {
    const now = performance.timeOrigin + performance.now();
    missing += event.seq - last - 1;
    last = event.seq;
    if (live) late.push(now - Date.parse(event.at));
    if (CLOSED.has(event.type) && ++ended === subscribers) report();
  });
  socket.on('disconnect', () => process.exit(1));
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
    socket.connect();
  });
  const run = runs[index % runs.length] ?? '';
  const ack = (await socket.emitWithAck('subscribe', { topic: `run:${run}`, after: 0 })) as { ok: boolean };
  if (!ack.ok) throw new Error(`not subscribed: ${JSON.stringify(ack)}`);
}

function report(): void {
  const { rss } = process.memoryUsage();
  process.send?.({ events: late.length, missing, p50: quantile(late, 0.5), p99: quantile(late, 0.99), rss }, () => process.exit(0));
}
