import type { JsonObject } from '../../domain/json.ts';
import type { ProblemCode } from '../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { writeAudit } from '../../db/audit.ts';
import type { Rows } from '../../db/transaction.ts';

/** Writes down what was done with an account, or refused. @param entry.account null = nobody has that name @param entry.by principal */
export const auditAccount = (
  { db }: { db: Rows },
  entry: { action: string; account: string | null; by?: string; data?: JsonObject; refused?: ProblemCode },
): Promise<void> => {
  const { account, by = 'public', ...rest } = entry;
  return writeAudit(db, [{ ...rest, workspace: SYSTEM_WORKSPACE, actor: by, object: `user:${account ?? 'unknown'}` }]);
};
