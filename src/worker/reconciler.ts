import { holdDuty, releaseDuty, sweepLeases } from '../db/lease.ts';
import { sweepLimits } from '../db/limits.ts';
import { expireEvents, sweepEvents } from '../db/events.ts';
import { openExternals } from '../db/externals.ts';
import { closeWaitsOfClosed, makePartitions, openRuns, openSlices } from '../db/reconcile.ts';
import { sweepWorkers } from '../db/workers.ts';
import type { Clock } from '../runtime/clock.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';
import { repairRun, repairSlice, type RepairDeps } from './repair.ts';
import { repairExternal } from './repairExternal.ts';

export type ReconcilerDeps = RepairDeps & {
  /** Id of this worker: holder of the duty. */
  worker: string;
  clock: Clock;
  temporalUp: () => boolean;
  onTemporal: (up: boolean) => void;
  /** Something was unmarked that the dispatcher starts. */
  kick: () => void;
};

export type Reconciler = {
  /** Last complete pass, ms since the epoch; null while another process holds the duty. */
  lastPass: () => number | null;
  stop: () => Promise<void>;
};

const DUTY = 'reconciler';
const LEASE_MS = 10_000;
const PERIOD_MS = 2_000;
const DAY_MS = 86_400_000;
/** Runs looked at in one pass. Many at once would cost the server more than they are worth; the rest follows. */
const BATCH = 60;
/** Of each kind of execution that tasks wait for. */
const PARTS = 20;
const LANES = 4;
const FIRST = '00000000-0000-0000-0000-000000000000';

/**
 * Makes Temporal agree with the rows. One process at a time has the duty. A pass asks for one batch of open runs, each by
 * `describe`: visibility lags and would repair what is well.
 */
export function createReconciler(deps: ReconcilerDeps): Reconciler {
  const fault = createFaultLog(deps, 'reconcile.failed');
  let lastPass: number | null = null;
  let after = FIRST;
  let housekept = -Infinity;
  const pass = async (): Promise<boolean> => {
    if (!(await holdDuty(deps.db, { key: DUTY, holder: deps.worker, ms: LEASE_MS }))) {
      lastPass = null;
      return false;
    }
    const now = deps.clock.now();
    await sweep(deps, now - housekept > DAY_MS);
    if (now - housekept > DAY_MS) housekept = now;
    if (!deps.temporalUp()) return false;
    const runs = await openRuns(deps.db, { after, limit: BATCH });
    after = runs.length < BATCH ? FIRST : (runs.at(-1)?.runId ?? FIRST);
    const repaired = (await inLanes(runs, (run) => repairRun(deps, run))) + (await repairParts(deps));
    lastPass = deps.clock.now();
    deps.metrics.reconciled.set(lastPass / 1000);
    // Where one is lost, many are: go on at once.
    return repaired > 0 && after !== FIRST;
  };
  const pump = createPump(pass, (error) => {
    if (temporalFailure(error) === 'down') deps.onTemporal(false);
    else fault(error);
  });
  const timer = setInterval(pump.kick, PERIOD_MS);
  pump.kick();
  return {
    lastPass: () => lastPass,
    stop: async () => {
      clearInterval(timer);
      await pump.stop();
      await releaseDuty(deps.db, { key: DUTY, holder: deps.worker });
    },
  };
}

async function repairParts(deps: ReconcilerDeps): Promise<number> {
  const slices = await inLanes(await openSlices(deps.db, PARTS), (slice) => repairSlice(deps, slice));
  const repaired = slices + (await inLanes(await openExternals(deps.db, PARTS), (external) => repairExternal(deps, external)));
  if (repaired > 0) deps.kick();
  return repaired;
}

async function sweep(deps: ReconcilerDeps, daily: boolean): Promise<void> {
  if ((await sweepLimits(deps.db)).length > 0) deps.kick();
  await sweepLeases(deps.db);
  await closeWaitsOfClosed(deps.db);
  if ((await sweepEvents(deps.db)).length > 0) deps.kick();
  if (!daily) return;
  await expireEvents(deps.db);
  await makePartitions(deps.db);
  await sweepWorkers(deps.db);
}

/** A few at a time; the first failure ends it and is thrown when those under way have ended. @returns how many answered true */
async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<boolean>): Promise<number> {
  const queue = [...items];
  const failures: unknown[] = [];
  let count = 0;
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      try {
        if (await work(item)) count++;
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  if (failures.length > 0) throw failures[0];
  return count;
}
