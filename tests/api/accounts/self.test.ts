import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aStoppedClock } from '../../support/aStoppedClock.ts';
import { aPerson, lastMail, linkToken, OTHER, PASSWORD, signedIn, someAccounts, type Accounts, type Person } from './aPerson.ts';

let api: Accounts;
const clock = aStoppedClock();
beforeAll(async () => {
  api = await someAccounts({ TIU_LOGIN_TRIES: '3', TIU_FRESH: '60000' });
  api.deps.clock = clock.now;
});
afterAll(() => api.stop());

const login = ({ name }: Person, password: string) => api.post('login', { identifier: name, password });
const openSessions = (person: Person) =>
  api.deps.db.rows<{ id: string }>({ name: '', text: 'select id from session where account = $1 and ended is null', values: [person.id] });

test('a password is changed by who knows the current one; other sessions end and the owner is told', async () => {
  const person = await aPerson(api);
  const [mine, other] = [await signedIn(api, person), await signedIn(api, person)];
  const change = (currentPassword: string, newPassword: string, more: object = {}) =>
    api.post('change-password', { currentPassword, newPassword, ...more }, mine.accessToken);
  expect((await change('wrong', OTHER)).body).toMatchObject({ status: 401, code: 'invalid_credentials' });
  expect((await change(PASSWORD, PASSWORD)).body).toMatchObject({ issues: [{ pointer: '/newPassword', code: 'unchanged' }] });
  expect((await change(PASSWORD, 'short')).body).toMatchObject({ issues: [{ pointer: '/newPassword', code: 'too_short' }] });
  expect((await change(PASSWORD, OTHER)).status).toBe(204);
  expect((await openSessions(person)).map(({ id }) => id)).toEqual([mine.sessionId]);
  expect(other.sessionId).not.toBe(mine.sessionId);
  expect((await login(person, PASSWORD)).status).toBe(401);
  expect((await login(person, OTHER)).status).toBe(200);
  expect(await lastMail(api, person.email)).toContain('was changed');
});

test('other sessions stay when that is asked for', async () => {
  const person = await aPerson(api);
  const [mine] = [await signedIn(api, person), await signedIn(api, person)];
  const body = { currentPassword: PASSWORD, newPassword: OTHER, revokeOtherSessions: false };
  expect((await api.post('change-password', body, mine.accessToken)).status).toBe(204);
  expect(await openSessions(person)).toHaveLength(2);
});

test('a session does not let its thief try current passwords for ever', async () => {
  const person = await aPerson(api);
  const { accessToken } = await signedIn(api, person);
  const change = () => api.post('change-password', { currentPassword: 'wrong', newPassword: OTHER }, accessToken);
  for (let failures = 0; failures < 3; failures += 1) expect((await change()).status).toBe(401);
  expect((await change()).body).toMatchObject({ code: 'too_many_tries' });
  // and what it tries does not hold up the owner
  expect((await login(person, PASSWORD)).status).toBe(200);
});

test('another address is confirmed at the new one, told to the old one, and asked of who has just proved who they are', async () => {
  const person = await aPerson(api);
  const session = await signedIn(api, person);
  const next = `${person.name}@new.example`;
  clock.ahead = 61_000;
  expect((await api.post('change-email', { email: next }, session.accessToken)).body).toMatchObject({ code: 'reauthentication_required' });
  const proved = await api.post('reauthenticate', { password: PASSWORD }, session.accessToken);
  expect(proved).toMatchObject({ status: 200, body: { status: 'signed_in', sessionId: expect.any(String) } });
  const { accessToken } = proved.body as { accessToken: string };
  expect((await api.post('change-email', { email: next }, session.accessToken)).status).toBe(401);
  expect((await api.post('change-email', { email: next.toUpperCase() }, accessToken)).status).toBe(202);
  expect(await lastMail(api, person.email)).toContain('is to have another mail address');
  expect((await api.post('login', { identifier: next, password: PASSWORD })).status).toBe(401);
  const token = await linkToken(api, next);
  expect((await api.post('change-email/confirm', { token })).status).toBe(204);
  expect((await api.post('change-email/confirm', { token })).body).toMatchObject({ code: 'link_invalid' });
  expect((await api.post('login', { identifier: next, password: PASSWORD })).status).toBe(200);
  expect((await api.post('login', { identifier: person.email, password: PASSWORD })).status).toBe(401);
  expect(await lastMail(api, person.email)).toContain('has another mail address now');
});

test('whether somebody has the address shows in nothing, and its owner is told', async () => {
  const [person, other] = [await aPerson(api), await aPerson(api)];
  const { accessToken } = await signedIn(api, person);
  const [free, taken] = [
    await api.post('change-email', { email: 'free@new.example' }, accessToken),
    await api.post('change-email', { email: other.email }, accessToken),
  ];
  expect({ status: taken.status, body: taken.body }).toEqual({ status: free.status, body: free.body });
  expect(await lastMail(api, other.email)).toContain('stays with yours');
});

test('an address that somebody took meanwhile is not given twice', async () => {
  const [first, second] = [await aPerson(api), await aPerson(api)];
  const tokens = [];
  for (const person of [first, second]) {
    const { accessToken } = await signedIn(api, person);
    await api.post('change-email', { email: 'shared@new.example' }, accessToken);
    tokens.push(await linkToken(api, 'shared@new.example'));
  }
  const answers = await Promise.all(tokens.map((token) => api.post('change-email/confirm', { token })));
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 422]);
});

test('an address is not given to a second one while the first is just getting it', async () => {
  const [first, second] = [await aPerson(api), await aPerson(api)];
  const email = 'same-moment@new.example';
  await api.post('change-email', { email }, (await signedIn(api, first)).accessToken);
  const token = await linkToken(api, email);
  const client = await api.deps.db.pool.connect();
  try {
    await client.query('begin');
    await client.query('update account set email = $2, email_key = $2 where id = $1', [second.id, email]);
    const answer = api.post('change-email/confirm', { token });
    const waiting = 'select from pg_locks where not granted and transactionid = pg_current_xact_id()::xid';
    while ((await client.query(waiting)).rowCount === 0);
    await client.query('commit');
    expect((await answer).body).toMatchObject({ status: 422, code: 'link_invalid' });
  } finally {
    client.release();
  }
});

test.each(['password', 'address'])('a link to another address dies with a change of the %s', async (what) => {
  const person = await aPerson(api);
  const { accessToken } = await signedIn(api, person);
  const ask = async (email: string) => {
    await api.post('change-email', { email }, accessToken);
    return linkToken(api, email);
  };
  const token = await ask(`a${person.name}@new.example`);
  if (what === 'password') await api.post('change-password', { currentPassword: PASSWORD, newPassword: OTHER }, accessToken);
  else await api.post('change-email/confirm', { token: await ask(`b${person.name}@new.example`) });
  expect((await api.post('change-email/confirm', { token })).body).toMatchObject({ code: 'link_invalid' });
});

test('none of this is for keys', async () => {
  for (const [path, body] of [
    ['change-password', { newPassword: OTHER }],
    ['change-email', { email: 'key@people.example' }],
    ['reauthenticate', { password: PASSWORD }],
    ['second-factors/totp', undefined],
  ] as const)
    expect((await api.call('POST', `/api/v1/auth/${path}`, { body })).body).toMatchObject({ code: 'forbidden' });
});
