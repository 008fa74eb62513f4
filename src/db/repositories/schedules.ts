import { randomUUIDv7 } from 'node:crypto';
import type { Json, JsonObject } from '../../domain/json.ts';
import type { Failure } from '../../domain/problem.ts';
import { SCHEDULE_LIMITS, type OverlapPolicy, type ScheduleSpec } from '../../domain/schedule/schedule.ts';
import { NOT_RECORDED } from '../../domain/audit/recordable.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../database.ts';

type Rows = Pick<Database, 'rows'>;

/** What its owner says about a schedule. Times are ms since the epoch. */
export type ScheduleFields = {
  name: string;
  definition: string;
  definitionVersion: string | undefined;
  /** As it was written, for showing. */
  spec: Json;
  compiled: ScheduleSpec;
  input: Json | undefined;
  priority: string | undefined;
  labels: Record<string, string> | undefined;
  overlap: OverlapPolicy;
  catchupMs: number;
  remaining: number | undefined;
  paused: boolean;
  note: string | undefined;
  /** First fire time after now. */
  next: number | undefined;
  /** Id of the project that its runs are in. */
  project: string | undefined;
};

export type ScheduleRow = {
  id: string;
  workspace: string;
  name: string;
  definition: string;
  definition_version: string | null;
  /** Position among the triggers of its definition; null for one that was made by itself. */
  trigger: number | null;
  spec: Json;
  compiled: ScheduleSpec;
  input: Json;
  priority: string | null;
  labels: JsonObject | null;
  overlap: OverlapPolicy;
  catchup_ms: number;
  remaining: number | null;
  paused: boolean;
  note: string | null;
  /** That its runs are in: its id, and what it is called. */
  project: string | null;
  project_name: string | null;
  revision: number;
  synced: boolean;
  next_at: string | null;
  fired: number;
  skipped: number;
  missed: number;
  failed: number;
  last_at: string | null;
  created: string;
  created_by: string;
  updated: string;
};

const COLUMNS = `id, workspace, name, definition, definition_version, trigger, spec, compiled, input, priority, labels, overlap,
  catchup_ms::float8 as catchup_ms, remaining, paused, note, project, (select p.name from project p where p.id = project) as project_name, revision, synced is not distinct from revision as synced, next_at, fired::float8 as fired,
  skipped::float8 as skipped, missed::float8 as missed, failed::float8 as failed, last_at, created, created_by, updated`;

const dateOf = (ms: number | undefined): Date | null => (ms === undefined ? null : new Date(ms));
const textOf = (value: Json | undefined): string | null => (value === undefined ? null : JSON.stringify(value));

/** $1 to $16, as `FIELDS` names them. */
const valuesOf = (fields: ScheduleFields): unknown[] => [
  fields.name,
  fields.definition,
  fields.definitionVersion ?? null,
  JSON.stringify(fields.spec),
  JSON.stringify(fields.compiled),
  textOf(fields.input),
  fields.priority ?? null,
  textOf(fields.labels),
  fields.overlap,
  fields.catchupMs,
  fields.compiled.jitterMs,
  fields.remaining ?? null,
  fields.paused,
  fields.note ?? null,
  dateOf(fields.next),
  fields.project ?? null,
];
const FIELDS =
  'name, definition, definition_version, spec, compiled, input, priority, labels, overlap, catchup_ms, jitter_ms, remaining, paused, note, next_at, project';
const PLACES =
  '$1, $2, $3, $4::json, $5::json, $6::json, $7, $8::json, $9, $10::bigint, $11::bigint, $12::int, $13::boolean, $14, $15::timestamptz, $16::uuid';

/** That there is a value, and not which: anybody may have written a secret or somebody's name there. */
const hidden = (value: string): string => `case when ${value} is not null then '${NOT_RECORDED}' end`;

/** What the audit keeps of a schedule. */
const said = (
  s: string,
): string => `json_build_object('name', ${s}.name, 'workflow', ${s}.definition, 'version', ${s}.definition_version, 'spec', ${s}.spec,
  'overlap', ${s}.overlap, 'catchupMs', ${s}.catchup_ms, 'remaining', ${s}.remaining, 'priority', ${s}.priority, 'project', ${s}.project, 'paused', ${s}.paused,
  'input', ${hidden(`${s}.input`)}, 'labels', ${hidden(`${s}.labels`)}, 'note', ${hidden(`${s}.note`)})`;

