import { ApiProblem } from '../client/apiProblem.ts';
import { createSignIn, type Grant } from '../client/signIn.ts';
import type { Credential, Credentials } from './credentials.ts';
import { CliError, EXIT } from './exit.ts';

/** An access token is renewed so long before its time is over, ms. */
const EARLY_MS = 30_000;

/** A session as it is kept. @param now ms since the epoch, taken before the tokens were asked for */
export const sessionOf = ({ sessionId, accessToken, refreshToken, expiresIn }: Grant, now: number): Credential => ({
  ...{ type: 'session', sessionId, accessToken, refreshToken },
  expiresAt: now + expiresIn * 1_000,
});

/**
 * Gives the key that is kept for an address, or an access token that is good now. A refresh token is good for one change: of all
 * processes that find the same one, one changes it, and the others read what it was given.
 * @throws CliError when the session is over, which is forgotten then
 */
export function storedToken(credentials: Credentials, baseUrl: string): () => Promise<string> {
  const { refresh } = createSignIn({ baseUrl });
  let known = credentials.of(baseUrl);
  return async () => {
    if (known && isGood(known)) return shownBy(known);
    known = await credentials.change(baseUrl, async (kept) => {
      if (kept?.type !== 'session' || isGood(kept)) return kept;
      const now = Date.now();
      try {
        return sessionOf(await refresh(kept.refreshToken), now);
      } catch (error) {
        if (error instanceof ApiProblem && error.code === 'unauthenticated') return undefined;
        throw error;
      }
    });
    if (!known) throw new CliError(EXIT.failed, `the session at ${baseUrl} is over`, 'Sign in again with `tiu login`.');
    return shownBy(known);
  };
}

const isGood = (credential: Credential): boolean => credential.type === 'key' || credential.expiresAt - EARLY_MS > Date.now();

const shownBy = (credential: Credential): string => (credential.type === 'key' ? credential.key : credential.accessToken);
