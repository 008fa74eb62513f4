import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';
import type { TakenRun, Takeover } from './takeover.ts';
import type { UnfinishedStarts } from './unfinishedStarts.ts';

export type RestartsDeps = {
  executions: Pick<Executions, 'restart'>;
  takeover: Pick<Takeover, 'taken' | 'busy'>;
  unfinished: UnfinishedStarts;
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
 * Those of runs that are over come last: they only learn of the end. What is not started when this process dies is taken
 * over with the run.
 */
export function createRestarts(deps: RestartsDeps): Restarts {
  const { takeover, unfinished } = deps;
  const fault = createFaultLog(deps, 'restart.failed');
  const round = async (): Promise<boolean> => {
    const n = deps.temporalUp() ? unfinished.room() : 0;
    const next = takeFirst(takeover.taken, n);
    const done = await Promise.all(next.map((taken) => restart(deps, taken)));
    return next.length > 0 && done.every(Boolean);
  };
  const pump = createPump(round, fault);
  const timer = setInterval(pump.kick, POLL_MS);
  return {
    kick: pump.kick,
    pending: () => takeover.busy() || takeover.taken.some(({ ended }) => !ended),
    stop: async () => {
      clearInterval(timer);
      await pump.stop();
    },
  };
}

/** Takes out the first `n`, those that go on before those that are over. */
function takeFirst(taken: TakenRun[], n: number): TakenRun[] {
  const order = [...taken.filter(({ ended }) => !ended), ...taken.filter(({ ended }) => ended)];
  taken.splice(0, taken.length, ...order.slice(n));
  return order.slice(0, n);
}

async function restart(deps: RestartsDeps, taken: TakenRun): Promise<boolean> {
  const { run, ended } = taken;
  if (run.mode === 'express' && ended) return true; // it never had one
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
