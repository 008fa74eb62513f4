import { CALENDAR_FIELDS, type Calendar, type CalendarField, type Interval } from './schedule.ts';

export type Fault = { fault: string };

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FULL = ['january', 'february', 'march', 'april', 'june', 'july', 'august', 'september', 'october', 'november', 'december'].concat([
  'sunday',
  'monday',
  'tuesday',
  'wednesday',
  'thursday',
  'friday',
  'saturday',
]);

const SHORTHANDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const FIVE = ['minute', 'hour', 'dayOfMonth', 'month', 'dayOfWeek'] as const;
const ORDERS: Readonly<Record<number, readonly CalendarField[]>> = { 5: FIVE, 6: [...FIVE, 'year'], 7: ['second', ...FIVE, 'year'] };

/** Fields that a cron line leaves out. */
const UNSAID: Calendar = { second: [0], minute: [0], hour: [0], dayOfMonth: null, month: null, dayOfWeek: null, year: null };

/**
 * A line of 5 fields (minute hour day-of-month month day-of-week), 6 (and year) or 7 (second first), `@daily` and its
 * like, or `@every 90s/10s`. As in Temporal, a day must match day-of-month *and* day-of-week.
 */
export function parseCron(line: string): { calendar: Calendar } | { interval: Interval } | Fault {
  const text = line.trim();
  if (/^(CRON_)?TZ=/.test(text)) return { fault: 'has a time zone; write it as timeZone' };
  if (text.startsWith('@every')) return parseEvery(text);
  const expanded = SHORTHANDS[text.toLowerCase()] ?? text;
  if (expanded.startsWith('@')) return { fault: `${text.slice(0, 40)} is not one of ${Object.keys(SHORTHANDS).join(', ')}, @every` };
  const parts = expanded.split(/\s+/);
  const order = ORDERS[parts.length];
  if (!order) return { fault: `must have 5 fields (minute hour day-of-month month day-of-week), 6 or 7, has ${parts.length}` };
  const calendar: Calendar = { ...UNSAID };
  for (const [i, field] of order.entries()) {
    const values = parseField(field, parts[i] ?? '');
    if (values !== null && 'fault' in values) return { fault: `${field}: ${values.fault}` };
    calendar[field] = values;
  }
  return { calendar };
}

/** A calendar written field by field; what is left out is 0 for clock fields and every value for dates. */
export function parseCalendar(written: { [field in CalendarField]?: string }):
  { calendar: Calendar } | { field: CalendarField; fault: string } {
  const calendar: Calendar = { ...UNSAID };
  for (const [name, text] of Object.entries(written)) {
    const field = name as CalendarField;
    const values = parseField(field, text.trim());
    if (values !== null && 'fault' in values) return { field, fault: values.fault };
    calendar[field] = values;
  }
  return { calendar };
}

const EVERY = /^@every\s+(\d{1,9})([smhd])(?:\/(\d{1,9})([smhd]))?$/;
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseEvery(text: string): { interval: Interval } | Fault {
  const [, count, unit, offset, offsetUnit] = EVERY.exec(text) ?? [];
  if (count === undefined) return { fault: 'must be @every with a whole number of s, m, h or d, such as @every 5m or @every 1h/10m' };
  const everyMs = Number(count) * (UNITS[unit ?? ''] ?? 0);
  return { interval: { everyMs, offsetMs: Number(offset ?? 0) * (UNITS[offsetUnit ?? ''] ?? 0) } };
}

/** Values that match, ascending; null = all of them. `*`, `a`, `a-b`, each with `/step`, and lists of these. */
function parseField(field: CalendarField, text: string): number[] | null | Fault {
  if (text === '*' || text === '?') return null;
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const range = parseRange(field, part);
    if ('fault' in range) return range;
    for (let value = range.from; value <= range.to; value += range.step) values.add(field === 'dayOfWeek' ? value % 7 : value);
  }
  return [...values].sort((a, b) => a - b);
}

function parseRange(field: CalendarField, part: string): { from: number; to: number; step: number } | Fault {
  const [, span, , stepText] = /^([^/]+)(\/(\d{1,4}))?$/.exec(part) ?? [];
  if (span === undefined) return { fault: `"${part.slice(0, 40)}" is no value, range or step` };
  const step = stepText === undefined ? 1 : Number(stepText);
  if (step < 1) return { fault: 'a step is at least 1' };
  const [min, max] = boundsOf(field);
  if (span === '*') return { from: min, to: max, step };
  const [first = '', last, ...rest] = span.split('-');
  const from = parseValue(field, first);
  const to = last === undefined ? (stepText === undefined ? from : max) : parseValue(field, last);
  if (rest.length > 0 || from === undefined || to === undefined) return { fault: `"${part.slice(0, 40)}" is not within ${min} to ${max}` };
  if (to < from) return { fault: `"${part.slice(0, 40)}" ends before it begins` };
  return { from, to, step };
}

/** Sunday may be 7 as well. */
const boundsOf = (field: CalendarField): readonly [number, number] => (field === 'dayOfWeek' ? [0, 7] : CALENDAR_FIELDS[field]);

function parseValue(field: CalendarField, text: string): number | undefined {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : named(field, text.toLowerCase());
  const [min, max] = boundsOf(field);
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

function named(field: CalendarField, name: string): number | undefined {
  if (name.length > 3 && !FULL.includes(name)) return undefined;
  const short = name.slice(0, 3);
  if (field === 'month' && MONTHS.includes(short)) return MONTHS.indexOf(short) + 1;
  if (field === 'dayOfWeek' && DAYS.includes(short)) return DAYS.indexOf(short);
  return undefined;
}
