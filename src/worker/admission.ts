import type { Database } from '../db/database.ts';
import { admit, carriedElsewhere, holdClaims, type BegunRow } from '../db/dispatch.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { CLAIM_MS, type UnfinishedStarts } from './unfinishedStarts.ts';

export type AdmissionDeps = {
  db: Pick<Database, 'rows'>;
  executions: Pick<Executions, 'start'>;
  /** Runs the first segment of a run in this process. null: the run goes on. */
  carry: (run: BegunRow) => Promise<ClosedStatus | null>;
  /** Whether a run may well end in its first segment. */
  isInline: (run: BegunRow) => Promise<boolean>;
  unfinished: UnfinishedStarts;
  /** Run slots of this process. */
  maxRuns: number;
  metrics: WorkerMetrics;
  log: Log;
  /** Id of this worker: the owner of what it begins. */
  worker: string;
  /** A run could not be started in Temporal. */
  onError: (error: unknown) => void;
};

/** A run that Temporal refuses is not started again and again. */
const REFUSED_MS = 60_000;
/** An execution that has not asked by then may have been carried elsewhere. */
const LATE_MS = 300;

/**
 * Begins queued runs, in the order of admission, as many as this worker can. Each runs its first segment here at once. A
 * process killed anywhere in here loses nothing: its runs are begun, and whoever repairs finds them without an execution.
 * @returns whether there may be more to begin at once
 */
export async function admitRuns(deps: AdmissionDeps): Promise<boolean> {
  const { db, unfinished, metrics } = deps;
  if (unfinished.room() === 0) await forgetElsewhere(deps);
  const n = unfinished.room();
  if (n === 0) return false;
  const end = metrics.admission.startTimer();
  const begun = await admit(db, { worker: deps.worker, n, claimMs: CLAIM_MS, maxRuns: deps.maxRuns });
  end();
  for (const run of begun) unfinished.add(run.runId);
  metrics.unfinishedStarts.set(unfinished.size());
  for (const run of begun) void beginRun(deps, run).catch(deps.onError);
  return begun.length === n;
}

/** Those that another worker carries by now make room. */
async function forgetElsewhere({ db, worker, unfinished }: AdmissionDeps): Promise<void> {
  const runs = unfinished.runs(LATE_MS);
  if (runs.length > 0) for (const runId of await carriedElsewhere(db, { worker, runs })) unfinished.done(runId);
}

/**
 * Standard: Temporal's start is under way while the first segment runs; where that is likely to be all, it comes after it,
 * and the execution has nothing left to ask for. Express: a run that ends in its first segment needs no execution.
 */
async function beginRun(deps: AdmissionDeps, run: BegunRow): Promise<void> {
  const carried = deps.carry(run).catch((error: unknown) => {
    deps.log.warn({ err: error, runId: run.runId }, 'run.first_segment_failed'); // its execution begins again
    return null;
  });
  if (run.mode === 'standard' && !(await deps.isInline(run).catch(() => false))) return startRun(deps, run, null);
  const ended = await carried;
  if (run.mode === 'express' && ended !== null) deps.unfinished.done(run.runId);
  else await startRun(deps, run, ended);
}

async function startRun(deps: AdmissionDeps, run: BegunRow, ended: ClosedStatus | null): Promise<void> {
  try {
    await deps.executions.start(run, { completed: ended === 'completed' });
    if (ended === 'completed') deps.unfinished.done(run.runId); // it will not ask
    deps.metrics.starts.inc({ result: 'ok' });
  } catch (error) {
    const failure = temporalFailure(error);
    deps.metrics.starts.inc({ result: failure });
    deps.unfinished.done(run.runId);
    // Nobody answers: whoever repairs may start it as soon as somebody does.
    await holdClaims(deps.db, { worker: deps.worker, runs: [run.runId], ms: failure === 'down' ? 0 : REFUSED_MS });
    if (failure !== 'down') deps.log.error({ err: error, runId: run.runId }, 'run.start_refused');
    throw error;
  }
}
