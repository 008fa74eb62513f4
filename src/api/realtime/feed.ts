import { startupOptions } from '../../db/pool.ts';
import { listen } from '../../db/listen.ts';
import { closedRunOf, type ClosedRun, type ClosedRunJson } from '../../db/repositories/runs.ts';
import type { Log } from '../log.ts';

/** Runs that something was committed to; undefined = maybe any: look for yourself. */
type Change = ReadonlySet<string> | undefined;

export type Feed = {
  /** @returns removes the listener */
  onChange: (listener: (change: Change) => void) => () => void;
  /** Told the id of a short run that has ended, and how to read it out of its notice. What changed is told besides, and later. */
  onEnd: (listener: (run: string, read: () => ClosedRun) => void) => void;
  /**
   * Told whose rights have changed: `account:<id>`, `workspace:<id>`, `session:<id>` or `key:<id>`; undefined = maybe anybody's,
   * as notices may have been lost.
   */
  onAccess: (listener: (subject: string | undefined) => void) => void;
  close: () => Promise<void>;
};

const POLL_MS = 1_000;

/** Most notices are of runs that nobody here waits for: only the id is looked at. */
const ID_AT = '{"id":"'.length;
const readEnd = (payload: string): ClosedRun => closedRunOf(JSON.parse(payload) as ClosedRunJson);

/** Hints that something was committed: notices of the database, and a look at everything each second and on every new LISTEN, as notices get lost. */
export function createFeed(deps: { url: string; log: Log }): Feed {
  const listeners = new Set<(change: Change) => void>();
  const tell = (change: Change) => {
    for (const listener of listeners) listener(change);
  };
  const ends: ((run: string, read: () => ClosedRun) => void)[] = [];
  const rights: ((subject: string | undefined) => void)[] = [];
  const listener = listen({
    url: deps.url,
    options: startupOptions('tiu_engine'),
    channels: ['run', 'end', 'access'],
    onNotice: (channel, payload) => {
      if (channel === 'access') for (const changed of rights) changed(payload);
      else if (channel === 'end') for (const end of ends) end(payload.slice(ID_AT, ID_AT + 36), () => readEnd(payload));
      else tell(payload === '*' ? undefined : new Set(payload.split(',')));
    },
    onListen: () => {
      for (const changed of rights) changed(undefined);
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
    onEnd: (listener) => void ends.push(listener),
    onAccess: (listener) => void rights.push(listener),
    close: async () => {
      clearInterval(poll);
      await listener.close();
    },
  };
}
