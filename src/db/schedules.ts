import { randomUUIDv7 } from 'node:crypto';
import type { Json, JsonObject } from '../domain/json.ts';
import type { Failure } from '../domain/problem.ts';
import type { OverlapPolicy, ScheduleSpec } from '../domain/schedule/schedule.ts';
import { auditInto, auditValues } from './audit.ts';
import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/** What deciding its fires needs of a schedule. Times are ms since the epoch, `now` is the database's. */
export type DueSchedule = {
  id: string;
  revision: number;
  spec: ScheduleSpec;
  catchupMs: number;
  through: number;
  paused: boolean;
  now: number;
};

const ms = (expression: string): string => `floor(extract(epoch from ${expression}) * 1000)::float8`;

/** undefined = there is no such schedule, or it is being deleted. */
export async function dueSchedule(db: Rows, id: string): Promise<DueSchedule | undefined> {
  const rows = await db.rows<DueSchedule>({
    name: 'schedule_for_due',
    text: `select id, revision, compiled as spec, catchup_ms::float8 as "catchupMs", ${ms('through')} as through, paused, ${ms('clock_timestamp()')} as now
      from schedule where id = $1 and deleted is null`,
    values: [id],
  });
  return rows[0];
}

/** Schedules with a time that is `graceMs` overdue, jitter counted in: Temporal should have said so. */
export async function overdueSchedules(db: Rows, graceMs: number): Promise<string[]> {
  const rows = await db.rows<{ id: string }>({
    name: 'schedules_overdue',
    text: `select id from schedule where not paused and deleted is null and next_at < statement_timestamp() - make_interval(secs => $1 / 1000.0)
      and next_at + make_interval(secs => jitter_ms / 1000.0) < statement_timestamp() - make_interval(secs => $1 / 1000.0) order by next_at limit 100`,
    values: [graceMs],
  });
  return rows.map((row) => row.id);
}

export type Decision = {
  until: number;
  next: number | undefined;
  times: readonly number[];
  /** Times beyond the catch-up window that are only counted. */
  lost: number;
  /** timer: Temporal said so. sweep: it did not. */
  kind: 'timer' | 'sweep';
};

/** Decides fire times once and for all. @returns moved = the schedule is not as it was read */
export async function decideDue(db: Rows, schedule: DueSchedule, decision: Decision): Promise<'ok' | 'moved' | 'gone'> {
  const rows = await db.rows<{ outcome: 'ok' | 'moved' | 'gone' }>({
    name: 'schedule_due',
    text: 'select schedule_due_v1($1, $2, $3, $4, $5, $6, $7, $8, $9) as outcome',
    values: [
      schedule.id,
      schedule.revision,
      new Date(schedule.through),
      new Date(decision.until),
      decision.next === undefined ? null : new Date(decision.next),
      decision.times.map((time) => new Date(time)),
      decision.times.map(() => randomUUIDv7()),
      decision.kind,
      decision.lost,
    ],
  });
  return rows[0]?.outcome ?? 'gone';
}

/** A fire that has its run's id and not yet its run. */
export type PendingFire = {
  schedule: string;
  workspace: string;
  name: string;
  nominal: number;
  manual: boolean;
  kind: string;
  run: string;
  definition: string;
  definitionVersion: string | null;
  input: Json;
  priority: string | null;
  labels: JsonObject | null;
  /** That its run is in. */
  project: string | null;
  /** Why nothing is started there. */
  archived: boolean;
};

const PENDING = `f.schedule, f.workspace, x.name, ${ms('f.nominal')} as nominal, f.manual, f.kind, f.run, x.definition,
  x.definition_version as "definitionVersion", x.input, x.priority, x.labels, x.project,
  exists (select from project p where p.workspace = x.workspace and p.id = x.project and p.archived is not null) as archived`;

/** @param schedule of this one alone; undefined: of all, oldest first */
export function pendingFires(db: Rows, schedule: string | undefined): Promise<PendingFire[]> {
  return db.rows<PendingFire>({
    name: schedule === undefined ? 'fires_pending' : 'fires_pending_of',
    text: `select ${PENDING} from schedule_fire f join schedule x on x.id = f.schedule where f.status in ('pending', 'buffered') and f.status = 'pending'
      ${schedule === undefined ? '' : 'and f.schedule = $1'} order by f.nominal limit 100`,
    values: schedule === undefined ? [] : [schedule],
  });
}

type FireKey = Pick<PendingFire, 'schedule' | 'nominal' | 'manual' | 'run'>;

export async function markStarted(db: Rows, fire: FireKey): Promise<void> {
  await db.rows({
    name: 'fire_started',
    text: `update schedule_fire set status = 'started' where schedule = $1 and nominal = $2 and manual = $3 and run = $4 and status = 'pending'`,
    values: [fire.schedule, new Date(fire.nominal), fire.manual, fire.run],
  });
}

/** Its run cannot be made, for instance because its input does not fit the newest version. */
export async function markFailed(db: Rows, fire: FireKey, failure: Failure): Promise<void> {
  await db.rows({
    name: 'fire_failed',
    text: `with f as (update schedule_fire set status = 'failed', open = false, run = null, failure = $5
        where schedule = $1 and nominal = $2 and manual = $3 and run = $4 and status = 'pending' returning schedule)
      update schedule set failed = failed + 1, fired = fired - 1 where id in (select schedule from f)`,
    values: [fire.schedule, new Date(fire.nominal), fire.manual, fire.run, JSON.stringify(failure)],
  });
}

