import { decideExternal, forgetExternal, noteUntaken, type OpenExternal } from '../db/externals.ts';
import { Problem } from '../domain/problem.ts';
import { externalWorkflowId } from '../temporal/names.ts';
import { diagnose, type Diagnosis } from './diagnose.ts';
import { end, look, STILL_RUNS, type RepairDeps } from './repair.ts';

/** To start it again would call the user's activity again, for an end that does not fit in either, or that somebody did not want. */
const FINAL: ReadonlySet<Diagnosis> = new Set<Diagnosis>(['wedged', 'fault', 'operator']);

/**
 * An execution that calls an activity of a user's, and is lost, is started again by the dispatcher; what cannot go on fails
 * its task. @returns whether something was repaired
 */
export async function repairExternal(deps: RepairDeps, external: OpenExternal): Promise<boolean> {
  const workflowId = externalWorkflowId(external);
  const { execution, because } = await look(deps, workflowId);
  // What the user's activity fails of is none of our failures.
  const diagnosis = diagnose({ restarts: external.starts - 1 }, execution && { ...execution, activityFailure: '' }, because);
  if (diagnosis === 'fine') {
    const { untaken = '' } = execution ?? {};
    if (untaken !== (external.untaken ?? '')) await noteUntaken(deps.db, external, untaken === '' ? null : untaken);
    return false;
  }
  const isOurs = FINAL.has(diagnosis)
    ? await decideExternal(deps.db, external, { status: 'failed', failure: failureOf(diagnosis, because).toFailure() })
    : await forgetExternal(deps.db, external);
  if (!isOurs) return false;
  deps.metrics.corrections.inc({ reason: 'activity' });
  deps.log.warn({ ...external, diagnosis, status: execution?.status, because: because || undefined }, 'activity.repaired');
  if (execution && STILL_RUNS.has(diagnosis)) await end(deps, { ...execution, workflowId }, diagnosis);
  return true;
}

const failureOf = (diagnosis: Diagnosis, because: string): Problem =>
  diagnosis === 'operator'
    ? new Problem('activity_terminated', { detail: `terminated in Temporal by ${because || 'an unknown identity'}` })
    : new Problem('engine_fault');
