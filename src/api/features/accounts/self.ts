import type { Actor } from '../../../domain/access/can.ts';
import { Problem } from '../../../domain/problem.ts';
import { findAccount, type AccountInfo } from '../../../db/repositories/accounts.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import type { Deps } from '../../deps.ts';

type SelfDeps = Pick<Deps, 'db' | 'config' | 'clock'>;

/** The person who asks, and their session. @throws Problem unauthenticated */
export async function selfOf({ db }: Pick<SelfDeps, 'db'>, actor: Actor): Promise<{ account: AccountInfo; session: string }> {
  const account = actor.account === undefined || !actor.session ? undefined : await findAccount(db, actor.account);
  if (!account || !actor.session) throw new Problem('unauthenticated');
  return { account, session: actor.session.id };
}

/** The same, of somebody who has proved a moment ago who they are. @throws Problem unauthenticated | reauthentication_required */
export function freshSelfOf(deps: SelfDeps, actor: Actor): Promise<{ account: AccountInfo; session: string }> {
  requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
  return selfOf(deps, actor);
}
