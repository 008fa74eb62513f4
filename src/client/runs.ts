import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components, paths } from './types.gen.ts';
import { watchRun, type IsOver } from './watchRun.ts';

type Schemas = components['schemas'];

export type StartRun = Schemas['StartRun'];
export type ForkRun = NonNullable<Schemas['ForkRun']>;
export type Run = Schemas['Run'];
export type Explanation = Schemas['Explanation'];
export type Progress = Schemas['Progress'];
export type RunQuery = NonNullable<paths['/api/v1/runs']['get']['parameters']['query']>;
export type ItemQuery = NonNullable<paths['/api/v1/runs/{id}/tasks/{task}/items']['get']['parameters']['query']>;
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
      const header = { 'Idempotency-Key': options.key ?? crypto.randomUUID() };
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/runs', { params: { header }, body }));
    },
    /** Starts several and says of each what became of it. */
    startMany: (runs: Schemas['BatchRun'][], options: { key?: string } = {}) => {
      const header = { 'Idempotency-Key': options.key ?? crypto.randomUUID() };
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/runs/batch', { params: { header }, body: { runs } }));
    },
    get,
    list: (query: RunQuery = {}) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs', { params: { query } })),
    tasks: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/tasks', { params: { path: { id } } })),
    /** One page of the items of a mapped task. */
    items: (id: string, task: string, query: ItemQuery = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/tasks/{task}/items', { params: { path: { id, task }, query } })),
    /** What an open run waits for. */
    explain: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/explain', { params: { path: { id } } })),
    /** Percentage, estimate of the end with its error, critical path. */
    progress: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/progress', { params: { path: { id } } })),
    output: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/runs/{id}/output', { params: { path: { id } } })),
    /** One page of the log. To follow it, use `watch`. */
    events,
    /** Asks the run to end; a second call forces it. Sent again safely if its answer is lost. */
    cancel: (id: string, body: { reason?: string } = {}) => {
      const header = { 'Idempotency-Key': crypto.randomUUID() };
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/runs/{id}/cancel', { params: { path: { id }, header }, body }));
    },
    /** Starts a run with what a closed one has done, once however often the request has to be sent. */
    fork: (id: string, body: ForkRun, options: { key?: string } = {}) => {
      const header = { 'Idempotency-Key': options.key ?? crypto.randomUUID() };
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/runs/{id}/fork', { params: { path: { id }, header }, body }));
    },
    /** What that fork would run again and why, and what it would keep. */
    previewFork: (id: string, body: ForkRun) =>
      answeredAtLast(baseUrl, () => api.POST('/api/v1/runs/{id}/fork/preview', { params: { path: { id } }, body })),
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
