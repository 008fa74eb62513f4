import type { Database } from '../db/database.ts';
import { reportWorker } from '../db/workers.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';
import type { Reconciler } from './reconciler.ts';
import type { UnfinishedStarts } from './unfinishedStarts.ts';

export type HealthDeps = {
  db: Pick<Database, 'rows'>;
  log: Log;
  clock: Clock;
  reconciler: Pick<Reconciler, 'lastPass'>;
  unfinished: Pick<UnfinishedStarts, 'size'>;
  temporalUp: () => boolean;
  /** The last put into the object store failed for want of room. */
  storageFull?: (() => boolean) | undefined;
};

const PERIOD_MS = 1_000;

/** Tells the rest of the product by a row, every second, that this worker lives and whether it reaches Temporal. */
export function startHealth(deps: HealthDeps, worker: { id: string; name: string; version: string }): { stop: () => Promise<void> } {
  const report = async () => {
    await reportWorker(deps.db, {
      ...worker,
      temporal: deps.temporalUp(),
      reconciledMs: deps.reconciler.lastPass(),
      data: {
        pid: process.pid,
        rss: process.memoryUsage.rss(),
        unfinishedStarts: deps.unfinished.size(),
        storageFull: deps.storageFull?.() ?? false,
      },
    });
    return false;
  };
  const pump = createPump(report, createFaultLog(deps, 'health.failed'));
  const timer = setInterval(pump.kick, PERIOD_MS);
  pump.kick();
  return {
    stop: async () => {
      clearInterval(timer);
      await pump.stop();
    },
  };
}
