import type { Clock } from '../runtime/clock.ts';

/**
 * Runs that this worker has claimed and whose first `loadRun` has not ended. Bounds admission: a worker that starts more
 * than it can begin lets first workflow tasks time out.
 */
export type UnfinishedStarts = {
  /** How many more may be started now. */
  room: () => number;
  size: () => number;
  add: (runId: string) => void;
  /** The engine has begun the run, or it will not be begun here. */
  done: (runId: string) => void;
  runs: () => string[];
};

/** @param options.claimMs after this long a start counts no more: its claim has expired, and another may have it */
export function createUnfinishedStarts(
  deps: { clock: Clock; onRoom: () => void },
  options: { max: number; claimMs: number },
): UnfinishedStarts {
  const until = new Map<string, number>();
  const expire = () => {
    const now = deps.clock.now();
    for (const [runId, at] of until) {
      // Insertion order is order of expiry.
      if (at > now) return;
      until.delete(runId);
    }
  };
  return {
    room: () => {
      expire();
      return Math.max(0, options.max - until.size);
    },
    size: () => until.size,
    add: (runId) => {
      until.delete(runId);
      until.set(runId, deps.clock.now() + options.claimMs);
    },
    done: (runId) => {
      const wasFull = until.size >= options.max;
      if (until.delete(runId) && wasFull) deps.onRoom();
    },
    runs: () => [...until.keys()],
  };
}
