import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components } from './types.gen.ts';

export type Hook = components['schemas']['Hook'];
export type Hooks = ReturnType<typeof createHooks>;
export type SetHook = components['schemas']['SetHook'];

/** Hooks of the workspace: where the outside posts to. */
export function createHooks({ baseUrl, api }: Http) {
  const named = (name: string) => ({ params: { path: { name } } });
  return {
    set: (name: string, body: SetHook) => answeredAtLast(baseUrl, () => api.PUT('/api/v1/hooks/{name}', { ...named(name), body })),
    list: (query: { limit?: number; cursor?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/hooks', { params: { query } })),
    read: (name: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/hooks/{name}', named(name))),
    delete: (name: string) => answeredAtLast(baseUrl, () => api.DELETE('/api/v1/hooks/{name}', named(name))),
  };
}
