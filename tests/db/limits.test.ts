import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClaims } from '../../src/db/claims.ts';
import type { Database } from '../../src/db/database.ts';
import { readChangesSince, type Claim } from '../../src/db/execution.ts';
import { freeLeases, renewLeases, sweepLimits, type LimitRequest } from '../../src/db/limits.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { someRuns } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 8);
});
afterAll(() => base.drop());

type Attempt = { run: string; task?: number; item?: number; limits: LimitRequest[] };
async function claim({ run, task = 0, item = -1, limits }: Attempt): Promise<{ token: string; claim: Claim }> {
  const token = randomUUID();
  return { token, claim: await createClaims({ db })({ run, task, item, generation: 0, epoch: 1, token, limits }) };
}
const began = ({ claim: answer }: { claim: Claim }): boolean => 'attempt' in answer;
const sql = (text: string, values: unknown[] = []) => db.pool.query(text, values);

/** The attempt of a task ends and its slots are free. @returns the runs whose turn has come */
async function end(run: string, token: string): Promise<string[]> {
  await sql(`update task set status = 'completed', finished = now() where run = $1 and token = $2`, [run, token]);
  return freeLeases(db, token);
}

test('who finds no slot waits in line, and who frees one wakes the first', async () => {
  const limits = [{ key: randomUUID(), concurrency: 1 }];
  const [one = '', two = '', three = ''] = await someRuns(db, 3);
  const first = await claim({ run: one, limits });
  expect(first.claim).toMatchObject({ attempt: 1 });
  expect((await claim({ run: two, limits })).claim).toMatchObject({ waiting: [0, 'waiting', 2, 0, 0, 0, 0], due: null });
  expect(began(await claim({ run: three, limits }))).toBe(false);
  expect(await end(one, first.token)).toEqual([two]);
  expect(began(await claim({ run: three, limits }))).toBe(false); // nobody overtakes
  expect(await readChangesSince(db, { run: two, epoch: 1, since: 0 })).toMatchObject({ rows: [[0, 'pending', 3, 0, 0]], due: null });
  const second = await claim({ run: two, limits });
  expect(second.claim).toMatchObject({ attempt: 1, losses: 0 });
  expect(await end(two, second.token)).toEqual([three]);
});

test('a limit of 1 with four workers that claim at once is never broken in 400 attempts', async () => {
  const limits = [{ key: randomUUID(), concurrency: 1 }];
  const runs = await someRuns(db, 4, 1_000);
  const calls = new Map<string, PromiseWithResolvers<undefined>>();
  const wake = (run: string) => calls.get(run)?.resolve(undefined);
  let atWork = 0;
  let most = 0;
  const attemptOne = async (run: string, task: number): Promise<void> => {
    const woken = Promise.withResolvers<undefined>();
    calls.set(run, woken);
    const { token, claim: answer } = await claim({ run, task, limits });
    if (!('attempt' in answer)) {
      await woken.promise;
      await readChangesSince(db, { run, epoch: 1, since: 0 });
      return attemptOne(run, task);
    }
    most = Math.max(most, ++atWork);
    await new Promise((resolve) => setImmediate(resolve));
    atWork--;
    for (const next of await end(run, token)) wake(next);
  };
  await Promise.all(
    runs.map(async (run) => {
      for (let task = 0; task < 100; task++) await attemptOne(run, task);
    }),
  );
  expect(most).toBe(1);
  const { rows } = await sql(`select count(*)::int as n from task where run = any($1) and status = 'completed' and attempt = 1`, [runs]);
  expect(rows).toEqual([{ n: 400 }]);
});

