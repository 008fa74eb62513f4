import type { JsonObject } from '../domain/json.ts';
import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';

export type Workflows = ReturnType<typeof createWorkflows>;
/** A definition as an object, or as the text of a YAML or JSON file. */
export type Source = string | JsonObject;

export function createWorkflows({ baseUrl, api }: Http) {
  return {
    /** All faults, the plan and its predicted size. Stores nothing. */
    check: (definition: Source) => answeredAtLast(baseUrl, () => api.POST('/api/v1/workflows/check', { body: { definition } })),
    /** Stores a definition as the next version of its name; the same content again is the same version. */
    store: (definition: Source) => answeredAtLast(baseUrl, () => api.POST('/api/v1/workflows', { body: { definition } })),
    list: (query: { limit?: number; cursor?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/workflows', { params: { query } })),
    /** Starts a run of a stored definition once, however often the request has to be sent. */
    execute: (name: string, body: { input?: JsonObject; version?: string }, options: { key?: string } = {}) => {
      const header = { 'Idempotency-Key': options.key ?? crypto.randomUUID() };
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/workflows/{name}/execute', { params: { path: { name }, header }, body }));
    },
  };
}
