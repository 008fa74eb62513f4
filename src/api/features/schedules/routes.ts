import { Problem } from '../../../domain/problem.ts';
import { nextFireTime } from '../../../domain/schedule/fireTimes.ts';
import {
  createSchedule,
  deleteSchedule,
  findSchedule,
  listSchedules,
  pauseSchedule,
  updateSchedule,
  type ScheduleRow,
} from '../../../db/repositories/schedules.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { validate } from '../../http/validate.ts';
import { defineRoute, type Call, type Reply, type Route } from '../../route.ts';
import { loadStartPlace, placeOf } from '../../runs/startPlace.ts';
import { noQuery } from '../../schemas.ts';
import { inputMarks } from './inputMarks.ts';
import { documentOf, etagOf, presentSchedule } from './present.ts';
import { mergePatch, readSchedule } from './readSchedule.ts';
import {
  CreateSchedule,
  listQuery,
  PatchedSchedule,
  PauseSchedule,
  Schedule,
  ScheduleList,
  scheduleParams,
  UpdateSchedule,
} from './schemas.ts';

const tag = 'schedules';

export const loadSchedule = ({ deps, actor, params }: Pick<Call<{ id: string }, never, never, never>, 'deps' | 'actor' | 'params'>) =>
  findSchedule(deps.db, { workspace: actor.workspace, key: params.id });

const reply = async (deps: Deps, status: number, row: ScheduleRow): Promise<Reply> => {
  const body = presentSchedule(row, await inputMarks(deps, row));
  return { status, body, headers: { etag: etagOf(row), ...(status === 201 && { location: body.links.self }) } };
};

const create = defineRoute({
  method: 'post',
  path: '/api/v1/schedules',
  action: 'schedule.create',
  cost: 'write',
  tag,
  summary: 'Start runs of a stored workflow at times',
  description:
    'Each time makes one run, an ordinary one. Times during a daylight-saving gap do not fire; those that come twice fire twice.',
  request: { query: noQuery, body: { schema: CreateSchedule } },
  responses: { 201: { description: 'Made', schema: Schedule, headers: { location: 'The schedule', etag: 'Its revision' } } },
  problems: ['schedule_exists', 'too_many_schedules', 'project_archived', 'idempotency_mismatch', 'idempotency_in_progress'],
  idempotency: 'stored',
  load: loadStartPlace,
  handler: async ({ deps, actor, body }) => {
    const { name, ...written } = body;
    const fields = await readSchedule(deps, { name, place: await placeOf({ deps, actor }, body) }, written);
    const made = await createSchedule(deps.db, { workspace: actor.workspace, by: actor.principal, fields });
    if (made === 'exists') throw new Problem('schedule_exists');
    if (made === 'full') throw new Problem('too_many_schedules');
    return reply(deps, 201, made);
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/schedules',
  action: 'schedule.read',
  cost: 'read',
  tag,
  summary: 'Schedules by name',
  request: { query: listQuery },
  responses: { 200: { description: 'A page', schema: ScheduleList } },
  handler: async ({ deps, actor, query }) => {
    const after = fromCursor(query.cursor, /^[a-z][a-z0-9.-]{0,126}$/) ?? '';
    const rows = await listSchedules(deps.db, { workspace: actor.workspace, workflow: query.workflow, after, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.name);
    const items = await Promise.all(shown.map(async (row) => presentSchedule(row, await inputMarks(deps, row))));
    return { status: 200, body: { items, nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/schedules/{id}',
  action: 'schedule.read',
  cost: 'read',
  tag,
  summary: 'One schedule',
  request: { params: scheduleParams, query: noQuery },
  responses: { 200: { description: 'The schedule', schema: Schedule, headers: { etag: 'Its revision' } } },
  load: loadSchedule,
  handler: ({ deps, resource }) => reply(deps, 200, resource),
});

const update = defineRoute({
  method: 'patch',
  path: '/api/v1/schedules/{id}',
  action: 'schedule.update',
  cost: 'write',
  tag,
  summary: 'Change a schedule',
  description: 'Times before the change are not made good. `If-Match` is honoured.',
  request: { params: scheduleParams, query: noQuery, body: { schema: UpdateSchedule } },
  responses: { 200: { description: 'Changed', schema: Schedule, headers: { etag: 'Its revision' } } },
  problems: ['precondition_failed', 'schedule_of_definition', 'project_archived'],
  load: loadSchedule,
  handler: async ({ deps, actor, resource, body, headers }) => {
    const wanted = headers['if-match'];
    if (wanted !== undefined && wanted !== '*' && wanted !== etagOf(resource)) throw new Problem('precondition_failed');
    refuseOfDefinition(resource);
    const { body: written } = validate({ body: { schema: PatchedSchedule, value: mergePatch(documentOf(resource), body), prefix: '' } });
    const patched = PatchedSchedule.parse(written);
    const place = await placeOf({ deps, actor }, patched);
    const kept = { paused: resource.paused, note: resource.note ?? undefined };
    const fields = await readSchedule(deps, { name: resource.name, place }, { ...patched, ...kept });
    const { id, workspace, revision } = resource;
    const changed = await updateSchedule(deps.db, { id, workspace, revision, by: actor.principal }, fields);
    if (!changed) throw new Problem('precondition_failed');
    return reply(deps, 200, changed);
  },
});

function refuseOfDefinition(row: ScheduleRow): void {
  if (row.trigger !== null)
    throw new Problem('schedule_of_definition', { detail: `Change the triggers of the workflow ${row.definition}` });
}

const remove = defineRoute({
  method: 'delete',
  path: '/api/v1/schedules/{id}',
  action: 'schedule.delete',
  cost: 'write',
  tag,
  summary: 'Delete a schedule; its runs stay',
  request: { params: scheduleParams, query: noQuery },
  responses: { 204: { description: 'It fires no more' } },
  problems: ['schedule_of_definition'],
  load: loadSchedule,
  handler: async ({ deps, actor, resource }) => {
    refuseOfDefinition(resource);
    await deleteSchedule(deps.db, { id: resource.id, workspace: resource.workspace, by: actor.principal });
    return { status: 204 };
  },
});

const pausing = (verb: 'pause' | 'unpause', summary: string): Route =>
  defineRoute({
    method: 'post',
    path: `/api/v1/schedules/{id}/${verb}`,
    action: 'schedule.pause',
    cost: 'write',
    tag,
    summary,
    request: { params: scheduleParams, query: noQuery, body: { schema: PauseSchedule } },
    responses: { 200: { description: 'Done', schema: Schedule, headers: { etag: 'Its revision' } } },
    load: loadSchedule,
    handler: async ({ deps, actor, resource, body }) => {
      const { id, workspace } = resource;
      const pause = { paused: verb === 'pause', note: body?.note, next: nextFireTime(resource.compiled, deps.clock()) };
      const row = await pauseSchedule(deps.db, { id, workspace, by: actor.principal }, pause);
      if (!row) throw new Problem('not_found');
      return reply(deps, 200, row);
    },
  });

export const scheduleRoutes: readonly Route[] = [
  create,
  list,
  read,
  update,
  remove,
  pausing('pause', 'Fire no more until it is unpaused'),
  pausing('unpause', 'Fire again; what the pause left out is not made good'),
];
