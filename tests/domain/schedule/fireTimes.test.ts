import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fireTimes, nextFireTime } from '../../../src/domain/schedule/fireTimes.ts';
import { cronText, rangesOf } from '../../../src/domain/schedule/ranges.ts';
import { readWith, scheduleSpec } from '../../../src/domain/schedule/readSpec.ts';
import type { ScheduleSpec } from '../../../src/domain/schedule/schedule.ts';
import type { Json } from '../../../src/domain/json.ts';

function specOf(written: Json): ScheduleSpec {
  const read = readWith(scheduleSpec, written, '');
  if ('issues' in read) throw new Error(JSON.stringify(read.issues));
  return read.value;
}
const times = (written: Json, after: string, limit: number): string[] =>
  fireTimes(specOf(written), { after: Date.parse(after), until: Infinity, limit }).map((at) => new Date(at).toISOString().slice(0, 19));

/** What the zone's clock shows is in the name; times are UTC. */
const CASES: [string, Json, string, string[]][] = [
  [
    'spring gap, New York: 02:30 does not exist on the 14th',
    { cron: '30 2 * * *', timeZone: 'America/New_York' },
    '2027-03-13T00:00Z',
    ['2027-03-13T07:30:00', '2027-03-15T06:30:00'],
  ],
  [
    'spring gap, Berlin: hourly goes from 01:00 to 03:00',
    { cron: '@hourly', timeZone: 'Europe/Berlin' },
    '2027-03-27T23:59Z',
    ['2027-03-28T00:00:00', '2027-03-28T01:00:00', '2027-03-28T02:00:00'],
  ],
  [
    'spring gap: midnight of Beirut does not exist',
    { cron: '0 0 * * *', timeZone: 'Asia/Beirut' },
    '2027-03-27T12:00Z',
    ['2027-03-28T21:00:00', '2027-03-29T21:00:00'],
  ],
  [
    'autumn, New York: 01:30 comes twice',
    { cron: '30 1 * * *', timeZone: 'America/New_York' },
    '2027-11-06T12:00Z',
    ['2027-11-07T05:30:00', '2027-11-07T06:30:00', '2027-11-08T06:30:00'],
  ],
  [
    'autumn, Berlin: 02:30 comes twice',
    { cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
    '2027-10-30T12:00Z',
    ['2027-10-31T00:30:00', '2027-10-31T01:30:00', '2027-11-01T01:30:00'],
  ],
  [
    'autumn, Berlin: the hour before comes once',
    { cron: '30 1 * * *', timeZone: 'Europe/Berlin' },
    '2027-10-30T12:00Z',
    ['2027-10-30T23:30:00', '2027-11-01T00:30:00'],
  ],
  [
    'autumn: asked within the second copy of the hour',
    { cron: '*/30 1 * * *', timeZone: 'America/New_York' },
    '2027-11-07T06:10Z',
    ['2027-11-07T06:30:00', '2027-11-08T06:00:00'],
  ],
  [
    'Lord Howe, half an hour forward: 02:15 does not exist',
    { cron: '15 2 * * *', timeZone: 'Australia/Lord_Howe' },
    '2027-10-01T12:00Z',
    ['2027-10-01T15:45:00', '2027-10-03T15:15:00'],
  ],
  [
    'Lord Howe, half an hour back: 01:45 comes twice',
    { cron: '45 1 * * *', timeZone: 'Australia/Lord_Howe' },
    '2027-04-03T12:00Z',
    ['2027-04-03T14:45:00', '2027-04-03T15:15:00', '2027-04-04T15:15:00'],
  ],
  [
    'Lord Howe, half an hour back: 01:15 comes once',
    { cron: '15 1 * * *', timeZone: 'Australia/Lord_Howe' },
    '2027-04-03T12:00Z',
    ['2027-04-03T14:15:00', '2027-04-04T14:45:00'],
  ],
  [
    'a zone without daylight saving',
    { cron: '30 2 * * *', timeZone: 'Asia/Kolkata' },
    '2027-03-27T12:00Z',
    ['2027-03-27T21:00:00', '2027-03-28T21:00:00'],
  ],
  [
    'a zone of three quarters of an hour',
    { cron: '0 0 1 * *', timeZone: 'Asia/Kathmandu' },
    '2027-01-15T00:00Z',
    ['2027-01-31T18:15:00', '2027-02-28T18:15:00'],
  ],
  [
    'the 31st: months without one are left out',
    { cron: '0 0 31 * *' },
    '2027-01-01T00:00Z',
    ['2027-01-31T00:00:00', '2027-03-31T00:00:00', '2027-05-31T00:00:00'],
  ],
  [
    'the 29th of February: leap years, and 2100 is none',
    { cron: '0 0 29 2 *' },
    '2091-01-01T00:00Z',
    ['2092-02-29T00:00:00', '2096-02-29T00:00:00'],
  ],
  [
    'the 29th of February 2028',
    { cron: '0 12 29 2 *', timeZone: 'Europe/Berlin' },
    '2027-01-01T00:00Z',
    ['2028-02-29T11:00:00', '2032-02-29T11:00:00'],
  ],
  ['the last night of a year', { cron: '59 23 31 12 *' }, '2026-12-31T23:58Z', ['2026-12-31T23:59:00', '2027-12-31T23:59:00']],
  [
    'day of month and day of week must both match: the first Monday',
    { cron: '0 9 1-7 * MON' },
    '2027-10-01T00:00Z',
    ['2027-10-04T09:00:00', '2027-11-01T09:00:00'],
  ],
  ['Sunday is 0 and 7', { cron: '0 0 * * 7' }, '2026-11-25T00:00Z', ['2026-11-29T00:00:00', '2026-12-06T00:00:00']],
  [
    'six fields have a year, seven have seconds',
    { cron: ['0 0 1 1 * 2030', '15 0 0 2 1 * 2030'] },
    '2027-01-01T00:00Z',
    ['2030-01-01T00:00:00', '2030-01-02T00:00:15'],
  ],
  [
    'an interval counts from the epoch, with its offset',
    { interval: { every: 'PT7H', offset: 'PT1H' } },
    '1970-01-01T00:00Z',
    ['1970-01-01T01:00:00', '1970-01-01T08:00:00'],
  ],
  ['@every with an offset', { cron: '@every 90s/10s' }, '1970-01-01T00:00:10Z', ['1970-01-01T00:01:40', '1970-01-01T00:03:10']],
  [
    'an interval does not know daylight saving',
    { interval: 'PT12H', timeZone: 'America/New_York' },
    '2027-03-13T23:00Z',
    ['2027-03-14T00:00:00', '2027-03-14T12:00:00', '2027-03-15T00:00:00'],
  ],
  [
    'a calendar: clock fields left out are 0',
    { calendar: { hour: 9, dayOfWeek: 'MON-FRI' } },
    '2026-11-27T10:00Z',
    ['2026-11-30T09:00:00', '2026-12-01T09:00:00'],
  ],
  [
    'skip takes times out',
    { cron: '0 9 * * *', skip: { hour: 9, month: 12, dayOfMonth: '25-26' } },
    '2026-12-24T00:00Z',
    ['2026-12-24T09:00:00', '2026-12-27T09:00:00'],
  ],
  [
    'both ends of its life count',
    { cron: '@daily', startAt: '2027-01-02T00:00:00Z', endAt: '2027-01-03T00:00:00Z' },
    '2026-11-25T00:00Z',
    ['2027-01-02T00:00:00', '2027-01-03T00:00:00'],
  ],
  [
    'a union fires once where two agree',
    { cron: ['0 12 * * *', '@hourly'] },
    '2027-01-01T11:30Z',
    ['2027-01-01T12:00:00', '2027-01-01T13:00:00'],
  ],
];

test.each(CASES)('%s', (_, written, after, expected) => {
  expect(times(written, after, expected.length)).toEqual(expected);
});

test('a schedule that has ended has no next time', () => {
  expect(nextFireTime(specOf({ cron: '@daily', endAt: '2027-01-03T00:00:00Z' }), Date.parse('2027-01-03T00:00:00Z'))).toBeUndefined();
});

const ZONES = [
  'UTC',
  'America/New_York',
  'Europe/Berlin',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'America/Santiago',
];

/** Every minute of the range whose clock in the zone shows a matching minute and hour. */
function byHand(zone: string, clock: { minutes: number[]; hours: number[] }, range: { from: number; minutes: number }): number[] {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  return Array.from({ length: range.minutes }, (_, i) => range.from + i * 60_000).filter((at) => {
    const [hour, minute] = format.format(at).split(':').map(Number);
    return clock.hours.includes(hour ?? -1) && clock.minutes.includes(minute ?? -1);
  });
}

test('it fires at exactly the minutes whose clock matches, in any zone, across every change of a year', () => {
  const some = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 4 });
  const day = fc.integer({ min: Date.UTC(2027) / 86_400_000, max: Date.UTC(2028) / 86_400_000 });
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), some(59), some(3), day, (zone, minutes, hours, start) => {
      const from = start * 86_400_000;
      const length = 3 * 1_440;
      const spec = specOf({ cron: `${minutes.join()} ${hours.join()} * * *`, timeZone: zone });
      const found = fireTimes(spec, { after: from - 1, until: from + (length - 1) * 60_000, limit: 1_000 });
      expect(found).toEqual(byHand(zone, { minutes, hours }, { from, minutes: length }));
    }),
    { numRuns: 60 },
  );
});

test('ranges and cron text say the same as the values', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { minLength: 1 }), (given) => {
      const values = [...given].sort((a, b) => a - b);
      const spread = rangesOf(values).flatMap(({ start, end, step }) =>
        Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, i) => start + i * step),
      );
      expect(spread).toEqual(values);
      const [calendar] = specOf({ cron: `${values.join()} * * * *` }).calendars;
      expect(specOf({ cron: calendar ? cronText(calendar) : '' }).calendars[0]?.minute ?? values).toEqual(values);
    }),
  );
});
