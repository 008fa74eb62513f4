import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components } from './types.gen.ts';

export type Secret = components['schemas']['Secret'];
export type Secrets = ReturnType<typeof createSecrets>;

/** Secrets of the workspace: what is set is never read back. */
export function createSecrets({ baseUrl, api }: Http) {
  return {
    /** A request whose answer is lost is sent again, and then makes one version more. */
    set: (name: string, value: string) =>
      answeredAtLast(baseUrl, () => api.PUT('/api/v1/secrets/{name}', { params: { path: { name } }, body: { value } })),
    list: (query: { limit?: number; cursor?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/secrets', { params: { query } })),
    delete: (name: string) => answeredAtLast(baseUrl, () => api.DELETE('/api/v1/secrets/{name}', { params: { path: { name } } })),
    /** With the current key what older keys encrypted. */
    reencrypt: () => answeredAtLast(baseUrl, () => api.POST('/api/v1/secrets/reencrypt')),
  };
}
