import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aStoppedClock } from '../../support/aStoppedClock.ts';
import { setEmail, setPassword } from '../../../src/db/repositories/accounts.ts';
import { aPerson, lastMail, linkToken, OTHER, PASSWORD, signedIn, someAccounts, type Accounts, type Person } from './aPerson.ts';

let api: Accounts;
const clock = aStoppedClock();
beforeAll(async () => {
  api = await someAccounts({ TIU_LOGIN_TRIES: '2', TIU_LOGIN_MAX_FAILURES: '4' });
  api.deps.clock = clock.now;
});
afterAll(() => api.stop());

const rows = <R extends object>(text: string, values: unknown[] = []) => api.deps.db.rows<R>({ name: '', text, values });
const forgot = (email: string, headers: Record<string, string> = {}) =>
  api.call('POST', '/api/v1/auth/forgot-password', { body: { email }, key: null, headers });
const reset = (token: string, password = OTHER) => api.post('reset-password', { token, password });
const login = ({ name }: Person, password: string) => api.post('login', { identifier: name, password });

async function asked(): Promise<{ person: Person; token: string }> {
  const person = await aPerson(api);
  expect((await forgot(person.email)).status).toBe(202);
  return { person, token: await linkToken(api, person.email) };
}

test('a link sets another password once, ends every session, and the owner is told', async () => {
  const person = await aPerson(api);
  const { deviceToken } = await signedIn(api, person);
  await forgot(person.email);
  const token = await linkToken(api, person.email);
  expect((await reset(token)).status).toBe(204);
  expect(await rows('select ended is not null as ended, end_reason from session where account = $1', [person.id])).toEqual([
    { ended: true, end_reason: 'password_reset' },
  ]);
  expect(await rows('select 1 from known_device where account = $1', [person.id])).toEqual([]);
  expect(deviceToken).toMatch(/^tiud_/);
  expect((await login(person, PASSWORD)).status).toBe(401);
  expect((await login(person, OTHER)).status).toBe(200);
  expect((await reset(token, PASSWORD)).body).toMatchObject({ status: 422, code: 'link_invalid' });
  expect(await lastMail(api, person.email)).toContain('was changed');
  const audit = await rows<{ action: string }>(`select action from audit where subject = $1 and action like 'password.%' order by at, id`, [
    `user:${person.id}`,
  ]);
  expect(audit.map(({ action }) => action)).toEqual(['password.reset_requested', 'password.reset']);
});

test('nobody sees whether an address is known', async () => {
  const person = await aPerson(api);
  await api.deps.mail.settled();
  const sent = api.mailServer.mails.length;
  const [known, unknown] = [await forgot(person.email), await forgot('stranger@people.example')];
  await api.deps.mail.settled();
  expect({ status: known.status, body: known.body }).toEqual({ status: unknown.status, body: unknown.body });
  expect(api.mailServer.mails.length).toBe(sent + 1);
});

test('the link leads where the settings say, whatever the request says of its host', async () => {
  const person = await aPerson(api);
  await forgot(person.email, { host: 'evil.example', 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' });
  const mail = await lastMail(api, person.email);
  expect(mail).toContain('https://tiu.example/reset-password#token=');
  expect(mail).not.toContain('evil');
});

test('a link is good for ten minutes', async () => {
  const { token } = await asked();
  clock.ahead = 600_000;
  expect((await reset(token)).body).toMatchObject({ code: 'link_invalid' });
  clock.ahead = 599_999;
  expect((await reset(token)).status).toBe(204);
});

test.each(['password', 'address', 'another reset'])('a link dies with a change: of the %s', async (what) => {
  const { person, token } = await asked();
  const change = { account: person.id, by: 'test', now: Date.now() };
  if (what === 'password') await setPassword(api.deps.db, { ...change, action: 'password.changed', password: { hash: 'x', short: false } });
  else if (what === 'address')
    await setEmail(api.deps.db, {
      ...change,
      email: { shown: `${person.name}@new.example`, key: `${person.name.toLowerCase()}@new.example` },
    });
  else {
    await forgot(person.email);
    await reset(await linkToken(api, person.email));
  }
  expect((await reset(token)).body).toMatchObject({ code: 'link_invalid' });
});

test('of many who use a link at once one wins', async () => {
  const { person, token } = await asked();
  const passwords = Array.from({ length: 6 }, (_, at) => `${OTHER} ${at} ${at}`);
  const answers = await Promise.all(passwords.map((password) => reset(token, password)));
  const winner = answers.findIndex(({ status }) => status === 204);
  expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
  expect((await login(person, passwords[winner] ?? '')).status).toBe(200);
});

test('a password that the rules refuse leaves the link good', async () => {
  const { person, token } = await asked();
  expect((await reset(token, 'short')).body).toMatchObject({
    code: 'invalid_request',
    issues: [{ pointer: '/password', code: 'too_short' }],
  });
  expect((await reset(token, `${person.name}123`)).body).toMatchObject({ issues: [{ pointer: '/password' }] });
  expect((await reset(token)).status).toBe(204);
});

test('a reset opens a name that failures had closed', async () => {
  const { person, token } = await asked();
  for (let failures = 0; failures < 2; failures += 1) expect((await login(person, 'wrong')).status).toBe(401);
  expect((await login(person, PASSWORD)).status).toBe(423);
  await reset(token);
  expect((await login(person, OTHER)).status).toBe(200);
});

test('a second factor is asked for after a reset as before, and a shorter password may stand beside it', async () => {
  const { person, token } = await asked();
  await rows(`insert into totp (account, key_id, sealed, created, confirmed) values ($1, 'k1', '', now(), now())`, [person.id]);
  expect((await reset(token, 'qvzj-8wm')).status).toBe(204);
  expect((await login(person, 'qvzj-8wm')).body).toMatchObject({ status: 'mfa_required', methods: ['totp', 'recovery'] });
  expect(await rows('select password_short from account where id = $1', [person.id])).toEqual([{ password_short: true }]);
});

test('neither an address that nobody has confirmed nor a disabled account is sent a link', async () => {
  const [unconfirmed, disabled] = [await aPerson(api), await aPerson(api)];
  await rows('update account set email_verified = null where id = $1', [unconfirmed.id]);
  await rows(`update account set status = 'disabled' where id = $1`, [disabled.id]);
  await api.deps.mail.settled();
  const sent = api.mailServer.mails.length;
  for (const { email } of [unconfirmed, disabled]) expect((await forgot(email)).status).toBe(202);
  await api.deps.mail.settled();
  expect(api.mailServer.mails.length).toBe(sent);
});
