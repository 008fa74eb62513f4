import type { OpenRun } from '../db/reconcile.ts';
import type { ProblemCode } from '../domain/problem.ts';
import type { Execution } from '../temporal/executions.ts';
import { IDENTITY_PREFIX } from '../temporal/names.ts';

/**
 * fine · lost, dead, killed: start again (no execution; one that ended by itself; one that the server or we terminated) ·
 * operator: somebody terminated it in Temporal, so the run is cancelled · wedged: terminate and start again ·
 * sealed: this worker or another has not the key of its payloads; start again, with payloads under a key of today ·
 * fault: restarts did not help
 */
export type Diagnosis = 'fine' | 'lost' | 'dead' | 'killed' | 'operator' | 'wedged' | 'sealed' | 'fault';

/** Beyond this a workflow task fails for a reason that time does not heal: too large, or not deterministic after a deploy. */
const WEDGED_AFTER = 5;
const MAX_RESTARTS = 3;
const REPEATED = 3;
/** Never a reason to give a run up: what it has done is in the database, readable without the key. */
const SEALED: ReadonlySet<string> = new Set<ProblemCode>(['payload_key_unknown', 'payload_not_opened']);
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
 * The failure that an execution's workflow task has again and again; '' if it has none. By its tries, or by the history:
 * each signal that arrives makes a new workflow task, whose tries count from 1.
 * @param failures of its latest workflow tasks, the newest first; of one task the first try alone is there
 */
export function repeatedFailure(failures: readonly string[], taskAttempt: number): string {
  const [last = ''] = failures;
  return taskAttempt > WEDGED_AFTER || failures.filter((type) => type === last).length >= REPEATED ? last : '';
}

/**
 * What is wrong with an open run, by what Temporal says of it.
 * @param because who terminated it, for an execution that is TERMINATED; the repeated failure of its workflow task, for one that RUNS
 */
export function diagnose(run: Pick<OpenRun, 'restarts'>, execution: Execution | undefined, because: string): Diagnosis {
  if (!execution) return 'lost';
  if (execution.status === 'RUNNING') {
    if (SEALED.has(execution.activityFailure)) return 'sealed';
    if (SEALED.has(because)) return 'sealed';
    if (execution.taskAttempt <= WEDGED_AFTER) return 'fine';
    return run.restarts < MAX_RESTARTS ? 'wedged' : 'fault';
  }
  if (!ENDED.has(execution.status)) return 'fine';
  if (execution.status !== 'TERMINATED') return run.restarts < MAX_RESTARTS ? 'dead' : 'fault';
  return because === SERVER || because.startsWith(IDENTITY_PREFIX) ? 'killed' : 'operator';
}
