import type { Database } from '../db/database.ts';
import { admit, type BegunRow } from '../db/dispatch.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import type { AdmissionDeps } from './admission.ts';
import type { TakenRun } from './takeover.ts';
import { CLAIM_MS } from './unfinishedStarts.ts';

export type EarlyStartsDeps = {
  db: Pick<Database, 'rows'>;
  carry: AdmissionDeps['carry'];
  /** Id of this worker. */
  worker: string;
  /** Where runs go whose execution is still to be started. */
  taken: TakenRun[];
  /** Whether this worker is alive in the eyes of others. */
  held: () => boolean;
  /** Temporal is reached: from now on admission begins what is queued. */
  isUp: () => boolean;
};

/** Runs that wait for Temporal to go on, and all. */
const MAX_OPEN = 4;
const MAX = 64;

/**
 * Begins queued runs while this process still reaches for Temporal: many of them end in their first segment.
 * @returns looks for some, and resolves when none is left or it has begun as many as it may
 */
export function createEarlyStarts(deps: EarlyStartsDeps): { look: () => Promise<void> } {
  let [all, open] = [0, 0];
  return {
    look: async () => {
      while (all < MAX && open < MAX_OPEN && !deps.isUp() && deps.held()) {
        const begun = await admit(deps.db, { worker: deps.worker, n: MAX_OPEN - open, claimMs: CLAIM_MS });
        if (begun.length === 0) return;
        const ended = await Promise.all(begun.map((run) => begin(deps, run)));
        all += begun.length;
        open += ended.filter((one) => one === null).length;
      }
    },
  };
}

async function begin(deps: EarlyStartsDeps, run: BegunRow): Promise<ClosedStatus | null> {
  // One that fails goes on in its execution.
  const ended = await deps.carry(run).catch(() => null);
  deps.taken.push({ run, ended, fresh: true });
  return ended;
}
