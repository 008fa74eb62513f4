import { randomUUIDv7 } from 'node:crypto';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import type { Json } from '../domain/json.ts';
import type { Rows } from './transaction.ts';

/** Writes down what happened around an account, or was refused. @param entry.account null = nobody has that name */
export async function auditAccount(
  db: Rows,
  entry: { action: string; account: string | null; by?: string; data?: Json; now: number },
): Promise<void> {
  const subject = entry.account === null ? 'user:unknown' : `user:${entry.account}`;
  await db.rows({
    name: 'audit_account',
    text: 'insert into audit (id, workspace, actor, action, subject, data, at) values ($1, $2, $3, $4, $5, $6, $7)',
    values: [
      ...[randomUUIDv7(), SYSTEM_WORKSPACE, entry.by ?? 'public', entry.action, subject, JSON.stringify(entry.data ?? null)],
      new Date(entry.now),
    ],
  });
}
