import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OrmDatabase } from '../../src/db/database.ts';
import { insertDeviceGrant } from '../../src/db/deviceGrants.ts';
import { issueOneTime, peekOneTime, redeemOneTime } from '../../src/db/oneTime.ts';
import { createAccount, findAccountByName, rememberDevice } from '../../src/db/repositories/accounts.ts';
import { sweepAccounts } from '../../src/db/retention.ts';
import { withTransaction } from '../../src/db/transaction.ts';
import { takeTry } from '../../src/db/tries.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

let base: TestDatabase;
let db: OrmDatabase;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const now = Date.now();
const DAY = 86_400_000;
const named = (key: string) => ({ name: { shown: key, key }, by: 'test', now });
const limits = { free: 3, delayMs: 1_000, maxDelayMs: 4_000, max: 100 };
const count = async (table: string) =>
  (await db.rows<{ n: number }>({ name: '', text: `select count(*)::int as n from ${table}`, values: [] }))[0]?.n;

test('a token opens what it is for, once, until its time; the database holds its hash alone', async () => {
  const token = await issueOneTime(db, { kind: 'reset_password', now, ttlMs: 1_000, data: { a: 1 } });
  expect(token).toMatch(/^tiuo_[\w-]{43}$/);
  const [row] = await db.rows<{ t: string }>({ name: '', text: 'select o::text as t from one_time o', values: [] });
  expect(row?.t).not.toContain(token.slice(5));
  expect(await redeemOneTime(db, { token, kind: 'change_email', now })).toBeUndefined();
  expect(await redeemOneTime(db, { token, kind: 'reset_password', now: now + 1_000 })).toBeUndefined();
  expect(await peekOneTime(db, { token, kind: 'reset_password', now: now + 999 })).toEqual({ account: null, data: { a: 1 } });
  const redeemed = await Promise.all(Array.from({ length: 8 }, () => redeemOneTime(db, { token, kind: 'reset_password', now })));
  expect(redeemed.filter((one) => one !== undefined)).toEqual([{ account: null, data: { a: 1 } }]);
});

test('names and addresses are given once, however many ask at once', async () => {
  const email = { shown: 'A@people.example', key: 'a@people.example', verified: true };
  const makes = await Promise.allSettled(Array.from({ length: 6 }, () => createAccount(db, { ...named('same'), email })));
  expect(makes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const made of makes) if (made.status === 'rejected') expect(made.reason).toMatchObject({ code: 'name_taken' });
  await expect(createAccount(db, { ...named('other'), email })).rejects.toMatchObject({ code: 'email_taken' });
});

test('what a transaction did is taken back when it fails, and its connection goes on', async () => {
  const failing = withTransaction(db, async (tx) => {
    await createAccount(tx, named('undone'));
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(await findAccountByName(db, 'undone')).toBeUndefined();
  await withTransaction(db, (tx) => createAccount(tx, named('done')));
  expect(await findAccountByName(db, 'done')).toMatchObject({ name: 'done', password: null, status: 'active' });
});

test('waits double up to the longest one, and at the end there is none', async () => {
  let at = now;
  const waits: number[] = [];
  for (let failures = 0; failures < 100; failures += 1) {
    expect(await takeTry(db, { subject: 'x', now: at, limits })).toBeUndefined();
    const refused = failures >= 2 && failures < 99 ? await takeTry(db, { subject: 'x', now: at, limits }) : undefined;
    if (refused) waits.push(refused.againMs);
    at += refused?.againMs ?? 4_000;
  }
  expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 4_000]);
  expect(await takeTry(db, { subject: 'x', now: at + 365 * DAY, limits })).toMatchObject({ refused: 'disabled' });
  expect(await takeTry(db, { subject: 'y', now: at, limits })).toBeUndefined();
});

test('what is past its time is swept', async () => {
  await db.rows({ name: '', text: 'delete from auth_try', values: [] });
  await db.rows({ name: '', text: 'delete from one_time', values: [] });
  const account = await createAccount(db, named('swept'));
  for (const days of [0, 2, 400]) {
    await issueOneTime(db, { kind: 'verify_email', now: now - days * DAY, ttlMs: 1_000 });
    const codes = { deviceCode: `d${days}`, userCode: `u${days}` };
    await insertDeviceGrant(db, { ...codes, device: null, ip: '', userAgent: '', now: now - days * DAY, ttlMs: 1_000, pauseMs: 1 });
    await takeTry(db, { subject: `s${days}`, now: now - days * DAY, limits });
    await rememberDevice(db, { hash: Buffer.from(`d${days}`), account, now: now - days * DAY, ttlMs: DAY });
  }
  await sweepAccounts(db, 100);
  expect([await count('one_time'), await count('auth_try'), await count('known_device'), await count('device_grant')]).toEqual([
    1, 2, 1, 1,
  ]);
});
