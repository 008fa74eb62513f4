import { ApiProblem } from './apiProblem.ts';
import { createHttp, type HttpOptions } from './http.ts';
import { answered, answeredAtLast } from './request.ts';
import type { components } from './types.gen.ts';

/** Tokens of a session. `accessToken` is good for `expiresIn` seconds, `refreshToken` for one `refresh`. */
export type Grant = { sessionId: string; accessToken: string; refreshToken: string; expiresIn: number };

const PENDING: ReadonlySet<string> = new Set(['authorization_pending', 'slow_down']);

/** For who has no token yet, or one whose time is over. */
export function createSignIn(options: Omit<HttpOptions, 'token'>) {
  const { baseUrl, api } = createHttp(options);
  return {
    baseUrl,
    /** Asks to be signed in by somebody who sits elsewhere (RFC 8628): show them the code, then poll. */
    askDevice: (deviceName?: string) =>
      answeredAtLast(baseUrl, () => api.POST('/api/v1/auth/device', { body: deviceName === undefined ? {} : { deviceName } })),
    /**
     * @returns tokens, once; or that nobody has decided yet, and whether to poll more slowly
     * @throws ApiProblem access_denied | expired_token
     */
    pollDevice: async (deviceCode: string): Promise<Grant | { pending: true; slower: boolean }> => {
      try {
        return grantOf(await answered(baseUrl, () => api.POST('/api/v1/auth/device/token', { body: { deviceCode } })));
      } catch (error) {
        if (error instanceof ApiProblem && PENDING.has(error.code)) return { pending: true, slower: error.code === 'slow_down' };
        throw error;
      }
    },
    /** Changes a refresh token for new tokens. The same one sent again soon is answered alike, so a lost answer is asked for again. */
    refresh: async (refreshToken: string): Promise<Grant> =>
      grantOf(await answeredAtLast(baseUrl, () => api.POST('/api/v1/auth/refresh', { body: { refreshToken } }))),
  };
}

/** @throws TypeError of tokens that were set as cookies: these requests carry none */
function grantOf({ sessionId, accessToken, refreshToken, expiresIn }: components['schemas']['SessionGrant']): Grant {
  if (accessToken === null || refreshToken === null) throw new TypeError('the service answered no tokens');
  return { sessionId, accessToken, refreshToken, expiresIn };
}
