import type { Http } from './createClient.ts';
import { answeredAtLast } from './request.ts';
import type { paths } from './types.gen.ts';
import { watchRun, type IsOver } from './watchRun.ts';

type Success<O> = O extends { responses: infer R }
  ? R extends Record<200 | 201 | 202, never>
    ? never
    : BodyOf<R[keyof R & (200 | 201 | 202)]>
  : never;
type BodyOf<R> = R extends { content: { 'application/json': infer T } } ? T : never;
type QueryOf<O> = O extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;
type RequestOf<O> = O extends { requestBody?: { content: { 'application/json': infer B } } } ? B : never;

export type StartRun = RequestOf<paths['/api/v1/runs']['post']>;
export type Run = Success<paths['/api/v1/runs/{id}']['get']>;
export type RunList = Success<paths['/api/v1/runs']['get']>;
export type RunQuery = QueryOf<paths['/api/v1/runs']['get']>;
export type Runs = ReturnType<typeof createRuns>;

const CLOSED: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'timed_out']);
export const isClosedRun = (run: { status: string }): boolean => CLOSED.has(run.status);

export function createRuns(http: Http) {
  const { baseUrl, api } = http;
  const get = (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}', { params: { path: { id } } }));
  const events = (id: string, query: { after?: number; limit?: number } = {}) =>
    answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/events', { params: { path: { id }, query } }));
  const isOver =
    (id: string): IsOver =>
    async (seq) =>
      isClosedRun(await get(id)) && (await events(id, { after: seq, limit: 1 })).items.length === 0;
  return {
    /** Starts a run once, however often the request has to be sent. `key` makes a repetition by the caller the same start. */
    start: (body: StartRun, options: { key?: string } = {}) => {
      const header = { 'idempotency-key': options.key ?? crypto.randomUUID() };
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/runs', { params: { header }, body }));
    },
    get,
    list: (query: RunQuery = {}) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs', { params: { query } })),
    tasks: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/tasks', { params: { path: { id } } })),
    output: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/output', { params: { path: { id } } })),
    /** One page of the log. To follow it, use `watch`. */
    events,
    /** Asks the run to end; a second call forces it. Sent again safely if its answer is lost. */
    cancel: (id: string, body: { reason?: string } = {}) => {
      const header = { 'idempotency-key': crypto.randomUUID() };
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/runs/{id}/cancel', { params: { path: { id }, header }, body }));
    },
    isOver,
    /** Resolves when the run is closed, with what it became; earlier, with what it is, if `signal` fires. */
    wait: async (id: string, options: { signal?: AbortSignal } = {}): Promise<Run> => {
      const run = await get(id);
      if (isClosedRun(run)) return run;
      const events = watchRun(http, { id, isOver: isOver(id) }, options);
      while (!(await events.next()).done);
      return await get(id);
    },
  };
}
