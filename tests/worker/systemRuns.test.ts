import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { findDefinition } from '../../src/db/repositories/definitions.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { ensureSystemSchedules } from '../../src/worker/systemRuns.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { silent } from './support/aWorker.ts';

let base: TestDatabase;
let db: Database;
let now = Date.UTC(2026, 10, 25, 12);
const deps = () => ({ db, log: silent, clock: { now: () => now } });

beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const runs = () =>
  db.rows<{ definition: string; n: number }>({
    name: 'system_runs',
    text: `select definition, count(*)::int as n from run where workspace = $1 group by 1 order by 1`,
    values: [SYSTEM_WORKSPACE],
  });

test('every system definition is valid, stored with a version, and has one run a day, however many ask for it', async () => {
  await Promise.all(Array.from({ length: 4 }, () => ensureSystemSchedules(deps(), new Map())));
  expect(await runs()).toEqual([
    { definition: 'tiu-partitions', n: 1 },
    { definition: 'tiu-retention', n: 1 },
  ]);
  expect(await findDefinition(db, { workspace: SYSTEM_WORKSPACE, name: 'tiu-retention', version: undefined })).toMatchObject({
    number: 1,
  });
  const periods = new Map<string, number>();
  await ensureSystemSchedules(deps(), periods);
  now += 14 * 3_600_000; // two in the morning: the first of the two is due
  await ensureSystemSchedules(deps(), periods);
  expect(await runs()).toEqual([
    { definition: 'tiu-partitions', n: 2 },
    { definition: 'tiu-retention', n: 1 },
  ]);
  now += 5 * 86_400_000; // nobody was there for days: one run makes up for them
  await ensureSystemSchedules(deps(), periods);
  expect(await runs()).toEqual([
    { definition: 'tiu-partitions', n: 3 },
    { definition: 'tiu-retention', n: 2 },
  ]);
  expect(await findDefinition(db, { workspace: SYSTEM_WORKSPACE, name: 'tiu-retention', version: undefined })).toMatchObject({
    number: 1,
  });
});
