import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components } from './types.gen.ts';

export type Auth = ReturnType<typeof createAuth>;
export type WhoAmI = components['schemas']['WhoAmI'];

/** Whoever the client acts for. */
export function createAuth({ baseUrl, api }: Http) {
  const code = (userCode: string) => ({ params: { path: { userCode } } });
  return {
    whoami: () => answeredAtLast(baseUrl, () => api.GET('/api/v1/auth/whoami')),
    /** Ends the session of the client, or all of the person. @throws ApiProblem forbidden for a key */
    logout: (options: { all?: boolean } = {}) =>
      answeredAtLast(baseUrl, () => api.POST('/api/v1/auth/logout', { body: { all: options.all ?? false } })),
    /** The device that shows this code. @throws ApiProblem not_found also for a code that was used */
    device: (userCode: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/auth/device/{userCode}', code(userCode))),
    approveDevice: (userCode: string) => answeredAtLast(baseUrl, () => api.POST('/api/v1/auth/device/{userCode}/approve', code(userCode))),
    denyDevice: (userCode: string) => answeredAtLast(baseUrl, () => api.POST('/api/v1/auth/device/{userCode}/deny', code(userCode))),
  };
}
