import { DURATION_SCHEMA, durationMs } from '../definition/duration.ts';
import { child } from '../definition/pointer.ts';
import {
  changed,
  either,
  fail,
  fields,
  freeObject,
  list,
  number,
  optional,
  text,
  UNREAD,
  word,
  type Reader,
  type Report,
  type Unread,
} from '../definition/reader.ts';
import { HOOK_NAME } from '../hook/hook.ts';
import { isObject, type Json, type JsonObject } from '../json.ts';
import { parseCalendar, parseCron } from './cron.ts';
import { nextFireTime } from './fireTimes.ts';
import { OVERLAP_POLICIES, SCHEDULE_LIMITS, type Calendar, type Interval, type OverlapPolicy, type ScheduleSpec } from './schedule.ts';
import { isTimeZone } from './timeZone.ts';

/** How a schedule fires: read, with everything filled in that was left unsaid. */
export type Timing = { spec: ScheduleSpec; overlap: OverlapPolicy; catchupMs: number; remainingActions?: number };
/** What starts runs of a stored definition: a schedule, or deliveries to a hook. */
export type Trigger = ScheduleTrigger | HookTrigger;
export type ScheduleTrigger = Timing & { name?: string; input?: JsonObject; project?: string };
/** `input`: may hold expressions over the payload; left out, the payload is the input. */
export type HookTrigger = { webhook: string; name?: string; input?: JsonObject; project?: string };

export const isHookTrigger = (trigger: Trigger): trigger is HookTrigger => 'webhook' in trigger;

const oneOrMany = <T>(expected: string, one: Reader<T>): Reader<T[]> =>
  either(expected, [
    { when: Array.isArray, use: list(one, { min: 1, max: SCHEDULE_LIMITS.timings }) },
    { when: () => true, use: changed(one, (value) => [value]) },
  ]);

const duration: Reader<number> = {
  schema: DURATION_SCHEMA,
  read: (value, at, report) =>
    durationMs(value) ??
    fail({ pointer: at, code: 'invalid_duration', message: 'must be a duration such as PT30S, P1D or { minutes: 30 }' }, report),
};

const instant: Reader<number> = {
  schema: { type: 'string', format: 'date-time' },
  read: (value, at, report) => {
    const whole = typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(value);
    const ms = whole ? Date.parse(value) : Number.NaN;
    return Number.isNaN(ms)
      ? fail({ pointer: at, code: 'invalid_time', message: 'must be a time with its offset, such as 2027-01-31T08:00:00Z' }, report)
      : ms;
  },
};

const cron: Reader<{ calendar: Calendar } | { interval: Interval }> = {
  schema: { type: 'string', maxLength: 500 },
  read: (value, at, report) => {
    if (typeof value !== 'string' || value.length > 500)
      return fail({ pointer: at, code: 'invalid_type', message: 'must be text of at most 500 characters' }, report);
    const parsed = parseCron(value);
    if ('fault' in parsed) return fail({ pointer: at, code: 'invalid_cron', message: parsed.fault }, report);
    return 'interval' in parsed ? checkedInterval(parsed.interval, at, report) : parsed;
  },
};

function checkedInterval(interval: Interval, at: string, report: Report): { interval: Interval } | Unread {
  const { everyMs, offsetMs } = interval;
  const min = SCHEDULE_LIMITS.minIntervalMs;
  if (everyMs < min || everyMs % min !== 0 || offsetMs % min !== 0)
    return fail(
      { pointer: at, code: 'invalid_interval', message: 'interval and offset are whole seconds, the interval at least one' },
      report,
    );
  if (offsetMs >= everyMs) return fail({ pointer: at, code: 'invalid_interval', message: 'the offset is less than the interval' }, report);
  return { interval };
}

