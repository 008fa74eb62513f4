import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aPerson, lastMail, linkToken, OTHER, PASSWORD, someAccounts, type Accounts } from './aPerson.ts';

let api: Accounts;
let ahead = 0;
beforeAll(async () => {
  api = await someAccounts({ TIU_REGISTRATION: 'open', TIU_RATE_RESET: 'account=3/3600,network=100000/1' });
  api.deps.clock = () => Date.now() + ahead;
});
afterAll(() => api.stop());

const register = (name: string, email: string, more: object = {}) => api.post('register', { name, email, password: PASSWORD, ...more });
const verify = (token: string, password = PASSWORD, more: object = {}) => api.post('verify-email', { token, password, ...more });
const accounts = (key: string) =>
  api.deps.db.rows({
    name: '',
    text: 'select name, email, email_verified is not null as verified, full_name from account where email_key = $1',
    values: [key],
  });

test('a link and the password make the account, which then signs in', async () => {
  const email = 'Ada＠BÜCHER.example';
  const answer = await register('Ada_1', email, { fullName: 'Ada Lovelace' });
  expect(answer).toMatchObject({ status: 202, body: { status: 'mail_sent_if_possible' } });
  const key = 'ada@xn--bcher-kva.example';
  expect(await accounts(key)).toEqual([]);
  const token = await linkToken(api, key);
  expect(await verify(token)).toMatchObject({ status: 201, body: { name: 'Ada_1', email: 'Ada@xn--bcher-kva.example' } });
  expect(await accounts(key)).toEqual([{ name: 'Ada_1', email: 'Ada@xn--bcher-kva.example', verified: true, full_name: 'Ada Lovelace' }]);
  expect((await verify(token)).body).toMatchObject({ code: 'link_invalid' });
  expect((await api.post('login', { identifier: email, password: PASSWORD })).status).toBe(200);
});

test('a known address gets the same answer, and its owner a mail that says so; nothing is made', async () => {
  const person = await aPerson(api);
  const [unknown, known] = [await register('fresh_1', 'fresh@people.example'), await register('fresh_2', person.email.toUpperCase())];
  expect({ status: known.status, body: known.body }).toEqual({ status: unknown.status, body: unknown.body });
  expect(await lastMail(api, person.email)).toContain(`your account ${person.name}`);
  expect((await verify(await linkToken(api, person.email))).body).toMatchObject({ code: 'link_invalid' });
  // that link sets another password, as that of a reset does
  expect((await api.post('reset-password', { token: await linkToken(api, person.email), password: OTHER })).status).toBe(204);
});

test('a link that a stranger asked for makes no account with the password of the stranger', async () => {
  await register('mallory', 'victim@people.example');
  const token = await linkToken(api, 'victim@people.example');
  expect((await verify(token, OTHER)).body).toMatchObject({ code: 'invalid_credentials' });
  expect(await accounts('victim@people.example')).toEqual([]);
});

test('a name that is taken is noticed when the link is opened; another can be given then', async () => {
  const person = await aPerson(api);
  expect((await register(person.name.toLowerCase(), 'second@people.example')).status).toBe(202);
  const token = await linkToken(api, 'second@people.example');
  expect((await verify(token)).body).toMatchObject({ status: 409, code: 'name_taken' });
  expect(await verify(token, PASSWORD, { name: 'second_1' })).toMatchObject({ status: 201, body: { name: 'second_1' } });
});

test('of two links to one address the first that is opened makes the account', async () => {
  await register('twice_1', 'twice@people.example');
  const first = await linkToken(api, 'twice@people.example');
  await register('twice_2', 'twice@people.example');
  const second = await linkToken(api, 'twice@people.example');
  expect((await verify(second)).status).toBe(201);
  expect((await verify(first)).body).toMatchObject({ code: 'link_invalid' });
});

test('a link that is opened many times at once makes one account', async () => {
  await register('race_1', 'race@people.example');
  const token = await linkToken(api, 'race@people.example');
  const answers = await Promise.all(Array.from({ length: 5 }, () => verify(token)));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 422, 422, 422, 422]);
});

test('a link is good for its time', async () => {
  await register('late_1', 'late@people.example');
  const token = await linkToken(api, 'late@people.example');
  ahead = 86_400_001;
  expect((await verify(token)).body).toMatchObject({ code: 'link_invalid' });
  ahead = 0;
  expect((await verify(token)).status).toBe(201);
});

test('one address is sent so many mails, known or not', async () => {
  const person = await aPerson(api);
  for (const [name, email] of [
    ['often_1', 'often@people.example'],
    ['often_2', person.email],
  ] as const) {
    for (let mails = 0; mails < 3; mails += 1) expect((await register(name, email)).status).toBe(202);
    expect((await register(name, email.toUpperCase())).body).toMatchObject({ status: 429, code: 'rate_limited' });
    expect((await api.post('forgot-password', { email })).body).toMatchObject({ code: 'rate_limited' });
  }
});

test.each([
  ['name', { name: 'a b' }, '/name'],
  ['address', { email: 'nobody' }, '/email'],
  ['address with a line break', { email: 'a@people.example\r\nBcc: eve@people.example' }, '/email'],
  ['short password', { password: 'fourteen-chars' }, '/password'],
  ['common password', { password: 'passwordpassword' }, '/password'],
  ['password made of the name', { name: 'longish_name', password: 'longish_name123' }, '/password'],
])('refused, with a pointer: %s', async (_, wrong: object, pointer) => {
  const answer = await register('somebody_1', 'somebody@people.example', wrong);
  expect(answer.body).toMatchObject({ status: 422, code: 'invalid_request', issues: [{ pointer }] });
});

test('a mail carries nothing that the request smuggles in', async () => {
  await register('Header_1', 'header@people.example', { fullName: 'Eve\r\nBcc: eve@people.example' });
  const raw = api.mailServer.mails.findLast(({ to }) => to.includes('header@people.example'));
  await api.deps.mail.settled();
  expect(raw?.to ?? ['header@people.example']).toEqual(['header@people.example']);
  expect(await lastMail(api, 'header@people.example')).not.toContain('Bcc');
});

test('where registration is not open nobody registers, and without mail nobody is looked up', async () => {
  const closed = { ...api.deps.config, TIU_REGISTRATION: 'invitation' as const };
  const open = api.deps.config;
  api.deps.config = closed;
  expect((await register('closed_1', 'closed@people.example')).body).toMatchObject({ status: 403, code: 'registration_closed' });
  api.deps.config = open;
});