type Audited = { first: number; by: number; from?: string; before?: string; after?: string; data?: string };

/** Of the schedules `s` that have changed. @param places.from these with what they were (`b`) */
const audited = (action: string, { first, by, from = 's', ...more }: Audited): string =>
  `a as (${auditInto(first, {
    ...{ from, workspace: 's.workspace', actor: `$${by}`, action: `'${action}'`, object: `'schedule:' || s.id`, ...more },
  })})`;

/** Tells the workers that schedules have changed. A hint: they look every second anyway. */
export async function notifySchedules(db: Rows): Promise<void> {
  await db.rows({ name: 'schedule_notify', text: `select pg_notify('schedule', '')`, values: [] });
}

/** @returns exists = the name is taken; full = the workspace has as many as it may */
export async function createSchedule(
  db: Rows,
  schedule: { workspace: string; by: string; fields: ScheduleFields },
): Promise<ScheduleRow | 'exists' | 'full'> {
  const rows = await db.rows<ScheduleRow & { full: boolean }>({
    name: 'schedule_create',
    text: `with n as (select count(*) as n from schedule where workspace = $18 and deleted is null),
      s as (insert into schedule (id, workspace, ${FIELDS}, through, created, created_by, updated)
        select $17, $18, ${PLACES}, clock_timestamp(), clock_timestamp(), $19, clock_timestamp() from n where n.n < ${SCHEDULE_LIMITS.perWorkspace}
        on conflict do nothing returning *),
      ${audited('schedule.create', { first: 20, by: 19, after: said('s') })}
      select ${COLUMNS} from s`,
    values: [...valuesOf(schedule.fields), randomUUIDv7(), schedule.workspace, schedule.by, ...auditValues()],
  });
  await notifySchedules(db);
  if (rows[0]) return rows[0];
  return (await findSchedule(db, { workspace: schedule.workspace, key: schedule.fields.name })) ? 'exists' : 'full';
}

/** @param key.key its id or its name */
export async function findSchedule(db: Rows, key: { workspace: string; key: string }): Promise<ScheduleRow | undefined> {
  const rows = await db.rows<ScheduleRow>({
    name: 'schedule_find',
    text: `select ${COLUMNS} from schedule where workspace = $1 and (id::text = $2 or name = $2) and deleted is null limit 1`,
    values: [key.workspace, key.key.toLowerCase()],
  });
  return rows[0];
}

/** By name. @param page.after last name of the page before */
export async function listSchedules(
  db: Rows,
  page: { workspace: string; workflow: string | undefined; after: string; limit: number },
): Promise<ScheduleRow[]> {
  return db.rows<ScheduleRow>({
    name: 'schedule_list',
    text: `select ${COLUMNS} from schedule where workspace = $1 and deleted is null and name > $2 and ($3::text is null or definition = $3) order by name limit $4`,
    values: [page.workspace, page.after, page.workflow ?? null, page.limit],
  });
}

type Change = { id: string; workspace: string; revision: number; by: string };

/** Everything its owner says, anew. Times before now are not made good. @returns undefined = it has changed meanwhile, or its new name is taken */
export async function updateSchedule(db: Rows, change: Change, fields: ScheduleFields): Promise<ScheduleRow | undefined> {
  const rows = await db.rows<ScheduleRow>({
    name: 'schedule_update',
    text: `with b as (select * from schedule where id = $17 and workspace = $18 and revision = $19),
      s as (update schedule set (${FIELDS}) = (${PLACES}), revision = revision + 1, through = greatest(through, clock_timestamp()), updated = clock_timestamp()
        where id = $17 and workspace = $18 and revision = $19 and deleted is null returning *),
      ${audited('schedule.update', { first: 21, by: 20, from: 's join b on b.id = s.id', before: said('b'), after: said('s') })}
      select ${COLUMNS} from s`,
    values: [...valuesOf(fields), change.id, change.workspace, change.revision, change.by, ...auditValues()],
  });
  await notifySchedules(db);
  return rows[0];
}

