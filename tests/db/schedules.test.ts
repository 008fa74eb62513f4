import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { createFires, type Fires } from '../../src/db/fires.ts';
import type { OrmDatabase } from '../../src/db/database.ts';
import { createPlans } from '../../src/db/repositories/plans.ts';
import { storeDefinition } from '../../src/db/repositories/definitions.ts';
import { backfillSchedule, createSchedule, listFires, pauseSchedule, type ScheduleFields } from '../../src/db/repositories/schedules.ts';
import { drainBuffer } from '../../src/db/schedules.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import { canonicalJson } from '../../src/domain/definition/canonical.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aPlan } from '../support/anEngine.ts';

let base: TestDatabase;
let db: OrmDatabase;
let submits: Submits;
let fires: Fires;
const workspace = randomUUID();
const MINUTE = 60_000;
/** Of the whole suite: a minute that begins in the middle of a test would change what is expected. */
const NOW = Date.now();

beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  submits = createSubmits({ url: base.url });
  fires = createFires({ db, plans: createPlans(db), submitRun: submits.submitRun, defaults: { maxInputBytes: 1_000, mode: 'standard' } });
  const definition = { dsl: 'tiu/1', name: 'tick', tasks: { a: { type: 'transform', with: { value: 1 } } } };
  const body = canonicalJson(aPlan(definition));
  const hash = createHash('sha256').update(body).digest();
  const source = { source: '{}', mediaType: 'application/json', version: undefined, title: undefined };
  await storeDefinition(db, { workspace, name: 'tick', hash, ...source, plan: { hash, body }, by: 'test' });
});
afterAll(async () => {
  await submits.close();
  await base.drop();
});

/** The last whole minute of the database's clock, and the minutes before it. */
const minuteBefore = (now: number, n: number) => Math.floor(now / MINUTE) * MINUTE - n * MINUTE;

/** A schedule of every minute, all of whose times in the last `minutes` are undecided. */
async function aSchedule(minutes: number, more: Partial<ScheduleFields> = {}): Promise<string> {
  const made = await createSchedule(db, {
    ...{ workspace, by: 'test' },
    fields: {
      ...{ name: `s-${randomUUID().slice(0, 8)}`, definition: 'tick', definitionVersion: undefined, spec: {}, input: undefined },
      compiled: { calendars: [], intervals: [{ everyMs: MINUTE, offsetMs: 0 }], skip: [], timeZone: 'UTC', jitterMs: 0 },
      ...{ priority: undefined, labels: undefined, overlap: 'allowAll', catchupMs: 3_600_000, remaining: undefined, paused: false },
      ...{ note: undefined, next: undefined, project: undefined, ...more },
    },
  });
  if (typeof made === 'string') throw new Error(made);
  const through = new Date(minuteBefore(NOW, minutes));
  await db.pool.query('update schedule set through = $2, next_at = $2 where id = $1', [made.id, through]);
  return made.id;
}
const statusesOf = async (schedule: string): Promise<string[]> =>
  (await listFires(db, { schedule, before: undefined, limit: 500 })).map(({ status }) => status).reverse();
const runsOf = async (schedule: string): Promise<number> =>
  (await db.pool.query('select from run where created_by = $1', [`schedule:${schedule}`])).rowCount ?? 0;
const close = (schedule: string) =>
  db.pool.query(
    `update run_state set finished = clock_timestamp(), status = 'completed' where run in (select run from schedule_fire where schedule = $1)`,
    [schedule],
  );
const counts = async (schedule: string) =>
  (await db.pool.query('select fired, skipped, missed, paused, remaining from schedule where id = $1', [schedule])).rows[0] as object;

test('times that were missed are made good, each once, whoever asks and how often', async () => {
  const id = await aSchedule(5);
  await Promise.all(Array.from({ length: 8 }, (_, i) => fires.fireDue(id, minuteBefore(NOW, i % 4))));
  expect(await statusesOf(id)).toEqual(Array.from({ length: 5 }, () => 'started'));
  expect(await runsOf(id)).toBe(5);
});

test('two processes that fire the same schedule at once make one run for each time', async () => {
  const other = createFires({
    db: await base.open(),
    plans: createPlans(db),
    submitRun: submits.submitRun,
    defaults: { maxInputBytes: 1_000, mode: 'standard' },
  });
  const id = await aSchedule(20);
  await Promise.all([fires, other, fires, other].map((each) => each.fireDue(id, minuteBefore(NOW, 0))));
  expect(await runsOf(id)).toBe(20);
});

