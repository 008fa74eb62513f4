import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Problem } from '../../../domain/problem.ts';
import { issueOneTime, redeemOneTime } from '../../../db/oneTime.ts';
import type { Expected } from '../../../providers/signIn/provider.ts';
import type { Deps } from '../../deps.ts';

/** What a sign-in was begun for. */
export type Purpose = { purpose: 'login'; remember: boolean; device: string | null } | { purpose: 'link'; account: string };

/** What is kept between the two halves of a sign-in, under its state. */
export type Attempt = Purpose & { provider: string; redirectUri: string };

/** How long a person has for the provider's pages, ms. */
const TTL_MS = 10 * 60_000;

type AttemptDeps = Pick<Deps, 'db' | 'clock'>;

/**
 * Begins one. The state is single-use and names the provider; nonce and code verifier come from a secret that only the client
 * keeps, so that neither the database nor whoever sees the state can finish it.
 */
export async function beginAttempt(
  { db, clock }: AttemptDeps,
  attempt: Attempt,
): Promise<{ expected: Expected; secret: string; expiresAt: number }> {
  const state = randomBytes(32).toString('base64url');
  const secret = randomBytes(32).toString('base64url');
  const now = clock();
  const data = { ...attempt, secretHash: digest('secret', secret) };
  await issueOneTime(db, { kind: 'oidc_state', token: state, now, ttlMs: TTL_MS, data });
  return { expected: expectedOf({ state, secret, redirectUri: attempt.redirectUri }), secret, expiresAt: now + TTL_MS };
}

/**
 * The attempt that an answer belongs to, used up by this. @param given.secret what the client that began it was given
 * @throws Problem sign_in_refused
 */
export async function redeemAttempt(
  { db, clock }: AttemptDeps,
  given: { state: string; secret: string; provider: string },
): Promise<{ attempt: Attempt; expected: Expected }> {
  const found = await redeemOneTime(db, { token: given.state, kind: 'oidc_state', now: clock() });
  const attempt = found?.data as (Attempt & { secretHash: string }) | undefined;
  if (attempt?.provider !== given.provider || !isSame(attempt.secretHash, digest('secret', given.secret)))
    throw new Problem('sign_in_refused');
  return { attempt, expected: expectedOf({ ...given, redirectUri: attempt.redirectUri }) };
}

const digest = (what: string, secret: string): string => createHash('sha256').update(`tiu sign-in ${what}\n${secret}`).digest('base64url');

const expectedOf = ({ state, secret, redirectUri }: { state: string; secret: string; redirectUri: string }): Expected => ({
  state,
  redirectUri,
  nonce: digest('nonce', secret),
  codeVerifier: digest('verifier', secret),
});

const isSame = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