/** The time of a pause is not made good. @param pause.next first fire time after now */
export async function pauseSchedule(
  db: Rows,
  schedule: Omit<Change, 'revision'>,
  pause: { paused: boolean; note: string | undefined; next: number | undefined },
): Promise<ScheduleRow | undefined> {
  const rows = await db.rows<ScheduleRow>({
    name: pause.paused ? 'schedule_pause' : 'schedule_unpause',
    text: `with b as (select * from schedule where id = $1 and workspace = $2),
      s as (update schedule set paused = $3, note = $4, revision = revision + 1, updated = clock_timestamp(), next_at = $5::timestamptz,
        through = case when paused then greatest(through, clock_timestamp()) else through end where id = $1 and workspace = $2 and deleted is null returning *),
      ${audited(pause.paused ? 'schedule.pause' : 'schedule.unpause', { first: 7, by: 6, from: 's join b on b.id = s.id', before: `json_build_object('paused', b.paused)`, after: `json_build_object('paused', s.paused)` })}
      select ${COLUMNS} from s`,
    values: [schedule.id, schedule.workspace, pause.paused, pause.note ?? null, dateOf(pause.next), schedule.by, ...auditValues()],
  });
  await notifySchedules(db);
  return rows[0];
}

/** Its runs stay; fires that wait are dropped. A worker takes it out of Temporal and forgets the row. */
export async function deleteSchedule(db: Rows, schedule: Omit<Change, 'revision'>): Promise<void> {
  await db.rows({
    name: 'schedule_delete',
    text: `with s as (update schedule set deleted = clock_timestamp() where id = $1 and workspace = $2 and deleted is null returning *),
      f as (delete from schedule_fire f using s where f.schedule = s.id and f.status = 'buffered'),
      ${audited('schedule.delete', { first: 4, by: 3, before: said('s') })} select id from s`,
    values: [schedule.id, schedule.workspace, schedule.by, ...auditValues()],
  });
  await notifySchedules(db);
}

export type FireRow = {
  nominal: string;
  manual: boolean;
  kind: string;
  status: 'pending' | 'buffered' | 'started' | 'skipped' | 'missed' | 'failed';
  run: string | null;
  failure: Failure | null;
  at: string;
  by: string;
};

const FIRE = 'nominal, manual, kind, status, run, failure, at, by';

/** Newest first. @param page.before time of the last one of the page before */
export async function listFires(db: Rows, page: { schedule: string; before: Date | undefined; limit: number }): Promise<FireRow[]> {
  return db.rows<FireRow>({
    name: 'fire_list',
    text: `select ${FIRE} from schedule_fire where schedule = $1 and ($2::timestamptz is null or nominal < $2) order by nominal desc limit $3`,
    values: [page.schedule, page.before ?? null, page.limit],
  });
}

/** Decides a fire of now. @returns undefined = there is no such schedule */
export async function triggerSchedule(
  db: Rows,
  trigger: { id: string; workspace: string; overlap: OverlapPolicy; by: string },
): Promise<Date | undefined> {
  const rows = await db.rows<{ nominal: string | Date }>({
    name: 'schedule_trigger',
    text: `with s as (select $1::uuid as id, $2::uuid as workspace, f.nominal, f.status from schedule_trigger_v1($1, $2, $3, $4, $5) f),
      ${audited('schedule.trigger', { first: 6, by: 5, data: `json_build_object('at', s.nominal, 'overlap', $4::text, 'status', s.status)` })}
      select nominal from s`,
    values: [trigger.id, trigger.workspace, randomUUIDv7(), trigger.overlap, trigger.by, ...auditValues()],
  });
  return rows[0] && new Date(rows[0].nominal);
}

export async function findFire(db: Rows, key: { schedule: string; nominal: Date; manual: boolean }): Promise<FireRow | undefined> {
  const rows = await db.rows<FireRow>({
    name: 'fire_find',
    text: `select ${FIRE} from schedule_fire where schedule = $1 and nominal = $2 and manual = $3`,
    values: [key.schedule, key.nominal, key.manual],
  });
  return rows[0];
}