test('what is beyond the catch-up window is missed, and counted', async () => {
  const id = await aSchedule(10, { catchupMs: 3.5 * MINUTE });
  await fires.fireDue(id, minuteBefore(NOW, 0));
  const made = await runsOf(id);
  expect([2, 3, 4]).toContain(made);
  expect(await counts(id)).toMatchObject({ fired: String(made), missed: String(10 - made) });
});

test('an outage of a year of a schedule of every second costs a moment, not a year', async () => {
  const id = await aSchedule(525_600, { catchupMs: 2.5 * MINUTE });
  await fires.fireOverdue(id, 0);
  expect([1, 2, 3]).toContain(await runsOf(id));
  expect(await counts(id)).toMatchObject({ missed: '1000' });
});

test('a paused schedule neither fires nor makes good what it left out', async () => {
  const id = await aSchedule(3);
  await pauseSchedule(db, { id, workspace, by: 'test' }, { paused: true, note: 'stop', next: undefined });
  await fires.fireDue(id, minuteBefore(NOW, 0));
  await pauseSchedule(db, { id, workspace, by: 'test' }, { paused: false, note: undefined, next: undefined });
  await fires.fireOverdue(id, 0);
  expect(await statusesOf(id)).toEqual([]);
});

test('a limit of actions ends in a pause', async () => {
  const id = await aSchedule(5, { remaining: 2 });
  await fires.fireDue(id, minuteBefore(NOW, 0));
  expect(await runsOf(id)).toBe(2);
  expect(await counts(id)).toMatchObject({ remaining: 0, paused: true });
});

const OVERLAPS: [ScheduleFields['overlap'], string[]][] = [
  ['allowAll', ['started', 'started', 'started', 'started']],
  ['skip', ['started', 'skipped', 'skipped', 'skipped']],
  ['bufferOne', ['started', 'buffered', 'skipped', 'skipped']],
  ['bufferAll', ['started', 'buffered', 'buffered', 'buffered']],
  ['cancelOther', ['started', 'skipped', 'skipped', 'buffered']],
  ['terminateOther', ['started', 'skipped', 'skipped', 'buffered']],
];
test.each(OVERLAPS)('overlap %s', async (overlap, expected) => {
  const id = await aSchedule(4, { overlap });
  await fires.fireDue(id, minuteBefore(NOW, 0));
  expect(await statusesOf(id)).toEqual(expected);
  expect(await drainBuffer(db, id)).toBe(false); // its run is open
  for (let left = expected.filter((status) => status === 'buffered').length; left > 0; left--) {
    await close(id);
    expect(await drainBuffer(db, id)).toBe(true);
    await fires.submitPending(id);
  }
  await close(id);
  expect(await drainBuffer(db, id)).toBe(false);
  expect(await runsOf(id)).toBe(expected.filter((status) => status !== 'skipped').length);
});

test('a backfill makes the runs that are missing and no second one', async () => {
  const id = await aSchedule(4, { overlap: 'skip' });
  await fires.fireDue(id, minuteBefore(NOW, 0));
  const times = [0, 1, 2, 3].map((n) => minuteBefore(NOW, n));
  const backfill = { id, workspace, times, overlap: 'allowAll', by: 'test' } as const;
  expect(await backfillSchedule(db, backfill)).toBe(3);
  await fires.submitPending(id);
  expect(await backfillSchedule(db, backfill)).toBe(0);
  expect(await runsOf(id)).toBe(4);
});

test('a process that dies between deciding and submitting leaves a fire that another submits', async () => {
  const id = await aSchedule(1);
  const dying = createFires({
    db,
    plans: createPlans(db),
    submitRun: () => Promise.reject(new Error('killed')),
    defaults: { maxInputBytes: 1_000, mode: 'standard' },
  });
  await expect(dying.fireDue(id, minuteBefore(NOW, 0))).rejects.toThrow('killed');
  expect(await statusesOf(id)).toEqual(['pending']);
  await fires.submitPending();
  expect(await statusesOf(id)).toEqual(['started']);
  expect(await runsOf(id)).toBe(1);
});

test('a fire whose run cannot be made says why, and the schedule goes on', async () => {
  const id = await aSchedule(1, { definition: 'nothing' });
  await fires.fireDue(id, minuteBefore(NOW, 0));
  const [fire] = await listFires(db, { schedule: id, before: undefined, limit: 5 });
  expect(fire).toMatchObject({ status: 'failed', run: null, failure: { code: 'not_found' } });
});
