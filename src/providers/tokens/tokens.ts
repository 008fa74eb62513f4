import { createHmac, randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { temporalPermissions } from '../../domain/access/temporalPermissions.ts';
import { Problem } from '../../domain/problem.ts';
import { isSingular } from './isSingular.ts';
import { openSigningKeys, type SigningKey } from './signingKeys.ts';

/** What an access token says: who, by which session, in which workspace. Ids. */
type AccessGrant = { account: string; session: string; workspace: string };
/** `role`: of the person there, by which Temporal lets them in; null = a member of no workspace. */
type SignedGrant = AccessGrant & { role?: string | null };
/** `expires` in ms since the epoch. */
export type AccessClaims = AccessGrant & { expires: number };

export type Tokens = {
  /** Without keys nobody can sign in; API keys go on. */
  isConfigured: boolean;
  /** How long an access token is good for, ms. */
  accessMs: number;
  /** An access token (RFC 9068). @throws Problem sign_in_not_configured */
  signAccess: (grant: SignedGrant) => Promise<string>;
  /** @throws Problem unauthenticated, whatever is wrong with it */
  verifyAccess: (token: string) => Promise<AccessClaims>;
  /** Public keys (RFC 7517), for everybody. */
  jwks: () => { keys: object[] };
  /**
   * What a refresh token is changed for: always the same, one for each key, the first key's first.
   * @throws Problem sign_in_not_configured
   */
  successors: (refreshToken: string) => string[];
};

export type TokenSettings = {
  TIU_TOKEN_KEYS?: string | undefined;
  TIU_TOKEN_KEYS_FILE?: string | undefined;
  TIU_TOKEN_ISSUER?: string | undefined;
  TIU_TOKEN_AUDIENCE: string;
  TIU_ACCESS_TOKEN_TTL: number;
  TIU_PUBLIC_URL?: string | undefined;
  TEMPORAL_NAMESPACE?: string | undefined;
};

const ALGORITHM = 'ES256';
const TYPE = 'at+jwt';
/** The product's own clients; RFC 9068 wants a name of them. */
const CLIENT = 'tiu';
const CLAIMS = ['iss', 'aud', 'sub', 'exp', 'iat', 'jti', 'client_id', 'sid', 'workspace'];
/** Ours have about 600 characters. */
const MAX_TOKEN = 2_048;
/** How far the clocks of two api processes may be apart, ms. */
const SKEW_MS = 5_000;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const unauthenticated = (cause?: unknown) => new Problem('unauthenticated', { cause });

/**
 * Signs with the first key, verifies with whichever is named.
 * @throws Error of a key that is wrong, or of a file that cannot be read or holds none
 */
export async function openTokens(settings: TokenSettings, clock: () => number): Promise<Tokens> {
  const keys = await openSigningKeys({ text: settings.TIU_TOKEN_KEYS, file: settings.TIU_TOKEN_KEYS_FILE });
  const issuer = settings.TIU_TOKEN_ISSUER ?? settings.TIU_PUBLIC_URL ?? 'urn:tiu';
  const { TIU_TOKEN_AUDIENCE: audience, TIU_ACCESS_TOKEN_TTL: accessMs, TEMPORAL_NAMESPACE: namespace = 'default' } = settings;
  return {
    isConfigured: keys.length > 0,
    accessMs,
    signAccess: ({ account, session, workspace, role = null }) => {
      const { kid, sign } = firstOf(keys);
      const iat = Math.floor(clock() / 1_000);
      const permissions = temporalPermissions({ workspace, role }, namespace);
      return new SignJWT({ client_id: CLIENT, sid: session, workspace, ...(permissions.length > 0 && { permissions }) })
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(account)
        .setIssuedAt(iat)
        .setExpirationTime(iat + Math.ceil(accessMs / 1_000))
        .setJti(randomUUID())
        .sign(sign);
    },
    verifyAccess: async (token) => {
      if (token.length > MAX_TOKEN || !isSingular(token)) throw unauthenticated();
      const now = clock();
      const options = { algorithms: [ALGORITHM], issuer, audience, typ: TYPE, requiredClaims: CLAIMS, currentDate: new Date(now) };
      const { payload } = await jwtVerify(token, (header: { kid?: string }) => keyOf(keys, header.kid), options).catch((cause: unknown) => {
        throw unauthenticated(cause);
      });
      const { sub, sid, workspace, exp = 0, iat = Infinity, aud } = payload;
      if (typeof aud !== 'string' || iat * 1_000 > now + SKEW_MS) throw unauthenticated();
      if (!isId(sub) || !isId(sid) || !isId(workspace)) throw unauthenticated();
      return { account: sub, session: sid, workspace, expires: exp * 1_000 };
    },
    jwks: () => ({ keys: keys.map(({ jwk, kid }) => ({ ...jwk, kid, alg: ALGORITHM, use: 'sig' })) }),
    successors: (refreshToken) =>
      [firstOf(keys), ...keys.slice(1)].map(
        ({ successor }) =>
          `${refreshToken.slice(0, refreshToken.indexOf('_') + 1)}${createHmac('sha256', successor).update(refreshToken).digest('base64url')}`,
      ),
  };
}

const isId = (claim: unknown): claim is string => typeof claim === 'string' && UUID.test(claim);

function firstOf([first]: readonly SigningKey[]): SigningKey {
  if (!first) throw new Problem('sign_in_not_configured', { detail: 'Set TIU_TOKEN_KEYS or TIU_TOKEN_KEYS_FILE for the api processes' });
  return first;
}

function keyOf(keys: readonly SigningKey[], kid: string | undefined): SigningKey['verify'] {
  const key = keys.find((one) => one.kid === kid);
  if (!key) throw unauthenticated();
  return key.verify;
}
