import type { Sweeper } from '../../db/retention.ts';
import { Problem } from '../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import type { Execution, Executor } from './executor.ts';

/** Of the system workspace only: the second wall, behind the check of who may start such a run. */
export const systemOnly =
  (executor: Executor): Executor =>
  (input, execution) => {
    if (execution.workspace !== SYSTEM_WORKSPACE)
      throw new Problem('forbidden', { detail: 'Only runs of the system workspace may do this' });
    return executor(input, execution);
  };

/** Under what a task counts what it has deleted, over all its attempts. */
export const sweeperOf = (execution: Execution): Sweeper => ({ workspace: execution.workspace, run: execution.runId, key: execution.key });
