import { membersAt } from '../../db/repositories/joins.ts';
import type { Rows } from '../../db/transaction.ts';
import { quotaExceeded } from '../quota/quotaExceeded.ts';

/** Before somebody joins, in the transaction in which they do. @param of.max members of the workspace @throws Problem quota_exceeded */
export async function requireRoom(tx: Rows, of: { workspace: string; account: string; max: number }): Promise<void> {
  const full = await membersAt(tx, of);
  if (full) throw quotaExceeded('members', full);
}
