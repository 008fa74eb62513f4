import { expect, test } from '@jest/globals';
import type { Json } from '../../../src/domain/json.ts';
import { readWith, schedulePolicies, scheduleSpec } from '../../../src/domain/schedule/readSpec.ts';

const faults = (written: Json) => {
  const read = readWith(scheduleSpec, written, '/spec');
  return 'issues' in read ? read.issues.map(({ pointer, code }) => [pointer, code]) : [];
};

const BAD: [Json, string, string][] = [
  [{}, '/spec', 'missing_key'],
  [{ cron: '* * * *' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '61 * * * *' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '* * 0 * *' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '* * * 13 *' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '5-1 * * * *' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '*/0 * * * *' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '* * * * MONDAYS' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '@fortnightly' }, '/spec/cron', 'invalid_cron'],
  [{ cron: '@every 5' }, '/spec/cron', 'invalid_cron'],
  [{ cron: 'TZ=Europe/Berlin 0 9 * * *' }, '/spec/cron', 'invalid_cron'],
  [{ cron: ['@daily', 'never'] }, '/spec/cron/1', 'invalid_cron'],
  [{ cron: '@every 0s' }, '/spec/cron', 'invalid_interval'],
  [{ cron: '0 0 30 2 *' }, '/spec', 'never_fires'],
  [{ cron: '@daily', startAt: '2027-01-01T12:00:00Z', endAt: '2027-01-01T13:00:00Z' }, '/spec', 'never_fires'],
  [{ interval: 'PT0.5S' }, '/spec/interval', 'invalid_interval'],
  [{ interval: 'P1M' }, '/spec/interval', 'invalid_duration'],
  [{ interval: { every: 'PT1M', offset: 'PT1M' } }, '/spec/interval', 'invalid_interval'],
  [{ calendar: { hour: 24 } }, '/spec/calendar/hour', 'invalid_calendar'],
  [{ calendar: [{ hour: 1 }, { dayOfWeek: 'someday' }] }, '/spec/calendar/1/dayOfWeek', 'invalid_calendar'],
  [{ cron: '@daily', timeZone: 'Mars/Olympus' }, '/spec/timeZone', 'invalid_time_zone'],
  [{ cron: '@daily', timeZone: '+02:00' }, '/spec/timeZone', 'invalid_time_zone'],
  [{ cron: '@daily', timeZone: 'europe/berlin' }, '/spec/timeZone', 'invalid_time_zone'],
  [{ cron: '@daily', startAt: 'tomorrow' }, '/spec/startAt', 'invalid_time'],
  [{ cron: '@daily', webhook: 'push' }, '/spec/webhook', 'unknown_key'],
];

test.each(BAD)('%j is refused', (written, pointer, code) => {
  expect(faults(written)).toContainEqual([pointer, code]);
});

test('a good one has no faults', () => {
  expect(
    faults({ cron: ['0 9 * * MON-FRI', '@every 1h/10m'], calendar: { hour: '*/6' }, timeZone: 'Europe/Berlin', jitter: 'PT30S' }),
  ).toEqual([]);
});

test('policies have defaults and bounds', () => {
  expect(readWith(schedulePolicies, {}, '')).toEqual({ value: { overlap: 'skip', catchupMs: 365 * 86_400_000 } });
  expect(readWith(schedulePolicies, { overlap: 'ignore', catchupWindow: 'PT1S' }, '')).toMatchObject({
    issues: [
      { pointer: '/overlap', code: 'invalid_value' },
      { pointer: '/catchupWindow', code: 'invalid_value' },
    ],
  });
});
