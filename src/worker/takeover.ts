import type { Database } from '../db/database.ts';
import {
  adoptRuns,
  forgetWorker,
  goneWorkers,
  reclaimRuns,
  releaseWorker,
  STALL_MS,
  type GoneWorker,
  type ReclaimedRun,
} from '../db/workers.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { CLAIM_MS } from './admission.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';
import type { UnfinishedStarts } from './unfinishedStarts.ts';

export type TakeoverDeps = {
  db: Pick<Database, 'rows'>;
  executions: Pick<Executions, 'restart'>;
  unfinished: UnfinishedStarts;
  clock: Clock;
  metrics: WorkerMetrics;
  log: Log;
  /** Id of this worker. */
  worker: string;
  /** Whether this worker is alive in the eyes of others. */
  held: () => boolean;
  temporalUp: () => boolean;
  /** All is taken over: others may use the room for beginnings. */
  onDone: () => void;
};

export type Takeover = {
  kick: () => void;
  /** Runs wait to be taken over: they go before those that have not begun. */
  pending: () => boolean;
  stop: () => Promise<void>;
};

/** An ended session is noticed within this, ms. A look costs the server 60 µs and this process 200. */
const LOOK_MS = 100;
/** A gap between two looks beyond this means that this process was stopped itself, or the database was away. */
const GAP_MS = 1_500;
/** A worker that is still listed when nothing is left of it: a run of it may have been locked. */
const AGAIN_MS = 1_000;
const ADOPT = 500;

type Passing = TakeoverDeps & {
  /** Since when looks have succeeded without a gap. Who was away himself cannot tell who is stopped. */
  steadySince: number;
  looked: number;
  /** Ids of workers with runs to take over. */
  pending: Set<string>;
  /** When all of a worker that is still listed was last taken over. */
  emptied: Map<string, number>;
  /** Begun anew in the database, not yet in Temporal. */
  owed: ReclaimedRun[];
};

/**
 * Takes over what workers held whose sessions have ended, and those that are stopped: raises the epoch of their runs and
 * starts their executions anew, paced like beginnings. Several workers share the work of one that is gone; who dies at
 * it is taken over himself.
 */
export function createTakeover(deps: TakeoverDeps): Takeover {
  const fault = createFaultLog(deps, 'takeover.failed');
  const passing: Passing = { ...deps, steadySince: Infinity, looked: -Infinity, pending: new Set(), emptied: new Map(), owed: [] };
  const pump = createPump(
    () => pass(passing),
    (error) => {
      passing.looked = -Infinity;
      fault(error);
    },
  );
  const timer = setInterval(pump.kick, LOOK_MS);
  pump.kick();
  return {
    kick: () => {
      if (passing.pending.size > 0) pump.kick();
    },
    pending: () => passing.pending.size > 0,
    stop: async () => {
      clearInterval(timer);
      await pump.stop();
    },
  };
}

async function pass(passing: Passing): Promise<boolean> {
  const { db, clock, pending } = passing;
  if (!passing.held()) return false;
  const now = clock.now();
  if (now - passing.looked > GAP_MS) passing.steadySince = now;
  const gone = await goneWorkers(db, { self: passing.worker, stalls: now - passing.steadySince > STALL_MS });
  passing.looked = now;
  for (const id of pending) if (!gone.some((one) => one.id === id)) pending.delete(id);
  const busy = pending.size > 0;
  for (const one of gone) if (now - (passing.emptied.get(one.id) ?? -Infinity) > AGAIN_MS) await takeOver(passing, one);
  await restart(passing, passing.owed.splice(0));
  if (busy && pending.size === 0) passing.onDone();
  return false;
}

async function takeOver(passing: Passing, gone: GoneWorker): Promise<void> {
  const { db, worker, pending, unfinished, metrics } = passing;
  if (!pending.has(gone.id)) {
    if (!(await releaseWorker(db, gone))) return;
    pending.add(gone.id);
    metrics.takeovers.inc({ reason: gone.stalled ? 'stalled' : 'ended' });
    passing.log.warn({ gone: gone.id, stalled: gone.stalled }, 'worker.taken_over');
  }
  if (!passing.temporalUp()) return;
  const n = unfinished.room();
  if (n === 0) return;
  const runs = await reclaimRuns(db, { gone, worker, n, claimMs: CLAIM_MS });
  metrics.runsTakenOver.inc(runs.length);
  for (const { runId } of runs) unfinished.add(runId);
  await restart(passing, runs);
  if (runs.length === n) return;
  while ((await adoptRuns(db, { gone, worker, n: ADOPT })) === ADOPT);
  if (!gone.stalled) await forgetWorker(db, gone.id);
  passing.emptied.set(gone.id, passing.clock.now());
  pending.delete(gone.id);
}

/** Whatever execution a run has, it has lost its epoch. */
async function restart(passing: Passing, runs: readonly ReclaimedRun[]): Promise<void> {
  await Promise.all(runs.map((run) => restartOne(passing, run)));
}

async function restartOne(passing: Passing, run: ReclaimedRun): Promise<void> {
  if (!passing.temporalUp()) {
    passing.owed.push(run);
    return;
  }
  try {
    await passing.executions.restart(run);
    passing.metrics.starts.inc({ result: 'ok' });
  } catch (error) {
    const failure = temporalFailure(error);
    passing.metrics.starts.inc({ result: failure });
    passing.unfinished.done(run.runId);
    if (failure === 'down') passing.owed.push(run);
    else passing.log.error({ err: error, runId: run.runId }, 'run.restart_refused');
  }
}
