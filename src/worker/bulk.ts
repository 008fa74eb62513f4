import { setTimeout as sleep } from 'node:timers/promises';
import { forgetBulk, nextBulk, scanRuns, type DueBulk } from '../db/bulk.ts';
import type { Commands, RetryOrder } from '../db/commands.ts';
import type { Database } from '../db/database.ts';
import { holdDuty, releaseDuty } from '../db/lease.ts';
import type { Plans } from '../db/repositories/plans.ts';
import { retryOrder } from '../db/retryOrder.ts';
import { Problem } from '../domain/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';

export type BulkDeps = {
  db: Database;
  plans: Plans;
  commandMany: Commands['commandMany'];
  log: Log;
  clock: Clock;
  /** Id of this worker: holder of the duty. */
  worker: string;
};

const DUTY = 'bulk';
const LEASE_MS = 5_000;
const PERIOD_MS = 1_000;
/** Runs of one step: their rows are locked until it is committed. */
const MAX_STEP = 100;
const STEPS_A_SECOND = 10;
const DAY_MS = 86_400_000;
const KEPT_DAYS = 30;

/**
 * Takes bulk jobs further; one process at a time has the duty. A step is one commit that gives commands and moves the cursor of
 * the job, so whoever has the duty next goes on where the last commit left it.
 * @param rate runs a second, at most
 */
export function startBulk(deps: BulkDeps, rate: number): { kick: () => void; stop: () => Promise<void> } {
  const limit = Math.min(MAX_STEP, Math.ceil(rate / STEPS_A_SECOND));
  const stopping = new AbortController();
  let forgot = -Infinity;
  const round = async (): Promise<boolean> => {
    if (!(await holdDuty(deps.db, { key: DUTY, holder: deps.worker, ms: LEASE_MS }))) return false;
    const from = deps.clock.now();
    if (from - forgot > DAY_MS) await forgetBulk(deps.db, KEPT_DAYS);
    forgot = Math.max(forgot, from);
    const bulk = await nextBulk(deps.db);
    if (!bulk) return false;
    const runs = await advance(deps, bulk, limit);
    const took = deps.clock.now() - from;
    // as long as the step took at least: half of the time belongs to others
    await sleep(Math.max(took, (runs * 1_000) / rate - took), undefined, { signal: stopping.signal }).catch(() => undefined);
    return true;
  };
  const pump = createPump(round, createFaultLog(deps, 'bulk.failed'));
  const timer = setInterval(pump.kick, PERIOD_MS);
  return {
    kick: pump.kick,
    stop: async () => {
      clearInterval(timer);
      stopping.abort();
      await pump.stop();
      await releaseDuty(deps.db, { key: DUTY, holder: deps.worker });
    },
  };
}

/** One step of a job. @returns how many runs it was about */
async function advance(deps: BulkDeps, bulk: DueBulk, limit: number): Promise<number> {
  const { runs, to, last } = await scanRuns(deps.db, bulk, limit);
  const orders: (RetryOrder | null)[] = [];
  if (bulk.type === 'retry') for (const run of runs) orders.push(await orderOf(deps, run));
  const { id, type, cursor } = bulk;
  const applied = await deps.commandMany({ bulk: id, type, from: cursor, to, last, runs: runs.map((run) => run.id), orders });
  if (applied && last) deps.log.info({ bulk: id, type }, 'bulk.completed');
  return runs.length;
}

/** What a retry of the run runs again; null if nothing can be. */
async function orderOf({ db, plans }: BulkDeps, run: { id: string; plan: string }): Promise<RetryOrder | null> {
  const { graph } = (await plans.get(run.plan)).plan;
  try {
    return await retryOrder(db, { id: run.id, graph }, undefined);
  } catch (error) {
    if (error instanceof Problem && error.code === 'state_conflict') return null;
    throw error;
  }
}
