import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components } from './types.gen.ts';

export type QueuedRun = components['schemas']['QueuedRun'];
export type QueueClient = ReturnType<typeof createQueue>;

/** The queue of the workspace, and what holds and waits for a key. */
export function createQueue({ baseUrl, api }: Http) {
  return {
    /** One page of queued runs, in the order in which they start. */
    list: (query: { limit?: number; cursor?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/queue', { params: { query } })),
    limit: (key: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/limits/{key}', { params: { path: { key } } })),
  };
}