/** Schedules with fires that wait for an open run, and the open runs that are to end for them. */
export function bufferedSchedules(
  db: Rows,
): Promise<{ id: string; overlap: OverlapPolicy; runs: { run: string; workspace: string; intent: string | null }[] }[]> {
  return db.rows({
    name: 'schedules_buffered',
    text: `select b.schedule as id, b.overlap, coalesce((select json_agg(json_build_object('run', s.run, 'workspace', s.workspace, 'intent', s.intent))
        from schedule_fire f join run_state s on s.run = f.run where f.schedule = b.schedule and f.open and s.finished is null), '[]') as runs
      from (select distinct on (schedule) schedule, overlap from schedule_fire where status in ('pending', 'buffered') and status = 'buffered' order by schedule, nominal desc) b limit 200`,
    values: [],
  });
}

/** Gives the next fire that waits its run, if none is open. @returns whether it did */
export async function drainBuffer(db: Rows, schedule: string): Promise<boolean> {
  const rows = await db.rows<{ drained: boolean }>({
    name: 'schedule_drain',
    text: 'select schedule_drain_v1($1, $2) as drained',
    values: [schedule, randomUUIDv7()],
  });
  return rows[0]?.drained ?? false;
}

/** Fires older than `days` are forgotten, unless their run is open or they wait. */
export async function forgetFires(db: Rows, days: number): Promise<void> {
  await db.rows({
    name: 'fires_forget',
    text: `delete from schedule_fire where at < statement_timestamp() - make_interval(days => $1) and not open and status not in ('pending', 'buffered')`,
    values: [days],
  });
}

/** Delayed runs that are to end need not wait for their time. @returns whether there were any */
export async function releaseCancelled(db: Rows): Promise<boolean> {
  const rows = await db.rows({
    name: 'release_cancelled',
    text: `update run_state set not_before = null where not_before is not null and started is null and finished is null and intent is not null
      and not_before > statement_timestamp() returning run`,
    values: [],
  });
  return rows.length > 0;
}

/** ms until the next delayed run may begin, by the database's clock; null = none is delayed. */
export async function nextDelayedMs(db: Rows): Promise<number | null> {
  const rows = await db.rows<{ ms: number | null }>({
    name: 'next_delayed',
    text: `select ${ms('min(not_before) - clock_timestamp()')} as ms from run_state
      where not_before is not null and started is null and finished is null and not_before > statement_timestamp()`,
    values: [],
  });
  return rows[0]?.ms ?? null;
}

/** A schedule as Temporal is to have it. */
export type SyncedSchedule = {
  id: string;
  workspace: string;
  name: string;
  definition: string;
  spec: ScheduleSpec;
  catchupMs: number;
  paused: boolean;
  note: string | null;
  revision: number;
  synced: number | null;
  seen: string | null;
  deleted: boolean;
};

const SYNCED = `id, workspace, name, definition, compiled as spec, catchup_ms::float8 as "catchupMs", paused, note, revision, synced, seen, deleted is not null as deleted`;

/** Schedules that changed since Temporal was told. */
export function unsyncedSchedules(db: Rows, limit: number): Promise<SyncedSchedule[]> {
  return db.rows<SyncedSchedule>({
    name: 'schedules_unsynced',
    text: `select ${SYNCED} from schedule where synced is distinct from revision or deleted is not null order by id limit $1`,
    values: [limit],
  });
}

/** Schedules that Temporal was told of, by id. */
export function syncedSchedules(db: Rows, page: { after: string; limit: number }): Promise<SyncedSchedule[]> {
  return db.rows<SyncedSchedule>({
    name: 'schedules_synced',
    text: `select ${SYNCED} from schedule where id > $1 and synced = revision and deleted is null order by id limit $2`,
    values: [page.after, page.limit],
  });
}

/** @param seen fingerprint of what Temporal made of it */
export async function markSynced(db: Rows, schedule: { id: string; revision: number; seen: string }): Promise<void> {
  await db.rows({
    name: 'schedule_synced',
    text: 'update schedule set synced = $2, seen = $3 where id = $1',
    values: [schedule.id, schedule.revision, schedule.seen],
  });
}

/** Temporal has no trace of it any more: neither have we. */
export async function forgetSchedule(db: Rows, id: string): Promise<void> {
  await db.rows({
    name: 'schedule_forget',
    text: `with s as (delete from schedule where id = $1 and deleted is not null returning id) delete from schedule_fire where schedule in (select id from s)`,
    values: [id],
  });
}

/** Somebody paused or resumed it in Temporal: theirs is the last word, unless the row has changed meanwhile. @returns whether it took */
export async function adoptPause(
  db: Rows,
  schedule: SyncedSchedule,
  state: { paused: boolean; note: string; next: number | undefined },
): Promise<boolean> {
  const rows = await db.rows({
    name: 'schedule_adopt_pause',
    text: `with s as (update schedule set paused = $3, note = nullif($4, ''), revision = revision + 1, updated = clock_timestamp(),
        through = greatest(through, clock_timestamp()), next_at = $5 where id = $1 and revision = $2 and deleted is null returning id, workspace)
      ${auditInto(6, {
        ...{ from: 's', workspace: 'workspace', actor: `'temporal'`, object: `'schedule:' || id` },
        ...{ action: `case when $3 then 'schedule.pause' else 'schedule.unpause' end`, data: `json_build_object('note', $4::text)` },
      })} returning id`,
    values: [
      schedule.id,
      schedule.revision,
      state.paused,
      state.note.slice(0, 1_000),
      state.next === undefined ? null : new Date(state.next),
      ...auditValues(),
    ],
  });
  return rows.length > 0;
}
