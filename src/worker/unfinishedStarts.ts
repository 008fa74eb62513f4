import type { Clock } from '../runtime/clock.ts';

/**
 * Runs that this worker has claimed and whose first `loadRun` has not ended. Bounds admission: a worker that starts more
 * than it can begin lets first workflow tasks time out. The bound follows how long a beginning takes: a few at once keep a
 * worker as busy as many do, and more only wait inside their workflow task.
 */
export type UnfinishedStarts = {
  /** How many more may be started now. */
  room: () => number;
  size: () => number;
  add: (runId: string) => void;
  /** The engine has begun the run, or it will not be begun here. */
  done: (runId: string) => void;
  /** Those begun at least so long ago, ms. */
  runs: (ms: number) => string[];
};

/** How long a run that was begun is left alone: until then its execution has asked for it, or somebody else repairs it. */
export const CLAIM_MS = 5_000;
/** A beginning longer than this halves the bound, a shorter one than the other lets it grow, ms. Workflow tasks have 2 s. */
const SLOW_MS = 500;
const QUICK_MS = 250;
const FIRST_BOUND = 4;

/** @param options.claimMs after this long a start counts no more: its claim has expired, and another may have it */
export function createUnfinishedStarts(
  deps: { clock: Clock; onRoom: () => void },
  options: { max: number; claimMs: number },
): UnfinishedStarts {
  const begun = new Map<string, number>();
  let bound = Math.min(FIRST_BOUND, options.max);
  let narrowed = -Infinity;
  const learn = (since: number) => {
    const now = deps.clock.now();
    if (now - since < QUICK_MS) bound = Math.min(options.max, bound + 1 / bound);
    // Those begun before the bound was narrowed say nothing about it.
    if (now - since <= SLOW_MS || since < narrowed) return;
    bound = Math.max(1, bound / 2);
    narrowed = now;
  };
  const expire = () => {
    const now = deps.clock.now();
    for (const [runId, since] of begun) {
      // Insertion order is order of expiry.
      if (since + options.claimMs > now) return;
      begun.delete(runId);
      learn(since);
    }
  };
  return {
    room: () => {
      expire();
      return Math.max(0, Math.floor(bound) - begun.size);
    },
    size: () => begun.size,
    add: (runId) => {
      begun.delete(runId);
      begun.set(runId, deps.clock.now());
    },
    done: (runId) => {
      const since = begun.get(runId);
      if (since === undefined) return;
      const wasFull = begun.size >= Math.floor(bound);
      begun.delete(runId);
      learn(since);
      if (wasFull) deps.onRoom();
    },
    runs: (ms) => {
      const before = deps.clock.now() - ms;
      return [...begun].flatMap(([runId, since]) => (since <= before ? [runId] : []));
    },
  };
}
