import type { Actor } from '../../../domain/access/can.ts';
import { selfSubject } from '../../../domain/account/trySubjects.ts';
import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { endSessions } from '../../../db/sessions.ts';
import { setPassword } from '../../../db/repositories/accounts.ts';
import { withTransaction } from '../../../db/transaction.ts';
import { clearTries } from '../../../db/tries.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import { requireTry } from '../../auth/tries.ts';
import type { Deps } from '../../deps.ts';
import { passwordChangedMail } from './mails.ts';
import { passwordFor } from './resetPassword.ts';
import { selfOf } from './self.ts';

type Change = { currentPassword?: string | undefined; newPassword: string; revokeOtherSessions: boolean };

/** Whether this is the password of the account. @throws Problem invalid_credentials | too_many_tries | sign_in_disabled */
export async function provePassword(deps: Deps, account: { id: string; password: string | null }, password: string): Promise<void> {
  await requireTry(deps, selfSubject(account.id));
  const { matches } = await deps.passwords.verify(account.password, password);
  if (!matches) {
    await auditAccount(deps, {
      action: 'auth.reauthentication_failed',
      account: account.id,
      by: `user:${account.id}`,
      refused: 'invalid_credentials',
    });
    throw new Problem('invalid_credentials');
  }
  await clearTries(deps.db, [selfSubject(account.id)]);
}

/**
 * Sets another password for somebody who knows the current one, or who has none and has proved a moment ago who they are.
 * @throws Problem invalid_credentials | invalid_request | reauthentication_required
 */
export async function changePassword(deps: Deps, actor: Actor, change: Change): Promise<void> {
  const { account, session } = await selfOf(deps, actor);
  const pointer = '/newPassword';
  if (account.password === null) requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
  else await provePassword(deps, account, change.currentPassword ?? '');
  const password = await passwordFor(deps, account, { password: change.newPassword, pointer });
  if ((await deps.passwords.verify(account.password, change.newPassword)).matches) {
    throw invalidField(pointer, 'is the current password', 'unchanged');
  }
  await withTransaction(deps.db, async (tx) => {
    const by = actor.principal;
    await setPassword(tx, { account: account.id, password, action: 'password.changed', by, now: deps.clock() });
    await deps.mail.post(tx, { to: account.email, account: account.id, ...passwordChangedMail(account) });
    if (change.revokeOtherSessions) await endSessions(tx, { account: account.id, except: session, reason: 'password_changed', by });
  });
}
