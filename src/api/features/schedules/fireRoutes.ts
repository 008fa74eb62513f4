import { Problem } from '../../../domain/problem.ts';
import { fireTimes } from '../../../domain/schedule/fireTimes.ts';
import type { ScheduleSpec } from '../../../domain/schedule/schedule.ts';
import { backfillSchedule, findFire, listFires, triggerSchedule } from '../../../db/repositories/schedules.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { presentFire } from './present.ts';
import { backfillTimes, checkedSpec } from './readSchedule.ts';
import { loadSchedule } from './routes.ts';
import {
  BackfillSchedule,
  Backfilled,
  CheckSchedule,
  firesQuery,
  FireTimes,
  nextQuery,
  ScheduleFireList,
  scheduleParams,
  Triggered,
  TriggerSchedule,
} from './schemas.ts';

const tag = 'schedules';

const trigger = defineRoute({
  method: 'post',
  path: '/api/v1/schedules/{id}/trigger',
  action: 'schedule.trigger',
  cost: 'write',
  tag,
  summary: 'Fire now, besides its times',
  description: 'Works while it is paused. Without `overlap` the run starts whatever else is open (`allowAll`).',
  request: { params: scheduleParams, query: noQuery, body: { schema: TriggerSchedule } },
  responses: { 202: { description: 'Decided; `runId` names its run', schema: Triggered, headers: { location: 'The run' } } },
  problems: ['idempotency_mismatch', 'idempotency_in_progress'],
  idempotency: 'stored',
  load: loadSchedule,
  handler: async ({ deps, actor, resource, body }) => {
    const { id, workspace } = resource;
    const nominal = await triggerSchedule(deps.db, { id, workspace, overlap: body?.overlap ?? 'allowAll', by: actor.principal });
    if (!nominal) throw new Problem('not_found');
    await deps.fires.submitPending(id);
    const fire = await findFire(deps.db, { schedule: id, nominal, manual: true });
    if (!fire) throw new Problem('not_found');
    const shown = presentFire(fire);
    return { status: 202, body: shown, ...(shown.runId !== null && { headers: { location: `/api/v1/runs/${shown.runId}` } }) };
  },
});

const backfill = defineRoute({
  method: 'post',
  path: '/api/v1/schedules/{id}/backfill',
  action: 'schedule.trigger',
  cost: 'batch',
  tag,
  summary: 'Make runs for times that have passed',
  description: 'A time that has its run already gets no second one.',
  request: { params: scheduleParams, query: noQuery, body: { schema: BackfillSchedule } },
  responses: { 202: { description: 'Decided; a worker makes the runs', schema: Backfilled } },
  problems: ['idempotency_mismatch', 'idempotency_in_progress'],
  idempotency: 'stored',
  load: loadSchedule,
  handler: async ({ deps, actor, resource, body }) => {
    const times = backfillTimes(deps, resource.compiled, body);
    const { id, workspace } = resource;
    const accepted =
      times.length === 0 ? 0 : await backfillSchedule(deps.db, { id, workspace, times, overlap: body.overlap, by: actor.principal });
    return { status: 202, body: { times: times.length, accepted } };
  },
});

const upcoming = (now: number, spec: ScheduleSpec, count: number) => ({
  items: fireTimes(spec, { after: now, until: Infinity, limit: count }).map((time) => new Date(time).toISOString()),
});

const next = defineRoute({
  method: 'get',
  path: '/api/v1/schedules/{id}/next',
  action: 'schedule.read',
  cost: 'read',
  tag,
  summary: 'The next times it fires, without jitter',
  request: { params: scheduleParams, query: nextQuery },
  responses: { 200: { description: 'Soonest first', schema: FireTimes } },
  load: loadSchedule,
  handler: ({ deps, resource, query }) => Promise.resolve({ status: 200, body: upcoming(deps.clock(), resource.compiled, query.count) }),
});

const check = defineRoute({
  method: 'post',
  path: '/api/v1/schedules/check',
  action: 'schedule.read',
  cost: 'read',
  tag,
  summary: 'When a schedule would fire; nothing is stored',
  request: { query: noQuery, body: { schema: CheckSchedule } },
  responses: { 200: { description: 'Its next times', schema: FireTimes } },
  handler: ({ deps, body }) => Promise.resolve({ status: 200, body: upcoming(deps.clock(), checkedSpec(body.spec), body.count) }),
});

const fires = defineRoute({
  method: 'get',
  path: '/api/v1/schedules/{id}/fires',
  action: 'schedule.read',
  cost: 'read',
  tag,
  summary: 'What became of its times, newest first',
  request: { params: scheduleParams, query: firesQuery },
  responses: { 200: { description: 'A page', schema: ScheduleFireList } },
  load: loadSchedule,
  handler: async ({ deps, resource, query }) => {
    const cursor = fromCursor(query.cursor, /^\d{1,15}$/);
    const before = cursor === undefined ? undefined : new Date(Number(cursor));
    const rows = await listFires(deps.db, { schedule: resource.id, before, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => String(new Date(row.nominal).getTime()));
    return { status: 200, body: { items: shown.map(presentFire), nextCursor } };
  },
});

export const scheduleFireRoutes: readonly Route[] = [check, trigger, backfill, next, fires];
