import type { Database } from '../db/database.ts';
import { admit, type BegunRow } from '../db/dispatch.ts';
import type { AdmissionDeps } from './admission.ts';
import type { TakenRun } from './takeover.ts';
import { CLAIM_MS } from './unfinishedStarts.ts';

export type BeginEarlyDeps = {
  db: Pick<Database, 'rows'>;
  carry: AdmissionDeps['carry'];
  /** Id of this worker. */
  worker: string;
  /** Where runs go whose execution is still to be started. */
  taken: TakenRun[];
  /** Temporal is reached: from now on admission begins what is queued. */
  isUp: () => boolean;
};

/** Runs that wait for Temporal to go on, and all. */
const MAX_OPEN = 4;
const MAX = 64;

/** Begins queued runs while this process still reaches for Temporal: many of them end in their first segment. */
export async function beginEarly(deps: BeginEarlyDeps): Promise<void> {
  for (let all = 0, open = 0; all < MAX && open < MAX_OPEN && !deps.isUp();) {
    const begun = await admit(deps.db, { worker: deps.worker, n: MAX_OPEN - open, claimMs: CLAIM_MS, maxRuns: MAX });
    if (begun.length === 0) return;
    const ended = await Promise.all(begun.map((run) => begin(deps, run)));
    all += begun.length;
    open += ended.filter((one) => !one).length;
  }
}

async function begin(deps: BeginEarlyDeps, run: BegunRow): Promise<boolean> {
  // One that fails goes on in its execution.
  const ended = (await deps.carry(run).catch(() => null)) !== null;
  deps.taken.push({ run, ended });
  return ended;
}