/** Decides those of the times that have no run. @returns how many will have one */
export async function backfillSchedule(
  db: Rows,
  backfill: { id: string; workspace: string; times: readonly number[]; overlap: OverlapPolicy; by: string },
): Promise<number> {
  const rows = await db.rows<{ n: number | null }>({
    name: 'schedule_backfill',
    text: `with s as (select $1::uuid as id, $2::uuid as workspace, schedule_backfill_v1($1, $2, $3, $4, $5, $6) as n),
      ${audited('schedule.backfill', { first: 7, by: 6, from: 's where s.n is not null', data: `json_build_object('times', cardinality($3::timestamptz[]), 'since', $3[1], 'until', $3[cardinality($3)], 'overlap', $5::text, 'runs', s.n)` })}
      select n from s`,
    values: [
      backfill.id,
      backfill.workspace,
      backfill.times.map((time) => new Date(time)),
      backfill.times.map(() => randomUUIDv7()),
      backfill.overlap,
      backfill.by,
      ...auditValues(),
    ],
  });
  await notifySchedules(db);
  return rows[0]?.n ?? 0;
}

/** Makes the schedules of a definition be these and no others; one that stays as it was keeps its fires. @returns full = too many */
export async function replaceTriggers(
  db: Rows,
  definition: { workspace: string; name: string; by: string },
  triggers: readonly ScheduleFields[],
): Promise<'ok' | 'full'> {
  const had = await db.rows<{ name: string }>({
    name: 'triggers_drop',
    text: `with s as (update schedule set deleted = clock_timestamp() where workspace = $1 and definition = $2 and trigger is not null and deleted is null
        and not (name = any($3)) returning *),
      ${audited('schedule.delete', { first: 5, by: 4, before: said('s') })} select name from s`,
    values: [definition.workspace, definition.name, triggers.map((trigger) => trigger.name), definition.by, ...auditValues()],
  });
  let outcome: 'ok' | 'full' = 'ok';
  for (const [i, fields] of triggers.entries())
    if ((await putTrigger(db, { ...definition, trigger: i }, fields)) === 'full') outcome = 'full';
  if (had.length + triggers.length > 0) await notifySchedules(db);
  return outcome;
}

/** Pause and note are the operator's, not the definition's. */
async function putTrigger(
  db: Rows,
  owner: { workspace: string; by: string; trigger: number },
  fields: ScheduleFields,
): Promise<'ok' | 'full'> {
  const rows = await db.rows({
    name: 'trigger_put',
    text: `with n as (select count(*) as n from schedule where workspace = $18 and deleted is null),
      s as (insert into schedule as x (id, workspace, ${FIELDS}, through, created, created_by, updated, trigger)
        select $17, $18, ${PLACES}, clock_timestamp(), clock_timestamp(), $19, clock_timestamp(), $20::int from n where n.n < ${SCHEDULE_LIMITS.perWorkspace}
        on conflict (workspace, name) where deleted is null do update set trigger = excluded.trigger, spec = excluded.spec, compiled = excluded.compiled,
          input = excluded.input, overlap = excluded.overlap, project = excluded.project, catchup_ms = excluded.catchup_ms, jitter_ms = excluded.jitter_ms,
          remaining = case when x.compiled::text = excluded.compiled::text then x.remaining else excluded.remaining end,
          next_at = case when x.compiled::text = excluded.compiled::text then x.next_at else excluded.next_at end, revision = x.revision + 1, updated = excluded.updated,
          through = case when x.compiled::text = excluded.compiled::text then x.through else greatest(x.through, excluded.through) end
        returning *),
      b as (select * from schedule where workspace = $18 and name = $1 and deleted is null),
      ${audited('schedule.put', { first: 21, by: 19, from: 's left join b on b.id = s.id', before: `case when b.id is not null then ${said('b')} end`, after: said('s') })} select id from s`,
    values: [...valuesOf(fields), randomUUIDv7(), owner.workspace, owner.by, owner.trigger, ...auditValues()],
  });
  return rows.length > 0 ? 'ok' : 'full';
}
