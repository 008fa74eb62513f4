import type { Database } from '../db/database.ts';
import { admit, carriedElsewhere, headOf, holdClaims, type BegunRow } from '../db/dispatch.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import type { LateStarts } from './lateStarts.ts';
import type { Pace } from './pace.ts';
import type { RunSlots } from './runSlots.ts';
import { CLAIM_MS, type UnfinishedStarts } from './unfinishedStarts.ts';

export type AdmissionDeps = {
  db: Pick<Database, 'rows'>;
  executions: Pick<Executions, 'start' | 'restart'>;
  /** Runs the first segment of a run in this process. null: the run goes on. */
  carry: (run: BegunRow) => Promise<ClosedStatus | null>;
  /** Whether a run may well end in its first segment. */
  isInline: (run: BegunRow) => Promise<boolean>;
  unfinished: UnfinishedStarts;
  late: Pick<LateStarts, 'add' | 'room' | 'workspaces'>;
  slots: RunSlots;
  metrics: WorkerMetrics;
  log: Log;
  /** Id of this worker: the owner of what it begins. */
  worker: string;
  pace: Pace;
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
  const { unfinished, late } = deps;
  if (unfinished.room() === 0) await forgetElsewhere(deps);
  await deps.pace.next();
  const room = late.room() ? unfinished.room() : 0;
  return room > 0 ? admitSome(deps, { n: room, except: [] }) : admitSome(deps, { n: unfinished.reserve(), except: crowded(deps) });
}

async function admitSome(deps: AdmissionDeps, { n, except }: { n: number; except: readonly string[] }): Promise<boolean> {
  const { db, unfinished, metrics, late, slots } = deps;
  if (n === 0) return false;
  const end = metrics.admission.startTimer();
  const room = await slots.room(n);
  const begun = room === 0 ? [] : await admit(db, { worker: deps.worker, n: room, claimMs: CLAIM_MS, except });
  slots.taken(begun.length);
  end();
  for (const run of begun) unfinished.add(run, except.length > 0 ? 'reserved' : undefined);
  metrics.unfinishedStarts.set(unfinished.size());
  for (const run of begun) void beginRun(deps, run).catch(deps.onError);
  if (begun.length < n) deps.pace.found(begun.length);
  return begun.length === n && (except.length === 0 || late.room());
}

/** Workspaces that hold more than half of an even share of what is being begun or waits to be shown: the reserve is not for them. */
function crowded({ unfinished, late }: Pick<AdmissionDeps, 'unfinished' | 'late'>): string[] {
  const held = new Map<string, number>();
  const all = [...unfinished.workspaces(), ...late.workspaces()];
  for (const workspace of all) held.set(workspace, (held.get(workspace) ?? 0) + 1);
  const half = all.length / (2 * held.size);
  return [...held].flatMap(([workspace, n]) => (n > half ? [workspace] : []));
}

/** Those that another worker carries by now make room. */
async function forgetElsewhere({ db, worker, unfinished }: AdmissionDeps): Promise<void> {
  const runs = unfinished.runs(LATE_MS);
  if (runs.length > 0) for (const runId of await carriedElsewhere(db, { worker, runs })) unfinished.done(runId);
}

/**
 * Standard: Temporal's start is under way while the first segment runs; where that is likely to be all, it comes after it.
 * That of a run that has ended by then is not waited for. Express: a run that ends in its first segment needs no execution.
 */
async function beginRun(deps: AdmissionDeps, run: BegunRow): Promise<void> {
  const carried = deps.carry(run).catch((error: unknown) => {
    deps.log.warn({ err: error, runId: run.runId }, 'run.first_segment_failed'); // its execution begins again
    return null;
  });
  if (run.mode === 'standard' && !(await deps.isInline(run).catch(() => false))) return startRun(deps, run);
  const ended = await carried;
  if (ended === null) return startRun(deps, run);
  if (run.mode === 'standard') deps.late.add({ run: headOf(run), completed: ended === 'completed' });
  deps.unfinished.done(run.runId);
}

async function startRun(deps: AdmissionDeps, run: BegunRow): Promise<void> {
  try {
    // Opened again: its last execution may still be on its way to its end.
    await (run.epoch > 1 ? deps.executions.restart(run) : deps.executions.start(run));
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
