import type { Database } from '../db/database.ts';
import { forgetMap, openRunHead } from '../db/dispatch.ts';
import { claimCorrection, closeByHand, type OpenRun, type OpenSlice } from '../db/reconcile.ts';
import { Problem } from '../domain/problem.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Execution, Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { runWorkflowId, sliceWorkflowId } from '../temporal/names.ts';
import { diagnose, repeatedFailure, type Diagnosis } from './diagnose.ts';

export type RepairDeps = {
  db: Pick<Database, 'rows'>;
  executions: Pick<Executions, 'describe' | 'terminate' | 'terminatedBy' | 'taskFailures' | 'poke'>;
  /** Writes the command that cancels a run at once (forced), as if somebody had asked for it. */
  forceCancel: (runId: string, reason: string) => Promise<void>;
  metrics: WorkerMetrics;
  log: Log;
};

/** Found while the execution still runs, so that it has to be ended. */
export const STILL_RUNS: ReadonlySet<Diagnosis> = new Set<Diagnosis>(['wedged', 'sealed', 'fault']);

/** Compares one open run with Temporal and repairs what differs. @returns whether something was repaired */
export async function repairRun(deps: RepairDeps, run: OpenRun): Promise<boolean> {
  const workflowId = runWorkflowId(run.runId);
  const { execution, because } = await look(deps, workflowId);
  const diagnosis = diagnose(run, execution, because);
  if (diagnosis === 'fine') return false;
  if (!(await claimCorrection(deps.db, run, diagnosis === 'wedged' || diagnosis === 'dead'))) return false;
  deps.metrics.corrections.inc({ reason: diagnosis });
  deps.log.warn({ runId: run.runId, diagnosis, status: execution?.status, because: because || undefined }, 'run.repaired');
  if (execution && STILL_RUNS.has(diagnosis)) await end(deps, { ...execution, workflowId }, diagnosis);
  if (diagnosis === 'fault') {
    await closeByHand(deps.db, run.runId, new Problem('engine_fault').toFailure());
    return true;
  }
  if (diagnosis === 'operator') await deps.forceCancel(run.runId, `terminated in Temporal by ${because || 'an unknown identity'}`);
  const head = await openRunHead(deps.db, run.runId);
  if (head) await deps.executions.poke(head);
  return true;
}

/** A slice that does not run and has not reported is started again by the dispatcher, once its map is unmarked. */
export async function repairSlice(deps: RepairDeps, slice: OpenSlice): Promise<boolean> {
  const workflowId = sliceWorkflowId(slice);
  const { execution, because } = await look(deps, workflowId);
  const diagnosis = diagnose({ restarts: slice.restarts }, execution, because);
  const runs = execution?.status === 'RUNNING';
  if (runs && diagnosis === 'fine') return false;
  if (!(await forgetMap(deps.db, slice))) return false;
  deps.metrics.corrections.inc({ reason: 'slice' });
  deps.log.warn({ ...slice, diagnosis, status: execution?.status }, 'slice.repaired');
  if (!runs) return true;
  await end(deps, { ...execution, workflowId }, diagnosis);
  if (diagnosis === 'fault') await closeByHand(deps.db, slice.runId, new Problem('engine_fault').toFailure());
  else await claimCorrection(deps.db, slice, diagnosis !== 'sealed');
  return true;
}

/** An execution, and what `diagnose` is told besides. */
export async function look(deps: RepairDeps, workflowId: string): Promise<{ execution: Execution | undefined; because: string }> {
  const execution = await deps.executions.describe(workflowId);
  if (!execution) return { execution, because: '' };
  const ask = { workflowId, temporalRunId: execution.temporalRunId };
  if (execution.status === 'TERMINATED') return { execution, because: await deps.executions.terminatedBy(ask) };
  if (execution.status !== 'RUNNING' || execution.taskAttempt === 0) return { execution, because: '' };
  return { execution, because: repeatedFailure(await deps.executions.taskFailures(ask), execution.taskAttempt) };
}

/** Terminates an execution that may have ended by itself. */
export async function end(
  deps: { executions: Pick<Executions, 'terminate'> },
  execution: { workflowId: string; temporalRunId: string },
  reason: string,
): Promise<void> {
  try {
    await deps.executions.terminate(execution, reason);
  } catch (error) {
    if (temporalFailure(error) !== 'gone') throw error;
  }
}
