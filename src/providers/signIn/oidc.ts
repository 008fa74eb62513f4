import { createHash } from 'node:crypto';
import * as client from 'openid-client';
import { Problem } from '../../domain/problem.ts';
import { guardedFetch } from './guardedFetch.ts';
import { readLogoutToken } from './logoutToken.ts';
import { refused, s256 } from './answers.ts';
import type { Expected, ProviderDeps, ProvenIdentity, SignInProvider, SignInSettings } from './provider.ts';

/** How long what discovery said is believed, ms. */
const BELIEVED_MS = 60 * 60_000;
/** How long an issuer may take for one answer, s. */
const TIMEOUT_S = 10;
/** How far the issuer's clock may be from ours, s. */
const TOLERANCE_S = 30;

/**
 * OpenID Connect, code flow (OpenID Connect Core 1.0, RFC 9700) with PKCE S256, state, nonce and `iss` (RFC 9207). The ID token's
 * signature is checked against the issuer's keys although it came over TLS, and only the algorithm of the settings counts.
 */
export function createOidcProvider(settings: SignInSettings, deps: ProviderDeps): SignInProvider {
  let known: { config: Promise<client.Configuration>; until: number } | undefined;
  const configuration = async (): Promise<client.Configuration> => {
    if (!known || known.until < deps.clock()) known = { config: discover(settings, deps), until: deps.clock() + BELIEVED_MS };
    try {
      return await known.config;
    } catch (cause) {
      known = undefined;
      throw new Problem('sign_in_unavailable', { detail: `${settings.title} cannot be reached or is not what the settings say`, cause });
    }
  };
  return {
    authorizationUrl: async (expected) => {
      const url = client.buildAuthorizationUrl(await configuration(), {
        ...{ response_type: 'code', redirect_uri: expected.redirectUri, scope: settings.scopes.join(' ') },
        ...{ state: expected.state, nonce: expected.nonce, code_challenge: s256(expected.codeVerifier), code_challenge_method: 'S256' },
      });
      return url.href;
    },
    finish: async (answer, expected) => {
      const config = await configuration();
      try {
        return await exchange(config, answer, expected);
      } catch (error) {
        throw refused(error);
      }
    },
    loggedOut: async (token) => {
      const config = await configuration();
      try {
        return await readLogoutToken({ settings, config, deps }, token);
      } catch (error) {
        throw refused(error);
      }
    },
  };
}

async function discover(settings: SignInSettings, deps: ProviderDeps): Promise<client.Configuration> {
  const metadata = {
    client_secret: settings.clientSecret,
    id_token_signed_response_alg: settings.idTokenAlg,
    [client.clockTolerance]: TOLERANCE_S,
  } as Partial<client.ClientMetadata>;
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so only to stand out; the settings ask for it by name
  const execute = [client.enableNonRepudiationChecks, ...(settings.insecure ? [client.allowInsecureRequests] : [])];
  const config = await client.discovery(
    new URL(settings.issuer),
    settings.clientId,
    metadata,
    settings.clientSecret === undefined ? client.None() : client.ClientSecretBasic(settings.clientSecret),
    { execute, timeout: TIMEOUT_S, [client.customFetch]: guardedFetch(deps.http) },
  );
  if (config.serverMetadata().issuer !== settings.issuer) throw new Error('the document is of another issuer');
  return config;
}

async function exchange(config: client.Configuration, answer: URLSearchParams, expected: Expected): Promise<ProvenIdentity> {
  const current = new URL(expected.redirectUri);
  current.search = answer.toString();
  const tokens = await client.authorizationCodeGrant(config, current, {
    pkceCodeVerifier: expected.codeVerifier,
    expectedState: expected.state,
    expectedNonce: expected.nonce,
    idTokenExpected: true,
  });
  const claims = tokens.claims();
  if (!claims) throw new Error('no ID token');
  const { iss: issuer, sub: subject } = claims;
  // the library leaves these two to its users
  if (subject === '' || subject.length > 255) throw new Error('no subject');
  checkAccessTokenHash(claims.at_hash, tokens.access_token, config.clientMetadata().id_token_signed_response_alg ?? '');
  // what the token leaves out, the userinfo endpoint may tell; its subject has to be the same
  const more =
    claims.email === undefined && config.serverMetadata().userinfo_endpoint !== undefined
      ? await client.fetchUserInfo(config, tokens.access_token, subject)
      : {};
  const told: Record<string, unknown> = { ...more, ...claims };
  return {
    ...{ issuer, subject, emailVerified: told.email_verified === true, mfa: Array.isArray(claims.amr) && claims.amr.includes('mfa') },
    ...textOrNothing('sid', claims.sid),
    ...textOrNothing('email', told.email),
    ...textOrNothing('fullName', told.name),
    ...textOrNothing('userName', told.preferred_username),
  };
}

/** OpenID Connect Core 1.0, 3.1.3.8: the left half of the hash that belongs to the algorithm. */
function checkAccessTokenHash(told: unknown, accessToken: string, alg: string): void {
  if (told === undefined) return;
  const hash = createHash(/Ed|512/.test(alg) ? 'sha512' : alg.endsWith('384') ? 'sha384' : 'sha256')
    .update(accessToken)
    .digest();
  if (told !== hash.subarray(0, hash.length / 2).toString('base64url')) throw new Error('at_hash is of another access token');
}

/** What is no text is passed over. */
const textOrNothing = <K extends string>(key: K, value: unknown): { [k in K]?: string } =>
  (typeof value === 'string' && value !== '' && value.length <= 320 ? { [key]: value } : {}) as { [k in K]?: string };
