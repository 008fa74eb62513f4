import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components, paths } from './types.gen.ts';

type Schemas = components['schemas'];
type TaskQuery = NonNullable<paths['/api/v1/tasks']['get']['parameters']['query']>;
export type Tasks = ReturnType<typeof createTasks>;

/** Tasks on their own: runs of one task each. What acts is sent again safely if its answer is lost. */
export function createTasks({ baseUrl, api }: Http) {
  const once = (key?: string) => ({ 'Idempotency-Key': key ?? crypto.randomUUID() });
  const command =
    (type: 'pause' | 'resume' | 'retry') =>
    (id: string, body: { reason?: string } = {}) => {
      const header = once();
      return answeredAtLast(baseUrl, () => api.POST(`/api/v1/tasks/{id}/${type}`, { params: { path: { id }, header }, body }));
    };
  return {
    create: (body: Schemas['CreateTask'], options: { key?: string } = {}) => {
      const header = once(options.key);
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/tasks', { params: { header }, body }));
    },
    /** Says of each what became of it. */
    createMany: (tasks: Schemas['BatchTask'][], options: { key?: string } = {}) => {
      const header = once(options.key);
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/tasks/batch', { params: { header }, body: { tasks } }));
    },
    list: (query: TaskQuery = {}) => answeredAtLast(baseUrl, () => api.GET('/api/v1/tasks', { params: { query } })),
    get: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/tasks/{id}', { params: { path: { id } } })),
    cancel: (id: string, body: { reason?: string } = {}) => {
      const header = once();
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/tasks/{id}/cancel', { params: { path: { id }, header }, body }));
    },
    pause: command('pause'),
    resume: command('resume'),
    /** One that has ended and did not complete. */
    retry: command('retry'),
  };
}