test('a rate lets as many begin as it says, and tells the next when its token is there', async () => {
  const limits = [{ key: randomUUID(), rate: 5, perMs: 3_600_000 }];
  const runs = await someRuns(db, 7);
  const claims = [];
  for (const run of runs) claims.push(await claim({ run, limits }));
  expect(claims.map(began)).toEqual([true, true, true, true, true, false, false]);
  const due = claims.slice(5).map(({ claim: answer }) => ('due' in answer ? Math.round((answer.due ?? 0) / 60_000) : 0));
  expect(due).toEqual([12, 24]);
  await sql('update limit_bucket set filled_ms = filled_ms - 720000 where key = $1', [limits[0]?.key]);
  await sql(`update wait set until = now() where run = $1 and kind = 'limit'`, [runs[5]]);
  await readChangesSince(db, { run: runs[5] ?? '', epoch: 1, since: 0 });
  expect(began(await claim({ run: runs[6] ?? '', limits }))).toBe(false);
  expect(began(await claim({ run: runs[5] ?? '', limits }))).toBe(true);
});

test('of several limits all are taken or none', async () => {
  const [a, b] = [randomUUID(), randomUUID()];
  const [one = '', two = '', three = ''] = await someRuns(db, 3);
  const holder = await claim({ run: one, limits: [{ key: b, concurrency: 1 }] });
  const both = [
    { key: a, concurrency: 1 },
    { key: b, concurrency: 1 },
  ];
  expect(began(await claim({ run: two, limits: both }))).toBe(false);
  expect(began(await claim({ run: three, limits: [{ key: a, concurrency: 1 }] }))).toBe(true);
  expect(await end(one, holder.token)).toEqual([two]);
});

test('slots of attempts that are gone are free again, whoever noticed', async () => {
  const limits = [{ key: randomUUID(), concurrency: 1 }];
  const [dead = '', closed = '', next = '', last = ''] = await someRuns(db, 4);
  await claim({ run: dead, limits });
  expect(began(await claim({ run: closed, limits }))).toBe(false);
  expect(began(await claim({ run: next, limits }))).toBe(false);
  expect(await sweepLimits(db)).toEqual([]);
  const again = await claim({ run: dead, limits });
  expect(again.claim).toMatchObject({ attempt: 2, losses: 1 }); // the same task: its own slot
  await sql('update run_state set finished = now() where run = $1', [closed]);
  expect(await sweepLimits(db)).toEqual([]);
  await sql(`update task set status = 'retrying' where run = $1`, [dead]); // the attempt has ended, and its process died before it said so
  expect(await sweepLimits(db)).toEqual([next]);
  const held = await claim({ run: next, limits });
  await sql(`update lease set expires = now() - interval '1 s' where holder = $1`, [held.token]);
  await renewLeases(db, held.token);
  expect(began(await claim({ run: last, limits }))).toBe(false);
  await sql(`update lease set expires = now() - interval '1 s' where holder = $1`, [held.token]);
  expect(await sweepLimits(db)).toEqual([last]);
});

test('a task in line is stopped by its deadline, and the line moves on', async () => {
  const limits = [{ key: randomUUID(), concurrency: 1 }];
  const [one = '', two = ''] = await someRuns(db, 2);
  await claim({ run: one, limits });
  const token = randomUUID();
  await createClaims({ db })({ run: two, task: 0, item: -1, generation: 0, epoch: 1, token, limits, deadlineMs: 1 });
  await sql(`update wait set until = now() - interval '1 s' where run = $1 and kind = 'deadline'`, [two]);
  expect(await readChangesSince(db, { run: two, epoch: 1, since: 0 })).toMatchObject({ rows: [[0, 'timed_out', 3, 0, 0]] });
  expect((await sql(`select from wait where run = $1 and not closed`, [two])).rowCount).toBe(0);
});

test('an item asks again by itself, and is not overtaken while it does', async () => {
  const limits = [{ key: randomUUID(), concurrency: 1 }];
  const [holder = '', mapped = '', other = ''] = await someRuns(db, 3);
  await sql(
    `insert into wait (run, task, item, generation, kind, workspace) select run, 0, -1, 0, 'map', workspace from run_state where run = $1`,
    [mapped],
  );
  const { token } = await claim({ run: holder, limits });
  expect((await claim({ run: mapped, item: 3, limits })).claim).toEqual({ retryInMs: 100, limit: limits[0]?.key });
  await end(holder, token);
  expect(began(await claim({ run: other, limits }))).toBe(false);
  expect(began(await claim({ run: mapped, item: 3, limits }))).toBe(true);
});
