import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Problem } from '../../../src/domain/problem.ts';
import { createLimits, type Limits } from '../../../src/api/http/rateLimit.ts';
import type { Database, Statement } from '../../../src/db/database.ts';
import { readConfig } from '../../../src/runtime/config.ts';
import { aDatabase, type TestDatabase } from '../../support/aDatabase.ts';

let base: TestDatabase;
let db: Database;
const opened: Limits[] = [];
let statements = 0;

beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(async () => {
  await Promise.all(opened.map((limits) => limits.close()));
  await base.drop();
});

/** What one api process counts with, over the one database. */
function aProcess(settings: Record<string, string>, now = () => Date.now()): Limits {
  const rows = ((statement: Statement) => {
    statements += 1;
    return db.rows(statement);
  }) as Database['rows'];
  const limits = createLimits({ db: { rows }, now }, readConfig({ DATABASE_URL: base.url, ...settings }));
  opened.push(limits);
  return limits;
}

const refusal = (attempt: Promise<unknown> | undefined): Promise<Problem> =>
  (attempt ?? Promise.resolve()).then(
    () => Promise.reject(new Error('it passed')),
    (error: unknown) => error as Problem,
  );
const passed = async (tries: Promise<unknown>[]) => (await Promise.allSettled(tries)).filter(({ status }) => status === 'fulfilled').length;
const granted = async (limits: Limits, key: string, n: number) => {
  const spent = await Promise.all(Array.from({ length: n }, () => Promise.resolve(limits.spend('read', key))));
  return spent.filter((one) => one && !one.refusal).length;
};

test('of 200 tries at once against two processes exactly the limit passes', async () => {
  const processes = [aProcess({ TIU_RATE_LOGIN: 'account=10/900' }), aProcess({ TIU_RATE_LOGIN: 'account=10/900' })];
  const tries = Array.from(
    { length: 200 },
    (_, i) => processes[i % 2]?.take({ class: 'login', key: 'account:a' }) ?? Promise.reject(Error()),
  );
  expect(await passed(tries)).toBe(10);
  const refused = await refusal(processes[1]?.take({ class: 'login', key: 'account:a' }));
  expect(refused).toMatchObject({
    code: 'rate_limited',
    detail: 'login-account: at most 10 in 900 s',
    data: { policies: ['login-account'] },
  });
  expect(refused.retryAfterMs).toBeGreaterThan(60_000);
  expect(refused.retryAfterMs).toBeLessThanOrEqual(90_000);
  // another account has its own, and a network none
  await processes[0]?.take({ class: 'login', key: 'account:b' });
  expect(
    await passed(
      Array.from({ length: 30 }, () => processes[0]?.take({ class: 'login', key: 'network:1.2.3.4' }) ?? Promise.reject(Error())),
    ),
  ).toBe(30);
});

test('each try of an exact class is a statement before it passes', async () => {
  const limits = aProcess({ TIU_RATE_LOGIN: 'account=10/900' });
  const before = statements;
  for (let i = 0; i < 10; i++) await limits.take({ class: 'login', key: 'account:counted' });
  expect(statements - before).toBe(10);
});

test('a cost is taken whole or not at all, and one past the limit never', async () => {
  const limits = aProcess({ TIU_RATE_RESET: 'account=5/3600' });
  await limits.take({ class: 'reset', key: 'account:c', cost: 3 });
  expect((await refusal(limits.take({ class: 'reset', key: 'account:c', cost: 3 }))).code).toBe('rate_limited');
  expect((await refusal(limits.take({ class: 'reset', key: 'account:other', cost: 6 }))).code).toBe('rate_limited');
});

test('tokens come back evenly', async () => {
  const limits = aProcess({ TIU_RATE_RESET: 'account=4/400' });
  const of = { class: 'reset', key: 'account:refill' } as const;
  expect(await passed(Array.from({ length: 8 }, () => limits.take(of)))).toBe(4);
  const { retryAfterMs = 0 } = await refusal(limits.take(of));
  expect(retryAfterMs).toBeLessThanOrEqual(100_000);
  await db.rows({ name: 'later', text: `update rate_bucket set full_at = full_at - 200 where key = 'account:refill'`, values: [] });
  const other = aProcess({ TIU_RATE_RESET: 'account=4/400' }); // the first one believes that there is none before then
  expect(await passed(Array.from({ length: 8 }, () => other.take(of)))).toBe(2);
});

test('an ordinary request costs no statement in the mean, and two processes pass a limit by no more than what each may owe', async () => {
  const settings = { TIU_RATE_READ: 'key=2000/3600' };
  const processes = [aProcess(settings), aProcess(settings)];
  const before = statements;
  let all = 0;
  for (let i = 0; i < 150; i++) all += (await Promise.all(processes.map((one) => granted(one, 'key:busy', 10)))).reduce((a, b) => a + b, 0);
  expect(all).toBeGreaterThanOrEqual(2000 - 2 * 100); // what the other one holds and does not spend
  expect(all).toBeLessThanOrEqual(2000 + 2 * 8 + 1);
  expect(statements - before).toBeLessThan(all / 10);
});

test('what a process holds and does not use goes back to the others', async () => {
  let time = 1_000_000;
  const limits = aProcess({ TIU_RATE_READ: 'key=1000/3600' }, () => time);
  await granted(limits, 'key:idle', 8);
  await granted(limits, 'key:idle', 8);
  time += 10_000;
  await limits.close();
  const [row] = await db.rows<{ spent: number }>({
    name: 'spent',
    text: `select round((full_at - extract(epoch from clock_timestamp())) / 3.6)::int as spent from rate_bucket where key = 'key:idle'`,
    values: [],
  });
  expect(row?.spent).toBe(16);
});

test('an answer says how the limit stands', async () => {
  const limits = aProcess({ TIU_RATE_HEAVY: 'user=3/60' });
  const heads = [];
  for (let i = 0; i < 4; i++) heads.push((await limits.spend('heavy', 'user:u'))?.headers);
  expect(heads[0]).toEqual({ 'ratelimit-policy': '"heavy-user";q=3;w=60', ratelimit: '"heavy-user";r=2;t=20' });
  expect(heads[3]).toMatchObject({ ratelimit: '"heavy-user";r=0;t=60' });
  expect((await limits.spend('heavy', 'user:u'))?.refusal?.code).toBe('rate_limited');
  expect(limits.spend('none', 'user:u')).toBeUndefined();
  expect(limits.spend('write', 'key:k')).toBeUndefined();
});

test.each(['user', 'user=10', 'user=0/60', 'user=10/0', 'nobody=1/1', 'user=1/1;key=1/1'])(
  'a policy that is none is refused at start: %s',
  (text) => {
    expect(() => createLimits({ db, now: Date.now }, readConfig({ DATABASE_URL: base.url, TIU_RATE_READ: text }))).toThrow('TIU_RATE_READ');
  },
);

test('when the database is away, an exact try fails and an ordinary one owes', async () => {
  const rows = (() => Promise.reject(new Error('away'))) as Database['rows'];
  const limits = createLimits({ db: { rows }, now: Date.now }, readConfig({ DATABASE_URL: base.url, TIU_RATE_READ: 'key=1000/60' }));
  opened.push(limits);
  await expect(limits.take({ class: 'login', key: 'account:a' })).rejects.toThrow('away');
  expect(await granted(limits, 'key:k', 8)).toBe(8);
  await expect(limits.take({ class: 'read', key: 'key:k' })).rejects.toThrow('away');
});
