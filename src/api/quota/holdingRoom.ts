import { Problem } from '../../domain/problem.ts';
import type { Database } from '../../db/database.ts';
import type { ClosingCheck } from '../../db/closingCheck.ts';
import { knowsSubmit } from '../../db/idempotency.ts';
import type { Submit } from '../../db/submit.ts';
import type { Quotas } from './quotas.ts';

type Deps = { db: Pick<Database, 'rows'>; quotas: Pick<Quotas, 'holdRun'>; closed: Pick<ClosingCheck, 'check'> };

const REFUSED: readonly string[] = ['quota_exceeded', 'workspace_closing'];

/**
 * Accepts runs as `accept` does while their workspace is not closing and has room for them. A request that was accepted before is
 * answered as then, whatever the workspace is by now.
 */
export function holdingRoom<A extends readonly unknown[], R extends { outcome: string }>(
  deps: Deps,
  accept: (submit: Submit, ...rest: A) => Promise<R>,
): (submit: Submit, ...rest: A) => Promise<R> {
  return async (submit, ...rest) => {
    let settle: (accepted: boolean) => void;
    try {
      await deps.closed.check(submit.workspace);
      settle = await deps.quotas.holdRun(submit.workspace);
    } catch (error) {
      if (error instanceof Problem && REFUSED.includes(error.code) && (await knowsSubmit(deps.db, submit))) return accept(submit, ...rest);
      throw error;
    }
    let accepted = false;
    try {
      const result = await accept(submit, ...rest);
      accepted = result.outcome === 'new';
      return result;
    } finally {
      settle(accepted);
    }
  };
}
