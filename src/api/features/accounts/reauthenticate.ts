import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import type { OpenedSession } from '../../auth/openSession.ts';
import { renewSession } from '../../auth/renewSession.ts';
import type { Deps } from '../../deps.ts';
import { provePassword } from './changePassword.ts';
import { clearFactorTries, proveFactor, requireFactorTry, type Shown } from './secondStep.ts';
import { selfOf } from './self.ts';

/**
 * Somebody who has signed in proves again who they are, by password or second factor. The session goes on under another id.
 * @throws Problem invalid_credentials | invalid_code | too_many_tries | sign_in_disabled
 */
export async function reauthenticate(deps: Deps, actor: Actor, shown: Shown | { password: string }): Promise<OpenedSession> {
  const { account } = await selfOf(deps, actor);
  if ('password' in shown) {
    await provePassword(deps, account, shown.password);
  } else {
    await requireFactorTry(deps, account.id, shown);
    if (!(await proveFactor(deps, account.id, shown))) {
      await auditAccount(deps, {
        action: 'auth.reauthentication_failed',
        account: account.id,
        by: actor.principal,
        refused: 'invalid_code',
      });
      throw new Problem('invalid_code');
    }
    await clearFactorTries(deps, account.id);
  }
  return renewSession(deps, actor, { mfa: !('password' in shown) });
}
