import type { Database } from '../db/database.ts';
import { countBusy } from '../db/dispatch.ts';
import type { Clock } from '../runtime/clock.ts';

/** Room for runs of this process that do more than wait. */
export type RunSlots = {
  /** @returns how many of `n` may be begun now */
  room: (n: number) => Promise<number>;
  /** So many were begun. */
  taken: (n: number) => void;
};

/** Runs that only waited go on by themselves: so old a count may be, ms. */
const COUNT_MS = 250;

/** Counts as seldom as it can: a process may own tens of thousands of runs that wait, which all are gone through. */
export function createRunSlots(deps: { db: Pick<Database, 'rows'>; worker: string; clock: Clock }, max: number): RunSlots {
  let free = 0;
  let countedAt = -Infinity;
  return {
    room: async (n) => {
      const now = deps.clock.now();
      if (free < n || now - countedAt >= COUNT_MS) {
        free = max - (await countBusy(deps.db, { worker: deps.worker, upTo: max }));
        countedAt = now;
      }
      return Math.max(0, Math.min(n, free));
    },
    taken: (n) => {
      free -= n;
    },
  };
}
