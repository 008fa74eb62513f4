import { LRUCache } from 'lru-cache';
import type { RunView } from '../../db/repositories/runs.ts';
import type { Feed } from './feed.ts';

/** Runs that this process has accepted and to which nothing has been committed since, as far as it has been told. */
export type Untouched = {
  /** To be taken before a run is submitted. */
  mark: () => number;
  /** @param mark from before the submit */
  add: (accepted: RunView, mark: number) => void;
  /** The run as it was accepted; undefined: it is to be read. */
  get: (run: string) => RunView | undefined;
};

const MAX = 10_000;
/** Notices after which a run may be touched: that of its submit, and one more. */
const TOUCHED = 2;

type Known = { notices: number; run?: RunView; mark?: number };

/**
 * Who waits for a run that was accepted a moment ago need not read it first: what is committed later is told, and every look
 * at everything, once a second and on every new LISTEN, forgets all of them.
 *
 * The notice of the submit itself touches no run. It may come before the submit is answered, and after the notice of the
 * first commit: so the second one counts.
 */
export function createUntouched(feed: Pick<Feed, 'onChange' | 'onEnd'>): Untouched {
  const runs = new LRUCache<string, Known>({ max: MAX });
  let looks = 0;
  const known = (id: string): Known => {
    const one = runs.get(id) ?? { notices: 0 };
    runs.set(id, one);
    return one;
  };
  feed.onEnd((id) => {
    known(id).notices = TOUCHED;
  });
  feed.onChange((change) => {
    if (change === undefined) looks++;
    else for (const id of change) known(id).notices++;
  });
  return {
    mark: () => looks,
    add: (run, mark) => {
      Object.assign(known(run.id), { run, mark });
    },
    get: (id) => {
      const one = runs.get(id);
      return one?.mark === looks && one.notices < TOUCHED ? one.run : undefined;
    },
  };
}