const interval: Reader<{ interval: Interval }> = changed(
  either<{ every?: number; offset?: number }>('a duration, or { every, offset }', [
    {
      when: (value) => isObject(value) && 'every' in value,
      use: fields({ every: optional(duration, 'Time between fires.'), offset: optional(duration, 'Shift from 1970-01-01T00:00:00Z.') }),
    },
    { when: () => true, use: changed(duration, (every) => ({ every })) },
  ]),
  ({ every, offset = 0 }, at, report) => (every === undefined ? UNREAD : checkedInterval({ everyMs: every, offsetMs: offset }, at, report)),
);

const clockField: Reader<string> = {
  schema: { type: ['string', 'integer'], maxLength: 200 },
  read: (value, at, report) => {
    if (typeof value === 'string' && value.length <= 200) return value;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return String(value);
    const message = 'must be a number, or text as in cron such as 1-5 or MON,FRI';
    return fail({ pointer: at, code: 'invalid_type', message }, report);
  },
};

const calendar: Reader<Calendar> = changed(
  fields({
    second: optional(clockField, '0 to 59; 0 without it.'),
    minute: optional(clockField, '0 to 59; 0 without it.'),
    hour: optional(clockField, '0 to 23; 0 without it.'),
    dayOfMonth: optional(clockField, '1 to 31; every one without it.'),
    month: optional(clockField, '1 to 12, or JAN to DEC; every one without it.'),
    dayOfWeek: optional(clockField, '0 (Sunday) to 6, or SUN to SAT; every one without it.'),
    year: optional(clockField, '2000 to 2100; every one without it.'),
  }),
  (written, at, report) => {
    const parsed = parseCalendar(written);
    return 'fault' in parsed
      ? fail({ pointer: child(at, parsed.field), code: 'invalid_calendar', message: parsed.fault }, report)
      : parsed.calendar;
  },
);

const timeZone = changed(text({ max: 100 }), (name, at, report) =>
  isTimeZone(name)
    ? name
    : fail({ pointer: at, code: 'invalid_time_zone', message: 'must be a name of the IANA database such as Europe/Berlin' }, report),
);

const catchupWindow = changed(duration, (ms, at, report) =>
  ms < SCHEDULE_LIMITS.minCatchupMs
    ? fail({ pointer: at, code: 'invalid_value', message: `must be at least ${SCHEDULE_LIMITS.minCatchupMs / 1_000} s` }, report)
    : ms,
);

const when = {
  cron: optional(
    oneOrMany('text, or a list of it', cron),
    'Lines of cron: 5 fields, 6 (with year) or 7 (second first), @daily and its like, @every 5m.',
  ),
  interval: optional(oneOrMany('an interval, or a list of them', interval), 'A duration, or every so long with an offset.'),
  calendar: optional(oneOrMany('a calendar, or a list of them', calendar), 'Wall-clock times, field by field.'),
  skip: optional(oneOrMany('a calendar, or a list of them', calendar), 'Times that do not count.'),
  timeZone: optional(timeZone, 'Of cron and calendar, an IANA name; UTC without it.'),
  startAt: optional(instant, 'No fire before it.'),
  endAt: optional(instant, 'No fire after it.'),
  jitter: optional(duration, 'A fire comes up to this much later than its time.'),
};

const PROJECT_NAME = /^[a-z][a-z0-9-]{0,62}$/;

const policies = {
  overlap: optional(word(OVERLAP_POLICIES), 'What happens while an earlier run of the schedule is open; skip without it.'),
  catchupWindow: optional(catchupWindow, 'How late a fire may be made good after an outage; a year without it.'),
  remainingActions: optional(number({ min: 0, max: 1_000_000_000, integer: true }), 'How many runs it may still make.'),
};

/** What says no time at all is told so; a time that is faulty is told for itself. */
const timed = <T>(reader: Reader<T>, ...instead: string[]): Reader<T> => ({
  schema: reader.schema,
  read: (value, at, report) => {
    if (isObject(value) && !['cron', 'interval', 'calendar', ...instead].some((key) => key in value))
      report({
        pointer: at,
        code: 'missing_key',
        message: ['must have cron', 'interval', ...instead, 'or calendar'].join(', ').replace(', or', ' or'),
      });
    return reader.read(value, at, report);
  },
});

