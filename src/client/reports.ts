import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { paths } from './types.gen.ts';

type Query<P extends `/api/v1/reports/${'workflows' | 'tasks' | 'history'}`> = Omit<
  NonNullable<paths[P]['get']['parameters']['query']>,
  'format'
>;
export type Reports = ReturnType<typeof createReports>;

/** What ran in a range of time; the last seven days unless the query says otherwise. */
export function createReports({ baseUrl, api }: Http) {
  return {
    workflows: (query: Query<'/api/v1/reports/workflows'> = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/reports/workflows', { params: { query } })),
    tasks: (query: Query<'/api/v1/reports/tasks'> = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/reports/tasks', { params: { query } })),
    /** One page of runs that have ended. */
    history: (query: Query<'/api/v1/reports/history'> = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/reports/history', { params: { query } })),
  };
}
