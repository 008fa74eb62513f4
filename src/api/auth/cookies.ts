import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { Config } from '../../runtime/config.ts';
import type { Reply } from '../route.ts';
import { bearer } from './authenticate.ts';
import type { OpenedSession } from './openSession.ts';
import { requireSameSite } from './sameSite.ts';

/** How a client keeps its tokens: itself, or as cookies that no script of a page can read. */
export const transport = z
  .enum(['token', 'cookie'])
  .default('token')
  .meta({ description: '`cookie`: tokens are set as cookies instead of being answered' });

const ACCESS = '__Host-tiu_access';
const REFRESH = '__Host-tiu_refresh';
const SAFE = new Set(['GET', 'HEAD']);

/** For whoever keeps cookies: a request of a browser with them, and what it asks. */
type Request = { method: string; headers: IncomingHttpHeaders };

/**
 * The token that a request goes by: that of its Authorization header, else the cookie of a session, which is no right to
 * change anything for a page of another site.
 * @throws Problem unauthenticated | cross_site_request
 */
export function tokenOf(config: Pick<Config, 'TIU_CORS_ORIGINS' | 'TIU_PUBLIC_URL'>, { method, headers }: Request): string | undefined {
  const token = bearer(headers.authorization);
  if (token !== undefined) return token;
  const cookie = accessCookieOf(headers);
  if (cookie === undefined) return undefined;
  if (!SAFE.has(method)) requireSameSite(config, { headers, isProven: true });
  return cookie;
}

/** Of a request that goes by it. An API key is no cookie. */
export function accessCookieOf(headers: IncomingHttpHeaders): string | undefined {
  const cookie = headers.authorization === undefined ? cookieOf(headers, ACCESS) : undefined;
  return cookie?.startsWith('tiu_') === true ? undefined : cookie;
}

export const refreshCookieOf = (headers: IncomingHttpHeaders): string | undefined => cookieOf(headers, REFRESH);

/** Of a session whose refresh token stays there is no other. */
type Granted = Omit<OpenedSession, 'refreshToken'> & { refreshToken?: string };

/** @param how.remember whether the cookies outlive the browser, for as long as a session may */
export function grantReply(opened: Granted, how: { transport: 'token' | 'cookie'; remember: boolean; config: Config }): Reply {
  if (how.transport === 'token') return { status: 200, body: opened };
  const { accessToken, refreshToken, ...shown } = opened;
  const maxAge = how.remember ? `; Max-Age=${Math.floor(how.config.TIU_SESSION_REMEMBER_LIFE / 1_000)}` : '';
  return {
    status: 200,
    body: { ...shown, accessToken: null, ...(refreshToken !== undefined && { refreshToken: null }) },
    headers: {
      'set-cookie': [
        `${ACCESS}=${accessToken}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${opened.expiresIn}`,
        ...(refreshToken === undefined ? [] : [`${REFRESH}=${refreshToken}; Path=/; Secure; HttpOnly; SameSite=Strict${maxAge}`]),
      ],
    },
  };
}

/** Takes the cookies of a session away; other clients do not care. */
export const forgetCookies = (): { 'set-cookie': string[] } => ({
  'set-cookie': [
    `${ACCESS}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`,
    `${REFRESH}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`,
  ],
});

export function cookieOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  for (const part of (headers.cookie ?? '').split(';')) {
    const [key, value] = part.trim().split('=', 2);
    if (key === name && value !== undefined && value !== '') return value;
  }
  return undefined;
}
