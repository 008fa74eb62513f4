import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { normaliseName } from '../../src/domain/account/names.ts';
import { issueOneTime } from '../../src/db/oneTime.ts';
import { createAccount } from '../../src/db/repositories/accounts.ts';
import { setRecoveryCodes } from '../../src/db/repositories/secondFactors.ts';
import type { OrmDatabase } from '../../src/db/database.ts';
import { createPasswords } from '../../src/providers/password/passwords.ts';
import { SETTINGS } from '../api/accounts/aPerson.ts';
import { aMailServer, type MailServer } from '../support/aMailServer.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { until } from '../support/until.ts';

const ROUNDS = 200;
const TRIES = 10;
const PASSWORD = 'dumpling orbit gravel quay';

let stack: TestStack;
let db: OrmDatabase;
let mailServer: MailServer;
beforeAll(async () => {
  mailServer = await aMailServer();
  const env = {
    ...SETTINGS,
    TIU_PUBLIC_URL: '',
    TIU_SMTP_URL: mailServer.url,
    TIU_REGISTRATION: 'open',
    TIU_PASSWORD_MEMORY: '64',
    TIU_LOGIN_TRIES: String(TRIES),
    TIU_LOGIN_DELAY: '60000',
    TIU_MAX_QUEUED_HASHES: '1000',
  };
  stack = await aStack({ apis: 2, workers: 0, env: { ...env, TIU_MAX_EVENT_LOOP_DELAY: '60000' } });
  db = await stack.base.open('tiu_engine', 4);
});
afterAll(async () => {
  await stack.stop();
  mailServer.close();
});

const post = async (api: number, path: string, body: object): Promise<number> => {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${stack.urls[api]}/api/v1/auth/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  await answer.text();
  return answer.status;
};
/** The same at both processes at once. @returns how many were answered so */
async function race(status: number, path: string, bodyOf: (api: number) => object): Promise<number> {
  const answers = await Promise.all([0, 1, 0, 1].map((api, at) => post(api, path, bodyOf(at))));
  return answers.filter((answer) => answer === status).length;
}

async function hashes(): Promise<number> {
  const texts = await Promise.all(
    stack.urls.map(async (url) => (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${stack.key}` } })).text()),
  );
  const counts = texts.flatMap((text) => [...text.matchAll(/^tiu_password_hashes_total\{.*\} (\d+)$/gm)].map(([, count]) => Number(count)));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function anAccount(): Promise<{ id: string; name: string }> {
  const name = normaliseName(`p${randomBytes(6).toString('hex')}`);
  if (!name) throw new Error('no name');
  const hash = await createPasswords({ memoryKiB: 64, passes: 2, lanes: 1, concurrent: 2, queued: 9 }).hash(PASSWORD);
  const id = await createAccount(db, { name, password: { hash, short: false }, by: 'test', now: Date.now() });
  return { id, name: name.shown };
}

test('of 200 wrong passwords at once, at two processes, no more are hashed than there are tries', async () => {
  const { name } = await anAccount();
  const before = await hashes();
  const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => post(at % 2, 'login', { identifier: name, password: 'wrong' })));
  expect(await hashes()).toBe(before + TRIES);
  expect(answers.filter((status) => status === 401)).toHaveLength(TRIES);
  expect(answers.filter((status) => status === 429)).toHaveLength(200 - TRIES);
});

test(`of all who redeem a reset at once, at two processes, one wins: ${ROUNDS} rounds`, async () => {
  const { id } = await anAccount();
  for (let round = 0; round < ROUNDS; round += 1) {
    const token = await issueOneTime(db, { kind: 'reset_password', account: id, now: Date.now(), ttlMs: 60_000 });
    expect(await race(204, 'reset-password', (at) => ({ token, password: `${PASSWORD} ${round} ${at}` }))).toBe(1);
  }
});

test(`of all who redeem a recovery code at once, at two processes, one wins: ${ROUNDS} rounds`, async () => {
  const { id } = await anAccount();
  const codes = Array.from({ length: ROUNDS }, (_, at) => `CODE${at}`);
  await setRecoveryCodes(db, { account: id, codes, now: Date.now() });
  const pending = () =>
    issueOneTime(db, {
      ...{ kind: 'mfa_pending', account: id, now: Date.now(), ttlMs: 60_000 },
      data: { device: null, deviceName: null, remember: false, transport: 'token' },
    });
  for (const recoveryCode of codes) {
    await db.rows({ name: 'forget', text: 'delete from auth_try', values: [] });
    const tokens = [await pending(), await pending(), await pending(), await pending()];
    expect(await race(200, 'login/mfa', (at) => ({ mfaToken: tokens[at], recoveryCode }))).toBe(1);
  }
});

test('a mail outlives the process that was sending it', async () => {
  mailServer.answer('DATA', null);
  const heard = mailServer.heard('DATA');
  expect(await post(0, 'register', { name: 'late_comer', email: 'late@people.example', password: PASSWORD })).toBe(202);
  await heard;
  await Promise.all(stack.apis.map((api) => api.kill())); // whichever of them has taken it
  await db.rows({ name: 'lease', text: `update mail set due = now()`, values: [] }); // as if the minute of its lease had passed
  await Promise.all(stack.apis.map((api) => api.restart()));
  await until(() => mailServer.mails.length > 0);
  expect(mailServer.mails).toEqual([expect.objectContaining({ to: ['late@people.example'] })]);
  await until(async () => (await db.rows({ name: 'left', text: 'select from mail', values: [] })).length === 0);
});
