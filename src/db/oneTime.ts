import { createHash, randomBytes } from 'node:crypto';
import type { Json } from '../domain/json.ts';
import type { Rows } from './transaction.ts';

/** What a one-time token is for; it opens nothing else. */
export type OneTimeKind =
  | 'register'
  | 'verify_email'
  | 'reset_password'
  | 'change_email'
  | 'mfa_pending'
  | 'passkey_register'
  | 'passkey_assert'
  | 'link_identity'
  | 'oidc_state'
  | 'invitation';

/** `account`: whose it is, null when nobody's yet. `data`: what was asked for. */
export type OneTime = { account: string | null; data: Json };

/** 256 random bits behind a prefix that scanners find. */
export const newToken = (prefix: 'tiuo_' | 'tiui_' | 'tiud_' | 'tiur_' | 'tiut_'): string => prefix + randomBytes(32).toString('base64url');

/** What the database holds of a token. */
export const tokenHash = (token: string): Buffer => createHash('sha256').update(token).digest();

/**
 * Makes a token that opens one thing once. It is in the answer and nowhere else.
 * @param input.token the token when it is not for us to make: a challenge, an invitation @param input.now ms since the epoch
 */
export async function issueOneTime(
  db: Rows,
  input: { kind: OneTimeKind; now: number; ttlMs: number; account?: string | null; data?: Json; token?: string },
): Promise<string> {
  const token = input.token ?? newToken('tiuo_');
  await db.rows({
    name: 'one_time_issue',
    text: `insert into one_time (hash, kind, account, data, created, expires) values ($1, $2, $3, $4, $5, $6)`,
    values: [
      ...[tokenHash(token), input.kind, input.account ?? null, JSON.stringify(input.data ?? null)],
      ...[new Date(input.now), new Date(input.now + input.ttlMs)],
    ],
  });
  return token;
}

/** Uses a token up: of all who try one wins. @returns undefined for one that is unknown, used, expired or of another kind */
export async function redeemOneTime(db: Rows, input: { token: string; kind: OneTimeKind; now: number }): Promise<OneTime | undefined> {
  const rows = await db.rows<OneTime>({
    name: 'one_time_redeem',
    text: 'update one_time set used = $3 where hash = $1 and kind = $2 and used is null and expires > $3 returning account, data',
    values: [tokenHash(input.token), input.kind, new Date(input.now)],
  });
  return rows[0];
}

/** What a token is for, without using it up: to judge a request before it is redeemed. */
export async function peekOneTime(db: Rows, input: { token: string; kind: OneTimeKind; now: number }): Promise<OneTime | undefined> {
  const rows = await db.rows<OneTime>({
    name: 'one_time_peek',
    text: 'select account, data from one_time where hash = $1 and kind = $2 and used is null and expires > $3',
    values: [tokenHash(input.token), input.kind, new Date(input.now)],
  });
  return rows[0];
}

/** Takes back what an account has not used yet, of these kinds. */
export async function revokeOneTime(db: Rows, input: { account: string; kinds: readonly OneTimeKind[]; now: number }): Promise<void> {
  await db.rows({
    name: 'one_time_revoke',
    text: 'update one_time set used = $3 where account = $1 and kind = any($2) and used is null',
    values: [input.account, input.kinds, new Date(input.now)],
  });
}
