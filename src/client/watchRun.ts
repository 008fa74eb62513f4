import { io, type Socket } from 'socket.io-client';
import type { RunEvent } from '../domain/run/events.ts';
import { ApiProblem, toProblemBody, Unreachable } from './apiProblem.ts';

export type Connection = { baseUrl: string; token: () => Promise<string | undefined> };
export type WatchOptions = {
  /** Number of the last event already known; 0 = from the first. */
  after?: number;
  signal?: AbortSignal;
  /** Told when the connection breaks and when it is back. */
  onConnection?: (state: 'connected' | 'lost') => void;
  /** How long to go on trying to reach the service, in ms. */
  patienceMs?: number;
};
/** Whether the run is closed and `seq` is its last event. */
export type IsOver = (seq: number) => Promise<boolean>;

type Ack = { ok: true; seq: number } | { ok: false; problem: unknown };

const CLOSING: ReadonlySet<string> = new Set(['run.completed', 'run.failed', 'run.cancelled', 'run.timed_out']);
const ACK_TIMEOUT_MS = 10_000;

/**
 * The events of a run from `after` on, each once and in order, across broken connections, up to the one that closes it.
 * @throws ApiProblem when the service refuses the topic, Unreachable when it is away for longer than `patienceMs`
 */
export async function* watchRun(
  connection: Connection,
  run: { id: string; isOver: IsOver },
  options: WatchOptions = {},
): AsyncGenerator<RunEvent> {
  const feed = createFeed(options.after ?? 0);
  const stop = follow({ connection, run, options, feed });
  try {
    for (let event = await feed.next(); event !== undefined; event = await feed.next()) {
      yield event;
      if (CLOSING.has(event.type)) return;
    }
  } finally {
    stop();
  }
}

type Feed = ReturnType<typeof createFeed>;

/** Puts what arrives in order: drops what is known, and tells when something is missing. */
function createFeed(after: number) {
  const queue: RunEvent[] = [];
  let last = after;
  let ended: { error?: unknown } | undefined;
  let wake: (() => void) | undefined;
  return {
    last: () => last,
    /** @returns false if an event between is missing */
    push: (event: RunEvent): boolean => {
      if (event.seq > last + 1) return false;
      if (event.seq === last + 1) {
        queue.push(event);
        last = event.seq;
        wake?.();
      }
      return true;
    },
    end: (reason: { error?: unknown } = {}) => {
      ended ??= reason;
      wake?.();
    },
    next: async (): Promise<RunEvent | undefined> => {
      while (queue.length === 0 && !ended)
        await new Promise<void>((done) => {
          wake = done;
        });
      const event = queue.shift();
      if (event === undefined && ended?.error !== undefined) throw ended.error as Error;
      return event;
    },
  };
}

/** Connects, subscribes from the last known event each time the connection comes, and feeds. */
function follow(watch: { connection: Connection; run: { id: string; isOver: IsOver }; options: WatchOptions; feed: Feed }): () => void {
  const { connection, run, options, feed } = watch;
  const topic = `run:${run.id}`;
  const socket = io(connection.baseUrl, {
    auth: (show: Show) => void showToken(connection, show, feed),
    transports: ['websocket'],
    forceNew: true,
    reconnectionDelayMax: 2000,
  });
  const patience = createPatience(options.patienceMs ?? 60_000, () => {
    feed.end({ error: new Unreachable(connection.baseUrl) });
  });
  const subscribe = () => {
    void subscribeFrom(socket, topic, feed.last()).then(
      (ack) => {
        if (!ack.ok) feed.end({ error: new ApiProblem(toProblemBody(ack.problem, 0)) });
        else if (ack.seq <= feed.last()) void endIfOver(run, feed);
      },
      () => {
        if (socket.connected) socket.disconnect().connect();
      },
    );
  };
  socket.on('connect', () => {
    patience.reset();
    options.onConnection?.('connected');
    subscribe();
  });
  socket.on('disconnect', (reason) => {
    options.onConnection?.('lost');
    patience.start();
    if (reason === 'io server disconnect') socket.connect();
  });
  socket.on('connect_error', (error: Error & { data?: unknown }) => {
    if (socket.active) patience.start();
    else feed.end({ error: new ApiProblem(toProblemBody(error.data ?? { code: 'unauthenticated', title: error.message }, 401)) });
  });
  socket.on('event', ({ topic: of, ...event }: RunEvent & { topic?: string }) => {
    if (of === topic && !feed.push(event)) subscribe();
  });
  // What this end reads too slowly is no longer sent, and is asked for again from where it stopped.
  socket.on('behind', (notice: { topic: string }) => {
    if (notice.topic === topic) subscribe();
  });
  const aborted = () => {
    feed.end();
  };
  if (options.signal?.aborted) aborted();
  options.signal?.addEventListener('abort', aborted, { once: true });
  return () => {
    options.signal?.removeEventListener('abort', aborted);
    patience.reset();
    socket.off().disconnect();
  };
}

type Show = (auth: { token: string | undefined }) => void;

/** Asked each time the connection is made: a token may have had its time since. */
const showToken = ({ token }: Connection, show: Show, feed: Feed): Promise<void> =>
  token().then(
    (current) => {
      show({ token: current });
    },
    (error: unknown) => {
      feed.end({ error });
    },
  );

/** That nothing is left to come can only be learnt by asking: a closed run sends no further event. */
async function endIfOver(run: { isOver: IsOver }, feed: Feed): Promise<void> {
  try {
    if (await run.isOver(feed.last())) feed.end();
  } catch (error) {
    // An answer that is lost with the connection is asked for again when it is back.
    if (!(error instanceof Unreachable)) feed.end({ error });
  }
}

const subscribeFrom = (socket: Socket, topic: string, after: number): Promise<Ack> =>
  socket.timeout(ACK_TIMEOUT_MS).emitWithAck('subscribe', { topic, after }) as Promise<Ack>;

function createPatience(ms: number, lost: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    start: () => {
      timer ??= setTimeout(lost, ms);
    },
    reset: () => {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
