import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components } from './types.gen.ts';

type Schemas = components['schemas'];
export type StartBulk = Omit<Schemas['StartBulk'], 'preview'>;
export type BulkJob = Schemas['BulkJob'];
export type Bulk = ReturnType<typeof createBulk>;

/** One command for all runs of a filter. What acts is sent again safely if its answer is lost. */
export function createBulk({ baseUrl, api }: Http) {
  const once = () => ({ 'Idempotency-Key': crypto.randomUUID() });
  const post = (body: Schemas['StartBulk']) => {
    const header = once();
    return answeredAtLast(baseUrl, () => api.POST('/api/v1/runs/bulk', { params: { header }, body }));
  };
  return {
    /** How many runs there are, and whether there are more than were counted. */
    preview: async (body: StartBulk) => (await post({ ...body, preview: true })) as Schemas['BulkCount'],
    start: async (body: StartBulk) => (await post(body)) as BulkJob,
    list: (query: { limit?: number; cursor?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/bulk', { params: { query } })),
    get: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/bulk/{id}', { params: { path: { id } } })),
    /** No further run gets the command. */
    abort: (id: string) => {
      const header = once();
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/bulk/{id}/abort', { params: { path: { id }, header } }));
    },
  };
}
