import type { JsonObject } from '../json.ts';
import { CALENDAR_FIELDS, type Calendar, type CalendarField, type ScheduleSpec } from './schedule.ts';

export type Range = { start: number; end: number; step: number };

/** Ascending values as few ranges: 1,3,5,6 → 1-5/2, 6. */
export function rangesOf(values: readonly number[]): Range[] {
  const ranges: Range[] = [];
  for (const value of values) {
    const last = ranges.at(-1);
    if (last === undefined || (last.start < last.end && value - last.end !== last.step)) ranges.push({ start: value, end: value, step: 1 });
    else Object.assign(last, { end: value, step: last.start < last.end ? last.step : value - last.start });
  }
  // a pair with a gap is two values
  return ranges.flatMap((range) =>
    range.step > 1 && range.end - range.start === range.step
      ? [range.start, range.end].map((value) => ({ start: value, end: value, step: 1 }))
      : [range],
  );
}

/** The line of cron that says the same: 5 fields, or 7 where it has seconds or years. */
export function cronText(calendar: Calendar): string {
  const field = (name: CalendarField): string => {
    const values = calendar[name];
    if (values === null || isEvery(name, values)) return '*';
    return rangesOf(values)
      .map(({ start, end, step }) => `${start}${end > start ? `-${end}` : ''}${step > 1 ? `/${step}` : ''}`)
      .join();
  };
  const five = `${field('minute')} ${field('hour')} ${field('dayOfMonth')} ${field('month')} ${field('dayOfWeek')}`;
  const simple = calendar.year === null && calendar.second?.length === 1 && calendar.second[0] === 0;
  return simple ? five : `${field('second')} ${five} ${field('year')}`;
}

const isEvery = (name: CalendarField, values: readonly number[]): boolean =>
  values.length === CALENDAR_FIELDS[name][1] - CALENDAR_FIELDS[name][0] + 1;

const durationText = (ms: number): string => `PT${ms / 1_000}S`;

/** A spec as somebody could have written it. */
export function writtenSpec(spec: ScheduleSpec): JsonObject {
  const { calendars, intervals, skip, startAt, endAt, jitterMs } = spec;
  const calendarOf = (calendar: Calendar): JsonObject =>
    Object.fromEntries(Object.entries(calendar).flatMap(([field, values]) => (values === null ? [] : [[field, values.join()]])));
  return {
    ...(calendars.length > 0 && { cron: calendars.map(cronText) }),
    ...(intervals.length > 0 && {
      interval: intervals.map(({ everyMs, offsetMs }) => ({ every: durationText(everyMs), offset: durationText(offsetMs) })),
    }),
    ...(skip.length > 0 && { skip: skip.map(calendarOf) }),
    timeZone: spec.timeZone,
    ...(startAt !== undefined && { startAt: new Date(startAt).toISOString() }),
    ...(endAt !== undefined && { endAt: new Date(endAt).toISOString() }),
    ...(jitterMs > 0 && { jitter: durationText(jitterMs) }),
  };
}
