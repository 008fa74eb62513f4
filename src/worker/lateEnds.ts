import type { Database } from '../db/database.ts';
import { claimUnshown, forgetUnshown, type UnshownRow } from '../db/unshown.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { runWorkflowId } from '../temporal/names.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';
import { end } from './repair.ts';

export type LateEndsDeps = {
  db: Pick<Database, 'rows'>;
  executions: Pick<Executions, 'poke' | 'describe' | 'terminate'>;
  clock: Clock;
  metrics: Pick<WorkerMetrics, 'pokes'>;
  log: Log;
  temporalUp: () => boolean;
  onTemporal: (up: boolean) => void;
  /** Since when no run is being begun here, ms since the epoch; undefined while one is. */
  idleSince: () => number | undefined;
};

const POLL_MS = 1_000;
/** Where runs are begun, and where none has been for a while: how far apart looks are, ms, and how many executions are on their way at once. */
const BUSY = { paceMs: 250, atOnce: 1 };
const QUIET = { paceMs: 50, atOnce: 4 };
const QUIET_MS = 250;
/** So long after the last one was told, those on their way may make room for more, ms. */
const UNDER_WAY_MS = 10_000;
/** One that was told so often, for five minutes, will not learn of it any more. */
const GIVE_UP = 5;

/**
 * Lets executions end whose runs were ended where they stood: each is told to look, and ends as its run has. Few at a time,
 * because each costs this machine more than the end of the run did, and nobody waits for it. What is left to be told are rows:
 * a killed worker loses nothing.
 */
export function createLateEnds(deps: LateEndsDeps): { stop: () => Promise<void> } {
  let activeUntil = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const fault = createFaultLog(deps, 'late_ends.failed');
  const onError = (error: unknown) => {
    if (temporalFailure(error) === 'down') deps.onTemporal(false);
    else fault(error);
  };
  const round = async (): Promise<boolean> => {
    const { paceMs, atOnce } = isQuiet(deps) ? QUIET : BUSY;
    try {
      const unshown = deps.temporalUp() ? await claimUnshown(deps.db, atOnce) : [];
      if (unshown.length > 0) activeUntil = deps.clock.now() + UNDER_WAY_MS;
      await Promise.all(unshown.map((one) => tell(deps, one).catch(onError)));
    } finally {
      if (!stopped) timer = setTimeout(pump.kick, deps.clock.now() < activeUntil ? paceMs : POLL_MS);
    }
    return false;
  };
  const pump = createPump(round, onError);
  pump.kick();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await pump.stop();
    },
  };
}

function isQuiet({ idleSince, clock }: LateEndsDeps): boolean {
  const idle = idleSince();
  return idle !== undefined && clock.now() - idle >= QUIET_MS;
}

async function tell(deps: LateEndsDeps, { asked, ...run }: UnshownRow): Promise<void> {
  if (asked < GIVE_UP) {
    await deps.executions.poke(run);
    deps.metrics.pokes.inc({ reason: 'ended' });
    return;
  }
  const workflowId = runWorkflowId(run.runId);
  const execution = await deps.executions.describe(workflowId);
  if (execution?.status === 'RUNNING') {
    deps.log.warn({ runId: run.runId }, 'run.end_not_taken');
    await end(deps, { ...execution, workflowId }, 'its run has ended');
  }
  await forgetUnshown(deps.db, run.runId);
}
