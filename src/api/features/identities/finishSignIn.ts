import { Problem } from '../../../domain/problem.ts';
import { linkIdentity } from '../../../db/repositories/identities.ts';
import type { ProvenIdentity } from '../../../providers/signIn/provider.ts';
import { openSession, type OpenedSession } from '../../auth/openSession.ts';
import type { Origin } from '../../auth/origin.ts';
import type { Deps } from '../../deps.ts';
import { admitPerson } from './admitPerson.ts';
import { redeemAttempt } from './attempt.ts';

/** `answer`: the query that the provider sent; `secret`: what the client that began was given. */
type Answer = { provider: string; answer: string; secret: string; origin: Origin };

export const providerOf = (deps: Pick<Deps, 'signIn'>, id: string) => {
  const found = deps.signIn.of(id);
  if (!found) throw new Problem('not_found', { detail: `No provider ${id}` });
  return found;
};

/**
 * Signs in whom a provider has proven, or links them to whoever began.
 * @throws Problem not_found | sign_in_refused | identity_taken, and what admitPerson says
 */
export async function finishSignIn(deps: Deps, of: Answer): Promise<'linked' | { opened: OpenedSession; remember: boolean }> {
  const { settings, provider } = providerOf(deps, of.provider);
  const answer = new URLSearchParams(of.answer);
  const states = answer.getAll('state');
  if (states.length !== 1) throw new Problem('sign_in_refused');
  const { attempt, expected } = await redeemAttempt(deps, { state: states[0] ?? '', secret: of.secret, provider: of.provider });
  const identity = await provider.finish(answer, expected);
  if (attempt.purpose === 'link') {
    await link(deps, { account: attempt.account, provider: settings.id, identity });
    return 'linked';
  }
  const account = await admitPerson(deps, { settings, identity });
  const opened = await openSession(deps, {
    ...{ account, method: 'oidc', mfa: identity.mfa, remember: attempt.remember },
    issuer: { issuer: identity.issuer, sid: identity.sid ?? null },
    ...(attempt.device !== null && { device: attempt.device }),
    ...of.origin,
  });
  return { opened, remember: attempt.remember };
}

async function link(
  deps: Pick<Deps, 'db' | 'clock'>,
  { account, provider, identity }: { account: string; provider: string; identity: ProvenIdentity },
): Promise<void> {
  const by = `user:${account}`;
  if (!(await linkIdentity(deps.db, { ...identity, email: identity.email, account, provider, by, now: deps.clock() })))
    throw new Problem('identity_taken');
}
