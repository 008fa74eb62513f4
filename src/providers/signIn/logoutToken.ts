import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';
import type { Configuration } from 'openid-client';
import { guardedFetch } from './guardedFetch.ts';
import type { LoggedOut, ProviderDeps, SignInSettings } from './provider.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** Older ones are not believed; how far the issuer's clock may be from ours, s. */
const MAX_AGE_S = 300;
const TOLERANCE_S = 30;
const MAX_TEXT = 320;

type Of = { settings: SignInSettings; config: Configuration; deps: ProviderDeps };

/** Keys of an issuer stay between tokens, by what discovery said of it. */
const KEYS = new WeakMap<Configuration, ReturnType<typeof createRemoteJWKSet>>();

function keysOf({ config, deps }: Of): ReturnType<typeof createRemoteJWKSet> {
  const { jwks_uri: at } = config.serverMetadata();
  if (at === undefined) throw new Error('the issuer publishes no keys');
  const known = KEYS.get(config);
  if (known) return known;
  const fetch = guardedFetch(deps.http);
  const keys = createRemoteJWKSet(new URL(at), {
    [customFetch]: (url, { headers, ...options }) => fetch(url, { ...options, body: undefined, headers: Object.fromEntries(headers) }),
  });
  KEYS.set(config, keys);
  return keys;
}

/**
 * Checks a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6): signed by the issuer with the algorithm of the settings, for
 * us, fresh, with the event that says what it is and without a nonce, so that no ID token passes for one. That one comes twice does
 * no harm: what it ends has ended. @throws Error
 */
export async function readLogoutToken(of: Of, token: string): Promise<LoggedOut> {
  const { settings, deps } = of;
  const { payload, protectedHeader } = await jwtVerify(token, keysOf(of), {
    ...{ issuer: settings.issuer, audience: settings.clientId, algorithms: [settings.idTokenAlg] },
    ...{ requiredClaims: ['iat', 'exp', 'jti', 'events'], maxTokenAge: MAX_AGE_S, clockTolerance: TOLERANCE_S },
    currentDate: new Date(deps.clock()),
  });
  if (protectedHeader.typ !== undefined && !/^(?:application\/)?(?:logout\+)?jwt$/i.test(protectedHeader.typ))
    throw new Error('of another type');
  const { events, nonce, sid, sub } = payload;
  if (typeof events !== 'object' || events === null || typeof (events as Record<string, unknown>)[EVENT] !== 'object')
    throw new Error('no logout');
  if (nonce !== undefined) throw new Error('has a nonce');
  const told = { ...textIfThere('sid', sid), ...textIfThere('subject', sub) };
  if (Object.keys(told).length === 0) throw new Error('of nobody');
  return { issuer: settings.issuer, ...told };
}

/** Left out is well, anything else but text is not. @throws Error */
const textIfThere = <K extends string>(key: K, value: unknown): { [k in K]?: string } => {
  if (value === undefined) return {};
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT) throw new Error(`${key} is no text`);
  return { [key]: value } as { [k in K]?: string };
};
