import type { Database } from '../db/database.ts';
import { admit, holdClaims, startedOf, type RunHeadRow } from '../db/dispatch.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import type { UnfinishedStarts } from './unfinishedStarts.ts';

export type AdmissionDeps = {
  db: Pick<Database, 'rows'>;
  executions: Pick<Executions, 'start'>;
  unfinished: UnfinishedStarts;
  metrics: WorkerMetrics;
  log: Log;
  /** Id of this worker: the owner of its claims. */
  worker: string;
};

/** How long a claim lasts: until then the run's first task has begun, or somebody else may start it. */
export const CLAIM_MS = 5_000;
/** A run that Temporal refuses is not tried at the head of the queue again and again. */
const REFUSED_MS = 60_000;

/**
 * Starts queued runs, oldest first, as many as this worker can begin. The start is idempotent, so a process killed
 * anywhere in here loses nothing: its claims expire.
 * @returns whether there may be more to start at once @throws the first failure, when all have been tried
 */
export async function admitRuns(deps: AdmissionDeps): Promise<boolean> {
  const { db, unfinished, metrics } = deps;
  if (unfinished.room() === 0) for (const runId of await startedOf(db, unfinished.runs())) unfinished.done(runId);
  const n = unfinished.room();
  if (n === 0) return false;
  const end = metrics.admission.startTimer();
  const claimed = await admit(db, { worker: deps.worker, n, claimMs: CLAIM_MS });
  end();
  for (const run of claimed) unfinished.add(run.runId);
  metrics.unfinishedStarts.set(unfinished.size());
  const failures = await Promise.all(claimed.map((run) => startRun(deps, run)));
  const failed = failures.find((failure) => failure !== undefined);
  if (failed !== undefined) throw failed;
  return claimed.length === n;
}

async function startRun(deps: AdmissionDeps, run: RunHeadRow): Promise<Error | undefined> {
  try {
    await deps.executions.start(run);
    deps.metrics.starts.inc({ result: 'ok' });
    return undefined;
  } catch (error) {
    const failure = temporalFailure(error);
    deps.metrics.starts.inc({ result: failure });
    deps.unfinished.done(run.runId);
    // Nobody answers: give the run back, so that it starts as soon as somebody does.
    await holdClaims(deps.db, { worker: deps.worker, runs: [run.runId], ms: failure === 'down' ? 0 : REFUSED_MS });
    if (failure !== 'down') deps.log.error({ err: error, runId: run.runId }, 'run.start_refused');
    return error instanceof Error ? error : new Error(String(error));
  }
}
