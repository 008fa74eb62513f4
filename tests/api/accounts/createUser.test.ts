import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { grant, sql } from '../auth/aPerson.ts';
import { aPerson, lastMail, linkToken, PASSWORD, signedIn, someAccounts, type Accounts } from './aPerson.ts';

let api: Accounts;
let key: string;
beforeAll(async () => {
  api = await someAccounts();
  const operator = await aPerson(api);
  await grant(api.deps.engine, { account: operator.id, workspace: SYSTEM_WORKSPACE, role: 'admin' });
  key = (await signedIn(api, operator)).accessToken;
});
afterAll(() => api.stop());

const create = (body: object, by = key) =>
  api.call('POST', '/api/v1/users', { key: by, body, headers: { 'idempotency-key': randomUUID() } });
const change = (id: string, body: object, by = key) => api.call('PATCH', `/api/v1/users/${id}`, { key: by, body });

test('who an account was made for sets its password with the link, which proves the address; nobody else knows one', async () => {
  const made = await create({ name: 'New_one', email: 'New@people.example', fullName: 'New One' });
  expect(made).toMatchObject({
    status: 201,
    body: { name: 'New_one', fullName: 'New One', emailVerified: false, status: 'active', workspaces: 0 },
  });
  expect(made.text).not.toMatch(/tiuo_|password/);
  expect(await lastMail(api, 'New@people.example')).toContain('account was made for you');
  const token = await linkToken(api, 'New@people.example');
  expect(await api.post('login', { identifier: 'new_one', password: PASSWORD })).toMatchObject({ status: 401 });
  expect(await api.post('reset-password', { token, password: PASSWORD })).toMatchObject({ status: 204 });
  expect(await api.post('login', { identifier: 'new@people.example', password: PASSWORD })).toMatchObject({ status: 200 });
  const { id } = made.body as { id: string };
  expect((await api.call('GET', `/api/v1/users/${id}`, { key })).body).toMatchObject({ emailVerified: true });
  expect(await api.post('reset-password', { token, password: 'velvet thunder canoe wick' })).toMatchObject({
    body: { code: 'link_invalid' },
  });
});

test('a reset that somebody has asked for themselves proves no address that was not', async () => {
  const person = await aPerson(api);
  await api.post('forgot-password', { email: person.email });
  const token = await linkToken(api, person.email);
  await sql(api.deps.engine, 'update account set email_verified = null where id = $1', [person.id]);
  await api.post('reset-password', { token, password: 'velvet thunder canoe wick' });
  expect((await api.call('GET', `/api/v1/users/${person.id}`, { key })).body).toMatchObject({ emailVerified: false });
});

test('names and addresses are looked at, and nobody but operators makes accounts or changes others', async () => {
  const person = await aPerson(api);
  expect(await create({ name: 'a b', email: 'x@y.example' })).toMatchObject({ status: 422, body: { issues: [{ pointer: '/name' }] } });
  expect(await create({ name: 'fine_name', email: 'nowhere' })).toMatchObject({ status: 422, body: { issues: [{ pointer: '/email' }] } });
  expect(await create({ name: person.name, email: 'x@y.example' })).toMatchObject({ status: 409, body: { code: 'name_taken' } });
  expect(await create({ name: 'fine_name', email: person.email })).toMatchObject({ status: 409, body: { code: 'email_taken' } });
  expect(await create({ name: 'fine_name', email: 'x@y.example', password: PASSWORD })).toMatchObject({ status: 422 });
  await grant(api.deps.engine, { account: person.id, workspace: api.owner.workspace, role: 'owner' });
  const { accessToken } = await signedIn(api, person);
  expect(await create({ name: 'fine_name', email: 'x@y.example' }, accessToken)).toMatchObject({ status: 404 });
  expect(await change(person.id, { bio: 'b' }, accessToken)).toMatchObject({ status: 404 });
});

test('operators change full name and bio, in the audit without what was in them', async () => {
  const person = await aPerson(api);
  expect(await change(person.id, { fullName: 'Canary', bio: 'canary' })).toMatchObject({ status: 200, body: { fullName: 'Canary' } });
  expect(await change(person.id, { fullName: null })).toMatchObject({ status: 200, body: { fullName: null } });
  for (const body of [{}, { email: 'x@y.example' }, { name: 'other' }, { fullName: 'x'.repeat(101) }])
    expect(await change(person.id, body)).toMatchObject({ status: 422 });
  const rows = await sql<{ data: object; text: string }>(
    api.deps.engine,
    `select data, row_to_json(audit)::text as text from audit where subject = $1 and action = 'profile.changed' order by id`,
    [`user:${person.id}`],
  );
  expect(rows.map(({ data }) => data)).toEqual([{ names: ['fullName', 'bio'] }, { names: ['fullName'] }]);
  expect(rows.map(({ text }) => text).join('')).not.toMatch(/canary/i);
});

test('an operator who has just proved who they are has somebody confirm another address; until then the one before holds, which is told', async () => {
  const person = await aPerson(api);
  const moved = `${person.name}@elsewhere.example`;
  const move = (email: string, by = key) => api.call('POST', `/api/v1/users/${person.id}/email`, { key: by, body: { email } });
  expect(await move(moved)).toMatchObject({ status: 202, body: { status: 'mail_sent' } });
  const addressOf = async () => ((await api.call('GET', `/api/v1/users/${person.id}`, { key })).body as { email: string }).email;
  expect(await addressOf()).toBe(person.email);
  expect(await lastMail(api, person.email)).toContain('about to change');
  const token = await linkToken(api, moved);
  expect(await api.post('change-email/confirm', { token })).toMatchObject({ status: 204 });
  expect((await addressOf()).toLowerCase()).toBe(moved.toLowerCase());
  const audit = await sql<{ action: string; actor: string }>(
    api.deps.engine,
    `select action, actor from audit where subject = $1 and action like 'email.%' order by at, id`,
    [`user:${person.id}`],
  );
  expect(audit.map(({ action }) => action)).toEqual(['email.change_requested', 'email.changed']);
  await grant(api.deps.engine, { account: person.id, workspace: api.owner.workspace, role: 'owner' });
  const [other, { accessToken }] = [await aPerson(api), await signedIn(api, person)];
  expect(await move(other.email)).toMatchObject({ status: 409, body: { code: 'email_taken' } });
  expect(await move('nowhere')).toMatchObject({ status: 422, body: { issues: [{ pointer: '/email' }] } });
  expect(await move(moved, accessToken)).toMatchObject({ status: 404 });
  const { config } = api.deps;
  api.deps.config = { ...config, TIU_FRESH: 0 };
  expect(await move(moved)).toMatchObject({ status: 403, body: { code: 'reauthentication_required' } });
  api.deps.config = config;
});
