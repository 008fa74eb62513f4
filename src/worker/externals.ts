import type { Database } from '../db/database.ts';
import {
  claimExternals,
  claimUntoldExternals,
  decideExternal,
  endExternalRow,
  forgetExternal,
  type ExternalKey,
  type UntoldExternal,
} from '../db/externals.ts';
import type { Plans } from '../db/repositories/plans.ts';
import { Problem } from '../domain/problem.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';

type ExternalsDeps = {
  db: Pick<Database, 'rows'>;
  plans: Pick<Plans, 'get'>;
  executions: Pick<Executions, 'startExternal' | 'cancelExternal'>;
  metrics: Pick<WorkerMetrics, 'externals'>;
};

export type Externals = {
  /** Starts the executions that call activities of users, and ends those that are not to go on. @returns whether there may be more */
  look: () => Promise<boolean>;
};

const AT_ONCE = 50;

export function createExternals(deps: ExternalsDeps): Externals {
  return {
    look: async () => {
      const untold = await claimUntoldExternals(deps.db, AT_ONCE);
      await all(untold.map((one) => end(deps, one)));
      const claimed = await claimExternals(deps.db, AT_ONCE);
      await all(claimed.map((one) => start(deps, one)));
      return untold.length === AT_ONCE || claimed.length === AT_ONCE;
    },
  };
}

/** One that fails holds up no other. @throws the first failure, when all have ended */
async function all(work: readonly Promise<void>[]): Promise<void> {
  for (const one of await Promise.allSettled(work)) if (one.status === 'rejected') throw one.reason;
}

async function start({ db, plans, executions, metrics }: ExternalsDeps, claimed: ExternalKey & { plan: string }): Promise<void> {
  const { plan, ...key } = claimed;
  try {
    await executions.startExternal(key, (await plans.get(plan)).plan.graph.names[key.task] ?? String(key.task));
    metrics.externals.inc();
  } catch (error) {
    await forgetExternal(db, key);
    throw error;
  }
}

/** Where there is no execution, its task is cancelled here; else by the execution, when the activity has ended. */
async function end({ db, executions }: ExternalsDeps, { dispatched, open, ...key }: UntoldExternal): Promise<void> {
  const isThere = dispatched && (await isCancelled(executions, key));
  if (!open) await endExternalRow(db, key);
  else if (!isThere) await decideExternal(db, key, { status: 'cancelled', failure: new Problem('task_cancelled').toFailure() });
}

/** @returns false if there is none */
async function isCancelled(executions: ExternalsDeps['executions'], key: ExternalKey): Promise<boolean> {
  try {
    await executions.cancelExternal(key);
    return true;
  } catch (error) {
    if (temporalFailure(error) === 'gone') return false;
    throw error;
  }
}
