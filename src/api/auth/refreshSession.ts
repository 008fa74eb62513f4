import { Problem } from '../../domain/problem.ts';
import { tokenHash } from '../../db/oneTime.ts';
import { endReused, findUsedToken, rotateRefreshToken, type RefreshedPlace, type UsedToken } from '../../db/refreshTokens.ts';
import type { Deps } from '../deps.ts';
import { grantOf, notConfigured, type OpenedSession } from './openSession.ts';

type RefreshDeps = Pick<Deps, 'authenticate' | 'clock' | 'config' | 'db' | 'log' | 'tokens'>;

/** Who asks, as far as the request shows. */
type Asker = { ip: string; userAgent: string };

const FORMAT = /^tiur_[A-Za-z0-9_-]{43}$/;

const refused = (): Problem => new Problem('unauthenticated', { detail: 'The refresh token is not valid' });

/**
 * New tokens for a refresh token, which is good for one change. The same one again is answered alike for a while, as the first
 * answer may have got lost; after that it has been stolen by one of the two who have used it, and its session ends.
 * @throws Problem unauthenticated | sign_in_not_configured
 */
export async function refreshSession(deps: RefreshDeps, token: string, asker: Asker): Promise<OpenedSession & { remember: boolean }> {
  const { db, tokens } = deps;
  if (!tokens.isConfigured) throw notConfigured();
  if (!FORMAT.test(token)) throw refused();
  const successors = tokens.successors(token);
  const [first = ''] = successors;
  const change = { token: tokenHash(token), successor: tokenHash(first), now: deps.clock(), ...asker };
  const place = await rotateRefreshToken(db, change);
  if (place) return answer(deps, place, first);
  const used = await findUsedToken(db, change);
  if (!used?.isOpen || used.usedMs === null) throw refused();
  if (used.usedMs > deps.config.TIU_REFRESH_GRACE) return endFamily(deps, used, asker);
  const same = successors.find((successor) => used.successor?.equals(tokenHash(successor)) === true);
  if (same === undefined) throw refused(); // the key that made it is gone
  return answer(deps, used, same);
}

async function answer(deps: RefreshDeps, place: RefreshedPlace, refreshToken: string): Promise<OpenedSession & { remember: boolean }> {
  return { ...(await grantOf(deps.tokens, place, refreshToken)), remember: place.remember };
}

async function endFamily(deps: RefreshDeps, { id, account }: UsedToken, asker: Asker): Promise<never> {
  if (await endReused(deps.db, { session: id, ...asker })) deps.log.warn({ session: id, account, ip: asker.ip }, 'session.refresh_reused');
  deps.authenticate.forget(`session:${id}`);
  throw refused();
}
