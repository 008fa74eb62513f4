import type { Http } from './http.ts';
import { answeredAtLast } from './request.ts';
import type { components, paths } from './types.gen.ts';

type Schemas = components['schemas'];

export type Schedule = Schemas['Schedule'];
export type ScheduleQuery = NonNullable<paths['/api/v1/schedules']['get']['parameters']['query']>;
export type Schedules = ReturnType<typeof createSchedules>;

/** `id` is the id of a schedule or its name. What acts is sent again safely if its answer is lost. */
export function createSchedules({ baseUrl, api }: Http) {
  const once = (id: string) => ({ path: { id }, header: { 'Idempotency-Key': crypto.randomUUID() } });
  return {
    create: (body: Schemas['CreateSchedule']) =>
      answeredAtLast(baseUrl, () =>
        api.POST('/api/v1/schedules', { params: { header: { 'Idempotency-Key': crypto.randomUUID() } }, body }),
      ),
    list: (query: ScheduleQuery = {}) => answeredAtLast(baseUrl, () => api.GET('/api/v1/schedules', { params: { query } })),
    get: (id: string) => answeredAtLast(baseUrl, () => api.GET('/api/v1/schedules/{id}', { params: { path: { id } } })),
    /** A JSON Merge Patch. */
    update: (id: string, body: Schemas['UpdateSchedule']) =>
      answeredAtLast(baseUrl, () => api.PATCH('/api/v1/schedules/{id}', { params: { path: { id } }, body })),
    delete: (id: string) => answeredAtLast(baseUrl, () => api.DELETE('/api/v1/schedules/{id}', { params: { path: { id } } })),
    pause: (id: string, body: { note?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.POST('/api/v1/schedules/{id}/pause', { params: { path: { id } }, body })),
    unpause: (id: string, body: { note?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.POST('/api/v1/schedules/{id}/unpause', { params: { path: { id } }, body })),
    /** Fires now, besides its times. */
    trigger: (id: string) => {
      const params = once(id);
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/schedules/{id}/trigger', { params, body: {} }));
    },
    /** Makes runs for times that have passed and have none. */
    backfill: (id: string, body: Schemas['BackfillSchedule']) => {
      const params = once(id);
      return answeredAtLast(baseUrl, () => api.POST('/api/v1/schedules/{id}/backfill', { params, body }));
    },
    next: (id: string, query: { count?: number } = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/schedules/{id}/next', { params: { path: { id }, query } })),
    fires: (id: string, query: { limit?: number; cursor?: string } = {}) =>
      answeredAtLast(baseUrl, () => api.GET('/api/v1/schedules/{id}/fires', { params: { path: { id }, query } })),
  };
}
