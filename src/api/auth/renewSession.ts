import type { Actor } from '../../domain/access/can.ts';
import { newToken, tokenHash } from '../../db/oneTime.ts';
import { renewSession as renewRow } from '../../db/sessions.ts';
import type { Deps } from '../deps.ts';
import { unauthenticated } from './authenticate.ts';
import { grantOf, type OpenedSession } from './openSession.ts';

/**
 * For somebody who has just proved again who they are: their session goes on under another id, with new tokens, and its former
 * ones open nothing any more.
 * @param proof.mfa whether a second factor was shown
 * @throws Problem unauthenticated
 */
export async function renewSession(
  deps: Pick<Deps, 'authenticate' | 'clock' | 'db' | 'tokens'>,
  { session }: Actor,
  proof: { mfa: boolean },
): Promise<OpenedSession> {
  if (!session) throw unauthenticated();
  const refreshToken = newToken('tiur_');
  const place = await renewRow(deps.db, { session: session.id, mfa: proof.mfa, refreshHash: tokenHash(refreshToken), now: deps.clock() });
  if (!place) throw unauthenticated();
  deps.authenticate.forget(`session:${session.id}`);
  return grantOf(deps.tokens, place, refreshToken);
}
