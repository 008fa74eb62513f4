import { LRUCache } from 'lru-cache';
import type { RunView } from '../../db/repositories/runs.ts';
import type { Feed } from './feed.ts';

/** Runs that this process has accepted and to which nothing has been committed since, as far as it has been told. */
export type Untouched = {
  add: (accepted: RunView) => void;
  /** The run as it was accepted; undefined: it is to be read. */
  get: (run: string) => RunView | undefined;
};

const MAX = 10_000;

/**
 * Who waits for a run that was accepted a moment ago need not read it first: what is committed later is told, and every look
 * at everything, once a second and on every new LISTEN, forgets all of them.
 */
export function createUntouched(feed: Pick<Feed, 'onChange' | 'onEnd'>): Untouched {
  // The notice of its own submit touches no run, and it may come after the one of the first commit: any two of them do.
  const runs = new LRUCache<string, { run: RunView; told: boolean }>({ max: MAX });
  feed.onEnd((run) => runs.delete(run));
  feed.onChange((change) => {
    if (change === undefined) {
      runs.clear();
      return;
    }
    for (const id of change) {
      const known = runs.peek(id);
      if (known?.told) runs.delete(id);
      else if (known) known.told = true;
    }
  });
  return {
    add: (run) => runs.set(run.id, { run, told: false }),
    get: (run) => runs.get(run)?.run,
  };
}
