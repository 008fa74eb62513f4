import type { Clock } from '../runtime/clock.ts';

/**
 * Runs that this worker has claimed and whose first `loadRun` has not ended. Bounds admission: a worker that starts more
 * than it can begin lets first workflow tasks time out. The bound follows how long a beginning takes: a few at once keep a
 * worker as busy as many do, and more only wait inside their workflow task.
 */
export type UnfinishedStarts = {
  /** How many more may be started now. */
  room: () => number;
  /** How many more may be started beyond that, of workspaces that hold little. */
  reserve: () => number;
  size: () => number;
  /** Since when there is none, ms since the epoch; undefined while there is one. */
  idleSince: () => number | undefined;
  add: (run: { runId: string; workspace: string }, place?: 'reserved') => void;
  /** The engine has begun the run, or it will not be begun here. */
  done: (runId: string) => void;
  /** Those begun at least so long ago, ms. */
  runs: (ms: number) => string[];
  /** Workspace of each. */
  workspaces: () => string[];
};

/** How long a run that was begun is left alone: until then its execution has asked for it, or somebody else repairs it. */
export const CLAIM_MS = 5_000;
/** A beginning longer than this halves the bound, a shorter one than the other lets it grow, ms. Workflow tasks have 2 s. */
const SLOW_MS = 500;
const QUICK_MS = 250;
const FIRST_BOUND = 4;
const RESERVED = 2;

type Begun = { since: number; workspace: string; reserved: boolean };

/** @param options.claimMs after this long a start counts no more: its claim has expired, and another may have it */
export function createUnfinishedStarts(
  deps: { clock: Clock; onRoom: () => void },
  options: { max: number; claimMs: number },
): UnfinishedStarts {
  const begun = new Map<string, Begun>();
  let bound = Math.min(FIRST_BOUND, options.max);
  let narrowed = -Infinity;
  let idle = deps.clock.now();
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
    for (const [runId, { since }] of begun) {
      // Insertion order is order of expiry.
      if (since + options.claimMs > now) return;
      begun.delete(runId);
      learn(since);
      if (begun.size === 0) idle = deps.clock.now();
    }
  };
  const reserved = () => [...begun.values()].filter((one) => one.reserved).length;
  const room = () => {
    expire();
    return Math.max(0, Math.floor(bound) - begun.size + reserved());
  };
  return {
    room,
    reserve: () => {
      expire();
      return RESERVED - reserved();
    },
    size: () => begun.size,
    idleSince: () => (begun.size === 0 ? idle : undefined),
    add: ({ runId, workspace }, place) => {
      begun.delete(runId);
      begun.set(runId, { since: deps.clock.now(), workspace, reserved: place === 'reserved' });
    },
    done: (runId) => {
      const one = begun.get(runId);
      if (one === undefined) return;
      const wasFull = one.reserved || room() === 0;
      begun.delete(runId);
      learn(one.since);
      if (begun.size === 0) idle = deps.clock.now();
      if (wasFull) deps.onRoom();
    },
    runs: (ms) => {
      const before = deps.clock.now() - ms;
      return [...begun].flatMap(([runId, { since }]) => (since <= before ? [runId] : []));
    },
    workspaces: () => [...begun.values()].map(({ workspace }) => workspace),
  };
}
