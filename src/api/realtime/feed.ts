import { startupOptions } from '../../db/pool.ts';
import { listen } from '../../db/listen.ts';
import type { Log } from '../log.ts';

/** Runs that something was committed to; undefined = maybe any: look for yourself. */
type Change = ReadonlySet<string> | undefined;

export type Feed = {
  /** @returns removes the listener */
  onChange: (listener: (change: Change) => void) => () => void;
  close: () => Promise<void>;
};

const POLL_MS = 1_000;

/** Hints that something was committed: notices of the database, and a look at everything each second and on every new LISTEN, as notices get lost. */
export function createFeed(deps: { url: string; log: Log }): Feed {
  const listeners = new Set<(change: Change) => void>();
  const tell = (change: Change) => {
    for (const listener of listeners) listener(change);
  };
  const listener = listen({
    url: deps.url,
    options: startupOptions('tiu_engine'),
    channels: ['run'],
    onNotice: (_, payload) => {
      tell(payload === '*' ? undefined : new Set(payload.split(',')));
    },
    onListen: () => {
      tell(undefined);
    },
    onError: (error) => {
      deps.log.warn({ err: error }, 'feed.broken');
    },
  });
  const poll = setInterval(() => {
    tell(undefined);
  }, POLL_MS);
  return {
    onChange: (add) => {
      listeners.add(add);
      return () => listeners.delete(add);
    },
    close: async () => {
      clearInterval(poll);
      await listener.close();
    },
  };
}
