import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Log } from './connection.ts';
import { startupOptions } from './pool.ts';

/** The connection whose life is that of the worker: others take over its runs when it ends. */
export type Session = {
  /** Resolves when it is open for the first time. */
  opened: Promise<void>;
  /** False while it is being opened again. Who is not alive in the eyes of others must not begin anything. */
  held: () => boolean;
  /** There is something of this worker for others to find: its row stays when it ends. */
  leave: () => void;
  /** Ends it. The row of the worker stays if it owns open runs, so that the next one takes them over at once. */
  close: () => Promise<void>;
};

export type SessionOptions = {
  url: string;
  worker: { id: string; name: string; version: string; data: Record<string, string | number> };
  log: Log;
};

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 300;

/** Opens it, and again whenever it is lost, for as long as it takes. */
export function openSession(options: SessionOptions): Session {
  const { worker, log } = options;
  const opened = Promise.withResolvers<undefined>();
  const closing = new AbortController();
  let held: pg.Client | undefined;
  let leaves = false;
  const once = async () => {
    const client = newClient(options);
    const lost = new Promise<void>((resolve) => {
      client.on('error', () => undefined);
      client.on('end', resolve);
    });
    try {
      await client.connect();
      await client.query('select open_session_v1($1, $2, $3, $4)', [worker.id, worker.name, worker.version, JSON.stringify(worker.data)]);
      held = client;
      opened.resolve(undefined);
      await Promise.race([lost, aborted(closing.signal)]);
      if (!closing.signal.aborted) log('session.lost', {});
    } finally {
      held = undefined;
      await client.end().catch(() => undefined);
    }
  };
  const loop = async () => {
    for (let pauseMs = FIRST_PAUSE_MS; !closing.signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        await once();
        pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        log('session.not_opened', { error });
      }
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };
  const done = loop();
  return {
    opened: opened.promise,
    held: () => held !== undefined,
    leave: () => {
      leaves = true;
    },
    close: async () => {
      if (!leaves) await held?.query('select forget_worker_v1($1)', [worker.id]).catch(() => undefined);
      closing.abort();
      await done;
    },
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });

const newClient = (options: SessionOptions) =>
  new pg.Client({
    connectionString: options.url,
    application_name: `tiu worker ${options.worker.name}`,
    options: startupOptions('tiu_engine'),
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
