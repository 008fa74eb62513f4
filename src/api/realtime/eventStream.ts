import { PassThrough } from 'node:stream';
import type { RunRow } from '../../db/repositories/runs.ts';
import type { RunEvent } from '../../domain/run/events.ts';
import { isClosed, type RunStatus } from '../../domain/plan/outcome.ts';
import { eventText } from './frames.ts';
import type { Rooms } from './rooms.ts';

const HEARTBEAT_MS = 15_000;
/** Bytes that may wait for a slow reader. */
const BUFFER = 1024 * 1024;

const isLast = (event: RunEvent): boolean => event.type.startsWith('run.') && isClosed(event.type.slice('run.'.length) as RunStatus);

/**
 * Events of a run as a stream of server-sent events, from after `after`; `id:` is the event's number. It ends after the
 * event that closes the run, and for a reader that is too slow, who comes back with Last-Event-ID.
 */
export async function eventStream(rooms: Rooms, run: RunRow, from: { after: number; gone: AbortSignal }): Promise<PassThrough> {
  const stream = new PassThrough({ highWaterMark: 64 * 1024 });
  stream.write('retry: 1000\n: follow\n\n');
  if (run.finished !== null && from.after >= run.last_seq) return stream.end();
  const heartbeat = setInterval(() => {
    if (stream.writableLength < BUFFER) stream.write(': alive\n\n');
  }, HEARTBEAT_MS);
  const stop = await rooms.follow(run, from.after, {
    events: (events) => {
      if (stream.writableEnded || stream.destroyed) return;
      stream.write(events.map((event) => `id: ${event.seq}\nevent: ${event.type}\ndata: ${eventText(event)}\n\n`).join(''));
      if (events.some(isLast)) stream.end();
    },
    full: () => stream.writableLength > BUFFER,
    drained: () =>
      new Promise((resolve) => {
        if (!stream.writableNeedDrain || stream.destroyed) resolve();
        else stream.once('drain', resolve).once('close', resolve);
      }),
    behind: () => stream.end(),
  });
  const end = () => {
    clearInterval(heartbeat);
    stop();
  };
  stream.once('finish', end).once('close', end);
  from.gone.addEventListener('abort', () => stream.destroyed || stream.end(), { once: true });
  return stream;
}
