import type { OpenRun } from '../db/reconcile.ts';
import type { Execution } from '../temporal/executions.ts';
import { IDENTITY_PREFIX } from '../temporal/names.ts';

/**
 * fine · lost, dead, killed: start again (no execution; one that ended by itself; one that the server or we terminated) ·
 * operator: somebody terminated it in Temporal, so the run is cancelled · wedged: terminate and start again ·
 * fault: restarts did not help
 */
export type Diagnosis = 'fine' | 'lost' | 'dead' | 'killed' | 'operator' | 'wedged' | 'fault';

/** Beyond this a workflow task fails for a reason that time does not heal: too large, or not deterministic after a deploy. */
const WEDGED_AFTER = 5;
const MAX_RESTARTS = 3;
/** Terminations by the server itself, for instance at the history limit. */
const SERVER = 'history-service';
const ENDED: ReadonlySet<Execution['status']> = new Set<Execution['status']>([
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TERMINATED',
  'TIMED_OUT',
]);

/**
 * What is wrong with an open run, by what Temporal says of it.
 * @param terminatedBy identity, for an execution that is TERMINATED
 */
export function diagnose(run: Pick<OpenRun, 'restarts'>, execution: Execution | undefined, terminatedBy: string): Diagnosis {
  if (!execution) return 'lost';
  if (execution.status === 'RUNNING') {
    if (execution.taskAttempt <= WEDGED_AFTER) return 'fine';
    return run.restarts < MAX_RESTARTS ? 'wedged' : 'fault';
  }
  if (!ENDED.has(execution.status)) return 'fine';
  if (execution.status !== 'TERMINATED') return run.restarts < MAX_RESTARTS ? 'dead' : 'fault';
  return terminatedBy === SERVER || terminatedBy.startsWith(IDENTITY_PREFIX) ? 'killed' : 'operator';
}
