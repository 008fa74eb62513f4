import { headOf } from '../db/dispatch.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';
import type { LateStarts } from './lateStarts.ts';
import type { TakenRun, Takeover } from './takeover.ts';
import type { UnfinishedStarts } from './unfinishedStarts.ts';

export type RestartsDeps = {
  executions: Pick<Executions, 'restart'>;
  takeover: Pick<Takeover, 'taken' | 'busy'>;
  unfinished: UnfinishedStarts;
  late: Pick<LateStarts, 'add'>;
  clock: Clock;
  metrics: WorkerMetrics;
  log: Log;
  temporalUp: () => boolean;
  onTemporal: (up: boolean) => void;
};

export type Restarts = {
  kick: () => void;
  /** Runs wait for their execution: they go before those that have not begun. */
  pending: () => boolean;
  stop: () => Promise<void>;
};

const POLL_MS = 500;

/**
 * Starts the executions of runs that were taken over, each in place of the one it has, as many as this worker can begin.
 * Those of runs that are over only learn of the end: that can wait. What is not started when this process dies is taken
 * over with the run.
 */
export function createRestarts(deps: RestartsDeps): Restarts {
  const { takeover, unfinished } = deps;
  const fault = createFaultLog(deps, 'restart.failed');
  const round = async (): Promise<boolean> => {
    const n = deps.temporalUp() ? unfinished.room() : 0;
    for (const one of takeOut(takeover.taken, ({ ended }) => ended !== null)) putOff(deps, one);
    const next = takeover.taken.splice(0, n);
    const done = await Promise.all(next.map((taken) => restart(deps, taken)));
    return next.length > 0 && done.every(Boolean);
  };
  const pump = createPump(round, fault);
  const timer = setInterval(pump.kick, POLL_MS);
  return {
    kick: pump.kick,
    pending: () => takeover.busy() || takeover.taken.some(({ ended }) => ended === null),
    stop: async () => {
      clearInterval(timer);
      await pump.stop();
    },
  };
}

function takeOut(taken: TakenRun[], which: (one: TakenRun) => boolean): TakenRun[] {
  const out = taken.filter(which);
  taken.splice(0, taken.length, ...taken.filter((one) => !which(one)));
  return out;
}

function putOff({ late }: Pick<RestartsDeps, 'late'>, { run, ended, fresh }: TakenRun): void {
  if (run.mode === 'express') return; // it never had one
  late.add({ run: headOf(run), completed: ended === 'completed', ...(!fresh && { replaces: true }) });
}

async function restart(deps: RestartsDeps, taken: TakenRun): Promise<boolean> {
  const { run } = taken;
  deps.unfinished.add(run);
  try {
    await deps.executions.restart(run);
    deps.metrics.starts.inc({ result: 'ok' });
    return true;
  } catch (error) {
    const failure = temporalFailure(error);
    deps.metrics.starts.inc({ result: failure });
    deps.unfinished.done(run.runId);
    if (failure === 'down') {
      deps.takeover.taken.push(taken);
      deps.onTemporal(false);
    } else deps.log.error({ err: error, runId: run.runId }, 'run.restart_refused');
    return false;
  }
}
