import type { CarryAgain } from '../activities/carry.ts';
import type { Database } from '../db/database.ts';
import type { BegunRow } from '../db/dispatch.ts';
import { adoptRuns, forgetWorker, goneWorkers, reclaimRuns, releaseWorker, STALL_MS, type GoneWorker } from '../db/workers.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';
import { CLAIM_MS } from './unfinishedStarts.ts';

export type TakeoverDeps = {
  db: Pick<Database, 'rows'>;
  /** Goes on with a run in this process as far as that goes. */
  carry: CarryAgain;
  clock: Clock;
  metrics: WorkerMetrics;
  log: Log;
  /** Id of this worker. */
  worker: string;
  /** Whether this worker is alive in the eyes of others. */
  held: () => boolean;
  /** There is something to start anew in Temporal. */
  onTaken: () => void;
  /** Nothing is left of a worker. */
  onGone: (worker: string) => void;
};

/** A run that was taken over. `ended`: it is over, only its execution does not know yet. `fresh`: it was queued, so it has none. */
export type TakenRun = { run: BegunRow; ended: ClosedStatus | null; fresh?: true };

export type Takeover = {
  /** Runs whose executions are to be started anew. */
  taken: TakenRun[];
  /** Looks who is gone. @returns when what was found is taken over and carried as far as it goes */
  look: () => Promise<void>;
  /** Runs are being taken over: they go before those that have not begun. */
  busy: () => boolean;
  stop: () => Promise<void>;
};

/** An ended session is noticed within this, ms. A look costs the server 60 µs and this process 200. */
const LOOK_MS = 100;
/** A gap between two looks beyond this means that this process was stopped itself, or the database was away. */
const GAP_MS = 1_500;
/** How soon a worker of which nothing was left is taken over again while it is listed: it may go on (stalled), or a run of it was locked (ended). */
const AGAIN_MS = { stalled: 1_000, ended: 200 };
/** Runs taken over in one step: as many as are carried at once. */
const STEP = 8;
const ADOPT = 500;

type Passing = TakeoverDeps & {
  taken: TakenRun[];
  /** Since when looks have succeeded without a gap. Who was away himself cannot tell who is stopped. */
  steadySince: number;
  looked: number;
  busy: boolean;
  stopped: boolean;
  /** When all of a worker that is still listed was last taken over. */
  emptied: Map<string, number>;
};

/**
 * Takes over what workers held whose sessions have ended, and those that are stopped: raises the epoch of their runs and
 * carries them on in this process, a few at a time; Temporal follows. Several workers share the work of one that is gone;
 * who dies at it is taken over himself.
 */
export function createTakeover(deps: TakeoverDeps): Takeover {
  const fault = createFaultLog(deps, 'takeover.failed');
  const passing: Passing = {
    ...deps,
    taken: [],
    steadySince: Infinity,
    looked: -Infinity,
    busy: false,
    stopped: false,
    emptied: new Map(),
  };
  const guarded = async () => {
    try {
      await pass(passing);
    } catch (error) {
      passing.looked = -Infinity;
      fault(error);
    }
    return false;
  };
  const pump = createPump(guarded, fault);
  const timer = setInterval(pump.kick, LOOK_MS);
  return {
    taken: passing.taken,
    look: async () => {
      pump.kick();
      await pump.idle();
    },
    busy: () => passing.busy,
    stop: async () => {
      clearInterval(timer);
      passing.stopped = true;
      await pump.stop();
    },
  };
}

async function pass(passing: Passing): Promise<void> {
  const { db, clock, emptied } = passing;
  if (!passing.held()) return;
  const now = clock.now();
  if (now - passing.looked > GAP_MS) passing.steadySince = now;
  const gone = await goneWorkers(db, { self: passing.worker, stalls: now - passing.steadySince > STALL_MS });
  passing.looked = now;
  const again = ({ stalled }: GoneWorker) => (stalled ? AGAIN_MS.stalled : AGAIN_MS.ended);
  const fresh = gone.filter((one) => now - (emptied.get(one.id) ?? -Infinity) > again(one));
  passing.busy = fresh.length > 0;
  for (const one of fresh) await takeOver(passing, one);
  passing.busy = false;
  if (fresh.length > 0) passing.looked = clock.now(); // it took its time: that is no gap
}

async function takeOver(passing: Passing, gone: GoneWorker): Promise<void> {
  const { db, worker } = passing;
  if (!(await releaseWorker(db, gone))) return;
  passing.metrics.takeovers.inc({ reason: gone.stalled ? 'stalled' : 'ended' });
  passing.log.warn({ gone: gone.id, stalled: gone.stalled }, 'worker.taken_over');
  for (let runs: BegunRow[] | undefined; runs === undefined || runs.length === STEP;) {
    if (passing.stopped || !passing.held()) return;
    runs = await reclaimRuns(db, { gone, worker, n: STEP, claimMs: CLAIM_MS });
    passing.metrics.runsTakenOver.inc(runs.length);
    await Promise.all(runs.map((run) => carryOn(passing, run)));
  }
  while ((await adoptRuns(db, { gone, worker, n: ADOPT })) === ADOPT);
  if (!gone.stalled) {
    await forgetWorker(db, gone.id);
    passing.onGone(gone.id);
  }
  passing.emptied.set(gone.id, passing.clock.now());
}

/** Whatever execution the run has, it has lost its epoch. */
async function carryOn(passing: Passing, run: BegunRow): Promise<void> {
  const ended = await passing.carry(run).catch((error: unknown) => {
    passing.log.warn({ err: error, runId: run.runId }, 'run.not_carried_on'); // its execution loads it
    return null;
  });
  passing.taken.push({ run, ended });
  passing.onTaken();
}
