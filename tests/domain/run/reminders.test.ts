import { expect, test } from '@jest/globals';
import { LIMITS } from '../../../src/domain/definition/limits.ts';
import { readDefinitionValue } from '../../../src/domain/definition/read.schema.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { fold } from '../../../src/domain/run/fold.ts';
import type { RunEvent } from '../../../src/domain/run/events.ts';
import { readReminders } from '../../../src/domain/run/reminders.ts';

const mail = { channel: 'mail', to: 'a@example.com' };
const timesOf = (remind: JsonObject) => {
  const read = readReminders(remind);
  return 'reminders' in read ? read.reminders.atMs : read.faults.map(({ pointer }) => pointer);
};
const issuesOf = (fields: JsonObject) => {
  const tasks = { a: { type: 'approval', with: { message: 'Ship?', ...fields } } };
  return readDefinitionValue({ dsl: 'tiu/1', name: 'probe', tasks }).issues;
};
const placesOf = (remind: JsonObject) => issuesOf({ remind }).map(({ code, pointer }) => `${code} ${pointer}`);

test('every so long, so many times, or as often as may be', () => {
  expect(timesOf({ every: 'PT1H', max: 3 })).toEqual([3_600_000, 7_200_000, 10_800_000]);
  expect(timesOf({ every: { minutes: 1 } })).toHaveLength(LIMITS.reminders);
});

test('after each of some durations, in their order, each once', () => {
  expect(timesOf({ after: ['P1D', 'PT1H', { days: 1 }] })).toEqual([3_600_000, 86_400_000]);
});

test.each<[string, JsonObject, string[]]>([
  ['neither every nor after', mail, ['']],
  ['both', { every: 'PT1H', after: ['PT1H'] }, ['']],
  ['max without every', { after: ['PT1H'], max: 2 }, ['/max']],
  ['a channel without an address', { every: 'PT1H', channel: 'mail' }, ['']],
  ['an address without a channel', { every: 'PT1H', to: 'a@example.com' }, ['']],
  ['several addresses of a webhook', { every: 'PT1H', channel: 'webhook', to: ['https://a.example/'] }, ['/to']],
  ['less than the shortest time', { every: 'PT0.999S' }, ['/every']],
  ['one of several less', { after: ['PT1S', 'PT0S'] }, ['/after/1']],
])('%s is refused at its place', (_, remind, places) => {
  expect(timesOf(remind)).toEqual(places);
  expect(placesOf(remind)).toEqual(places.map((place) => `invalid_value /tasks/a/with/remind${place}`));
});

test('at its bounds it is taken, beyond them refused when the definition is checked', () => {
  const durations = (count: number) => Array.from({ length: count }, (_, i) => `PT${i + 1}S`);
  expect(placesOf({ every: 'PT1S', max: LIMITS.reminders, ...mail })).toEqual([]);
  expect(placesOf({ after: durations(LIMITS.reminders) })).toEqual([]);
  expect(placesOf({ every: 'PT1S', max: LIMITS.reminders + 1 })).not.toEqual([]);
  expect(placesOf({ after: durations(LIMITS.reminders + 1) })).not.toEqual([]);
  expect(placesOf({ every: 'PT1H', chanel: 'mail' })).toEqual([expect.stringContaining('/tasks/a/with/remind')]);
});

test('what expressions give is left to the run', () => {
  expect(placesOf({ every: '${input.every}', channel: '${input.channel}', to: ['${input.to}', 'b@example.com'] })).toEqual([]);
});

test('a secret has no place in it', () => {
  expect(placesOf({ every: 'PT1H', channel: 'slack', to: '${secrets.slack}' })).toEqual(['secret_not_allowed /tasks/a/with/remind/to']);
});

test('the first notice names where it goes, and one address where the channel takes one', () => {
  expect(issuesOf({ notify: { channel: 'mail', to: ['a@example.com', 'b@example.com'] } })).toEqual([]);
  expect(issuesOf({ notify: { channel: 'slack', to: ['https://a.example', 'https://b.example'] } })).toMatchObject([
    { code: 'invalid_value', pointer: '/tasks/a/with/notify/to' },
  ]);
  expect(issuesOf({ notify: { channel: 'mail' } })[0]).toMatchObject({ pointer: '/tasks/a/with/notify' });
});

test('a reminder changes nothing in the view of a run', () => {
  const at = '2026-11-29T08:00:00.000Z';
  const before: RunEvent[] = [
    { seq: 1, type: 'run.accepted', at, runId: 'r' },
    { seq: 2, type: 'run.started', at, runId: 'r' },
    { seq: 3, type: 'task.waiting', at, runId: 'r', task: 'a' },
    { seq: 4, type: 'run.waiting', at, runId: 'r' },
  ];
  const after: RunEvent[] = [...before, { seq: 5, type: 'task.reminded', at, runId: 'r', task: 'a', data: { number: 1, of: 2 } }];
  expect(fold(after)).toEqual({ ...fold(before), lastSeq: 5 });
  for (const type of ['task.notified', 'task.notice_failed'] as const)
    expect(fold([...before, { seq: 5, type, at, runId: 'r', task: 'a' }])).toEqual({ ...fold(before), lastSeq: 5 });
});