const specFields = fields(when);
const policyFields = fields(policies);
type Read<R> = R extends Reader<infer T> ? T : never;
type Written = Read<typeof specFields> & Read<typeof policyFields>;

/** When a schedule fires. Faults have pointers; that it never fires is one. */
export const scheduleSpec: Reader<ScheduleSpec> = changed(timed(specFields), specOf);

/** A member of a definition's `triggers`. */
export const trigger: Reader<Trigger> = changed(
  timed(
    fields({
      name: optional(
        text({ pattern: /^[a-z][a-z0-9-]{0,62}$/, shape: 'must be a lower-case name' }),
        'Tells it from others of the definition.',
      ),
      webhook: optional(
        text({ pattern: HOOK_NAME, shape: 'must be the name of a hook' }),
        'Instead of times: each delivery to the hook of this name starts a run.',
      ),
      ...when,
      ...policies,
      input: optional(freeObject, 'Input of its runs; with `webhook` it may hold `${payload…}`, and is the payload without it.'),
      project: optional(
        text({ pattern: PROJECT_NAME, shape: 'must be the name of a project' }),
        'Of the workspace: its runs are in it. Whoever stores the definition has to be allowed to start runs there.',
      ),
    }),
    'webhook',
  ),
  ({ name, input, project, webhook, ...written }, at, report) => {
    const named = { ...(name !== undefined && { name }), ...(project !== undefined && { project }) };
    const own = { ...named, ...(input !== undefined && { input }) };
    if (webhook !== undefined) return Object.keys(written).length > 0 ? timelessly(written, at, report) : { webhook, ...own };
    const timing = timingOf(written, at, report);
    return timing === UNREAD ? UNREAD : { ...timing, ...own };
  },
);

function timelessly(written: object, at: string, report: Report): Unread {
  for (const key of Object.keys(written))
    report({ pointer: child(at, key), code: 'not_applicable', message: 'goes with times, not with `webhook`' });
  return UNREAD;
}

/** Policies as a request writes them, with their defaults. */
export const schedulePolicies: Reader<Omit<Timing, 'spec'>> = changed(policyFields, policiesOf);

function timingOf(written: Written, at: string, report: Report): Timing | Unread {
  const spec = specOf(written, at, report);
  return spec === UNREAD ? UNREAD : { spec, ...policiesOf(written) };
}

function policiesOf({
  overlap = 'skip',
  catchupWindow = SCHEDULE_LIMITS.defaultCatchupMs,
  remainingActions,
}: Written): Omit<Timing, 'spec'> {
  return { overlap, catchupMs: catchupWindow, ...(remainingActions !== undefined && { remainingActions }) };
}

function specOf(written: Written, at: string, report: Report): ScheduleSpec | Unread {
  const cron = written.cron ?? [];
  const calendars = [...cron.flatMap((line) => ('calendar' in line ? [line.calendar] : [])), ...(written.calendar ?? [])];
  const intervals = [...cron, ...(written.interval ?? [])].flatMap((line) => ('interval' in line ? [line.interval] : []));
  if (calendars.length + intervals.length === 0) return UNREAD; // told already
  const { skip = [], timeZone: zone = 'UTC', startAt, endAt, jitter = 0 } = written;
  const spec: ScheduleSpec = {
    ...{ calendars, intervals, skip, timeZone: zone, jitterMs: jitter },
    ...(startAt !== undefined && { startAt }),
    ...(endAt !== undefined && { endAt }),
  };
  if (nextFireTime(spec, startAt ?? YEAR_2000) !== undefined) return spec;
  return fail({ pointer: at, code: 'never_fires', message: 'there is no such time' }, report);
}

const YEAR_2000 = Date.UTC(2000);

/** @returns faults of a value, or what it is */
export function readWith<T>(reader: Reader<T>, value: Json, at: string): { value: T } | { issues: Parameters<Report>[0][] } {
  const issues: Parameters<Report>[0][] = [];
  const read = reader.read(value, at, (issue) => issues.push(issue));
  return issues.length > 0 || read === UNREAD ? { issues } : { value: read };
}
