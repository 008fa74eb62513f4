import { z } from 'zod';
import { PRIORITIES } from '../../../domain/run/priority.ts';
import { OVERLAP_POLICIES, SCHEDULE_LIMITS } from '../../../domain/schedule/schedule.ts';
import { projectName } from '../../runs/schemas.ts';
import { anyJson, Failure, listOf, maybeTime, page, runIdText, text, time, workflowName } from '../../schemas.ts';

const duration = z
  .union([z.string().max(100), z.record(z.string(), z.number())])
  .meta({ description: 'ISO 8601 in units of fixed length (`PT5M`), or `{ minutes: 5 }`' });
const clockField = z.union([z.int(), z.string().max(200)]);
const calendar = z
  .strictObject({
    second: clockField.optional(),
    minute: clockField.optional(),
    hour: clockField.optional(),
    dayOfMonth: clockField.optional(),
    month: clockField.optional(),
    dayOfWeek: clockField.optional(),
    year: clockField.optional(),
  })
  .meta({ id: 'ScheduleCalendar', description: 'Wall-clock times; a field is a number, or text as in cron. Clock fields left out are 0' });
const interval = z.union([z.strictObject({ every: duration, offset: duration.optional() }), duration]);
const oneOrMany = <T extends z.ZodType>(one: T) => z.union([one, z.array(one).min(1).max(SCHEDULE_LIMITS.timings)]);

const ScheduleSpec = z
  .strictObject({
    cron: oneOrMany(z.string().max(500)).optional().meta({
      description:
        'Five fields, six (with year) or seven (second first); `@daily` and its like; `@every 5m/1m`. Day of month *and* day of week must match',
    }),
    interval: oneOrMany(interval)
      .optional()
      .meta({ description: 'At least a second; counted from 1970-01-01T00:00:00Z, shifted by the offset' }),
    calendar: oneOrMany(calendar).optional(),
    skip: oneOrMany(calendar).optional().meta({ description: 'Times that do not count' }),
    timeZone: z.string().max(100).optional().meta({ description: 'IANA name; UTC without it' }),
    startAt: z.string().optional().meta({ format: 'date-time' }),
    endAt: z.string().optional().meta({ format: 'date-time' }),
    jitter: duration.optional().meta({ description: 'A fire comes up to this much later than its time' }),
  })
  .meta({ id: 'ScheduleSpec', description: 'Fires at the union of cron, interval and calendar, without skip' });

const overlap = z.enum(OVERLAP_POLICIES).meta({ description: 'What a fire does while an earlier run of the schedule is open' });
const labels = z
  .record(z.string().regex(/^[\w.-]{1,63}$/), text(200))
  .refine((value) => Object.keys(value).length <= 50, 'at most 50 labels');
const note = text(1_000);

const changeable = {
  spec: ScheduleSpec,
  overlap: overlap.optional(),
  catchupWindow: duration.optional().meta({ description: 'How late a fire may be made good after an outage; a year without it' }),
  remainingActions: z.int().min(0).max(1_000_000_000).optional().meta({ description: 'How many runs its times may still make' }),
  input: anyJson.optional(),
  priority: z.enum(PRIORITIES).optional(),
  labels: labels.optional(),
  project: projectName.optional().meta({ description: 'The project that its runs are in' }),
};
const workflow = z.strictObject({ name: workflowName, version: text(100).optional().meta({ description: 'The newest without it' }) });

export const CreateSchedule = z
  .strictObject({ name: workflowName, workflow, ...changeable, paused: z.boolean().optional(), note: note.optional() })
  .meta({ id: 'CreateSchedule' });
export const UpdateSchedule = z.record(z.string(), anyJson).meta({
  id: 'UpdateSchedule',
  description:
    'A JSON Merge Patch (RFC 7396) of `workflow`, `spec`, `overlap`, `catchupWindow`, `remainingActions`, `input`, `priority`, `labels`, `project`',
});
/** What a patched schedule must be. */
export const PatchedSchedule = z.strictObject({ workflow, ...changeable });

export const Schedule = z
  .object({
    id: runIdText,
    name: z.string(),
    workflow: z.object({ name: z.string(), version: z.string().nullable() }),
    ofDefinition: z.boolean().meta({ description: 'Made by the triggers of its workflow, which alone change it' }),
    spec: anyJson.meta({ description: 'As it was written' }),
    overlap,
    catchupWindow: z.string(),
    remainingActions: z.int().nullable(),
    input: anyJson,
    priority: z.enum(PRIORITIES).nullable(),
    labels: z.record(z.string(), anyJson),
    project: z.string().nullable().meta({ description: 'The project that its runs are in' }),
    paused: z.boolean(),
    note: z.string().nullable(),
    nextFireAt: maybeTime,
    lastFireAt: maybeTime,
    counts: z.object({ fired: z.int(), skipped: z.int(), missed: z.int(), failed: z.int() }),
    synced: z.boolean().meta({ description: 'Temporal has it as it is here' }),
    createdAt: time,
    createdBy: z.string(),
    updatedAt: time,
    links: z.object({ self: z.string(), fires: z.string(), next: z.string() }),
  })
  .meta({ id: 'Schedule' });
export const ScheduleList = listOf(Schedule).meta({ id: 'ScheduleList' });

const ScheduleFire = z
  .object({
    at: time.meta({ description: 'The time that the schedule names, without jitter' }),
    kind: z.enum(['timer', 'sweep', 'backfill', 'trigger']).meta({ description: '`sweep`: made good without Temporal' }),
    status: z.enum(['pending', 'buffered', 'started', 'skipped', 'missed', 'failed']),
    runId: runIdText.nullable(),
    failure: Failure.nullable(),
    decidedAt: time,
    by: z.string(),
  })
  .meta({ id: 'ScheduleFire' });
export const ScheduleFireList = listOf(ScheduleFire).meta({ id: 'ScheduleFireList' });
export const Triggered = ScheduleFire.meta({ id: 'TriggeredSchedule' });

export const FireTimes = z.object({ items: z.array(time) }).meta({ id: 'FireTimes' });
export const Backfilled = z
  .object({ times: z.int(), accepted: z.int() })
  .meta({ id: 'Backfilled', description: 'Times in the range, and those that get a run' });

export const PauseSchedule = z.strictObject({ note: note.optional() }).optional().meta({ id: 'PauseSchedule' });
export const TriggerSchedule = z.strictObject({ overlap: overlap.optional() }).optional().meta({ id: 'TriggerSchedule' });
export const BackfillSchedule = z
  .strictObject({
    startAt: z.iso.datetime({ offset: true }),
    endAt: z.iso.datetime({ offset: true }),
    overlap: z.enum(['bufferAll', 'allowAll']).default('bufferAll').meta({ description: 'One after the other, or all at once' }),
  })
  .meta({ id: 'BackfillSchedule', description: 'Both ends count' });
export const CheckSchedule = z
  .strictObject({ spec: ScheduleSpec, count: z.int().min(1).max(SCHEDULE_LIMITS.preview).default(10) })
  .meta({ id: 'CheckSchedule' });

export const scheduleParams = z.object({ id: z.string().meta({ description: 'Its id or its name' }) });
export const listQuery = z.strictObject({ ...page, workflow: workflowName.optional() });
export const firesQuery = z.strictObject(page);
export const nextQuery = z.strictObject({ count: z.coerce.number().int().min(1).max(SCHEDULE_LIMITS.preview).default(10) });
