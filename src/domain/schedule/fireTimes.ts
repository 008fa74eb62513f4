import { offsetAt } from './timeZone.ts';
import { CALENDAR_FIELDS, type Calendar, type Interval, type ScheduleSpec } from './schedule.ts';

const SECOND = 1_000;
const DAY = 86_400_000;
/** Skipped times in a row after which a schedule counts as one that never fires. */
const PATIENCE = 100_000;

/**
 * The first time after `after` at which a schedule fires, without jitter; undefined = never again. ms since the epoch, whole
 * seconds. A wall-clock time that a change of daylight saving leaves out does not fire, one that comes twice fires twice.
 */
export function nextFireTime(spec: ScheduleSpec, after: number): number | undefined {
  let at: number | undefined = Math.max(after, (spec.startAt ?? -Infinity) - 1);
  for (let tries = 0; tries < PATIENCE; tries++) {
    at = nextOfAny(spec, at);
    if (at === undefined || at > (spec.endAt ?? Infinity)) return undefined;
    if (!isSkipped(spec, at)) return at;
  }
  return undefined;
}

/** Fire times after `after` up to and with `until`, at most `limit` of them, ascending. */
export function fireTimes(spec: ScheduleSpec, range: { after: number; until: number; limit: number }): number[] {
  const times: number[] = [];
  let at = nextFireTime(spec, range.after);
  while (at !== undefined && at <= range.until && times.length < range.limit) {
    times.push(at);
    at = nextFireTime(spec, at);
  }
  return times;
}

function nextOfAny(spec: ScheduleSpec, after: number): number | undefined {
  const times = [
    ...spec.calendars.map((calendar) => nextOfCalendar(calendar, spec.timeZone, after)),
    ...spec.intervals.map((interval) => nextOfInterval(interval, after)),
  ].filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

const nextOfInterval = ({ everyMs, offsetMs }: Interval, after: number): number =>
  (Math.floor((after - offsetMs) / everyMs) + 1) * everyMs + offsetMs;

const holds = (values: readonly number[] | null, value: number): boolean => values === null || values.includes(value);

function isSkipped(spec: ScheduleSpec, at: number): boolean {
  if (spec.skip.length === 0) return false;
  const wall = new Date(at + offsetAt(spec.timeZone, at));
  return spec.skip.some(
    (calendar) =>
      isDay(calendar, wall) &&
      holds(calendar.year, wall.getUTCFullYear()) &&
      holds(calendar.month, wall.getUTCMonth() + 1) &&
      holds(calendar.hour, wall.getUTCHours()) &&
      holds(calendar.minute, wall.getUTCMinutes()) &&
      holds(calendar.second, wall.getUTCSeconds()),
  );
}

const isDay = (calendar: Calendar, wall: Date): boolean =>
  holds(calendar.dayOfMonth, wall.getUTCDate()) && holds(calendar.dayOfWeek, wall.getUTCDay());

/** Days are walked on a clock without zones: `wall` is midnight of the local day, as if it were UTC. */
function nextOfCalendar(calendar: Calendar, timeZone: string, after: number): number | undefined {
  const from = (Math.floor(after / SECOND) + 1) * SECOND;
  const first = from + offsetAt(timeZone, from);
  let wall = Math.max(Math.floor(first / DAY) * DAY, Date.UTC(CALENDAR_FIELDS.year[0]));
  for (;;) {
    const day = new Date(wall);
    const [year, month] = [day.getUTCFullYear(), day.getUTCMonth()];
    if (year > CALENDAR_FIELDS.year[1]) return undefined;
    if (!holds(calendar.year, year)) wall = Date.UTC(year + 1);
    else if (!holds(calendar.month, month + 1)) wall = Date.UTC(year, month + 1);
    else {
      const found = isDay(calendar, day) ? firstOfDay(calendar, { timeZone, wall, from }) : undefined;
      if (found !== undefined) return found;
      wall += DAY;
    }
  }
}

/** Where the offset changes within the day, the parts before and after it are looked at one after the other. */
function firstOfDay(calendar: Calendar, day: { timeZone: string; wall: number; from: number }): number | undefined {
  for (const part of partsOfDay(day.timeZone, day.wall)) {
    const begin = Math.max(part.begin, day.from);
    const second = nextSecondOfDay(calendar, Math.max(0, (begin + part.offset - day.wall) / SECOND));
    const at = second === undefined ? Infinity : day.wall + second * SECOND - part.offset;
    if (at < part.end) return at;
  }
  return undefined;
}

/** Spans of one offset that hold times of this local day. */
function partsOfDay(timeZone: string, wall: number): { begin: number; end: number; offset: number }[] {
  const before = offsetAt(timeZone, wall - DAY);
  const after = offsetAt(timeZone, wall + 2 * DAY);
  const [begin, end] = [wall - DAY, wall + 2 * DAY];
  if (before === after) return [{ begin, end, offset: before }];
  const change = changeBetween(timeZone, begin, end);
  return [
    { begin, end: change, offset: before },
    { begin: change, end, offset: after },
  ];
}

/** The instant of the one change of offset in between, to the second. */
function changeBetween(timeZone: string, begin: number, end: number): number {
  const before = offsetAt(timeZone, begin);
  let [low, high] = [begin / SECOND, end / SECOND];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(timeZone, middle * SECOND) === before) low = middle;
    else high = middle;
  }
  return high * SECOND;
}

/** The first second of a day, `from` or later, whose hour, minute and second match. */
function nextSecondOfDay(calendar: Calendar, from: number): number | undefined {
  let second = from;
  while (second < DAY / SECOND) {
    const [h, m, s] = [Math.floor(second / 3_600), Math.floor(second / 60) % 60, second % 60];
    if (!holds(calendar.hour, h)) second = (h + 1) * 3_600;
    else if (!holds(calendar.minute, m)) second = h * 3_600 + (m + 1) * 60;
    else if (!holds(calendar.second, s)) second += 1;
    else return second;
  }
  return undefined;
}
