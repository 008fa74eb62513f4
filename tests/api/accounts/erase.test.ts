import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { grant, sql } from '../auth/aPerson.ts';
import { aPerson, lastMail, PASSWORD, signedIn, someAccounts, type Accounts, type Person } from './aPerson.ts';

let api: Accounts;
let ahead = 0;
beforeAll(async () => {
  api = await someAccounts();
  api.deps.clock = () => Date.now() + ahead;
});
afterAll(() => api.stop());

type Somebody = Person & { key: string };
async function somebody(roles: Record<string, string> = {}): Promise<Somebody> {
  const person = await aPerson(api);
  for (const [workspace, role] of Object.entries(roles)) await grant(api.deps.engine, { account: person.id, workspace, role });
  return { ...person, key: (await signedIn(api, person)).accessToken };
}
async function aWorkspace(): Promise<string> {
  const [row] = await sql<{ id: string }>(
    api.deps.engine,
    `insert into workspace (id, name, created) select i, i::text, now() from gen_random_uuid() i returning id`,
  );
  return row?.id ?? '';
}
const eraseMe = (person: Somebody, name = person.name) => api.call('POST', '/api/v1/users/me/erase', { key: person.key, body: { name } });
const erase = (person: Person, by: Somebody, name = person.name) =>
  api.call('POST', `/api/v1/users/${person.id}/erase`, { key: by.key, body: { name } });
const statusOf = async ({ id }: Person) =>
  (await sql<{ status: string }>(api.deps.engine, 'select status from account where id = $1', [id]))[0]?.status;
const runsOf = (request: string) =>
  sql<{ definition: string }>(api.deps.engine, `select definition from run where input->>'request' = $1`, [request]);

test('who has themselves erased is out in that moment, whatever the run does later', async () => {
  const person = await somebody({ [api.owner.workspace]: 'developer' });
  const made = await api.call('POST', '/api/v1/api-keys', { key: person.key, body: { name: 'mine', scopes: ['runs:read'] } });
  const { key } = made.body as { key: string };
  expect(await api.call('GET', '/api/v1/runs', { key })).toMatchObject({ status: 200 });
  expect(await eraseMe(person, 'somebody_else')).toMatchObject({ status: 422, body: { issues: [{ pointer: '/name' }] } });
  const accepted = await eraseMe(person, person.name.toUpperCase());
  expect(accepted).toMatchObject({ status: 202, body: { status: 'accepted' } });
  for (const token of [person.key, key]) expect(await api.call('GET', '/api/v1/runs', { key: token })).toMatchObject({ status: 401 });
  expect(await api.post('login', { identifier: person.name, password: PASSWORD })).toMatchObject({ status: 401 });
  expect(await lastMail(api, person.email)).toContain('has ended');
  expect(await runsOf((accepted.body as { id: string }).id)).toEqual([{ definition: 'tiu-person-erase' }]);
  const [audit] = await sql(
    api.deps.engine,
    `select actor, subject, data from audit where action = 'account.erase_requested' and actor = $1`,
    [`user:${person.id}`],
  );
  expect(audit).toEqual({ actor: `user:${person.id}`, subject: `user:${person.id}`, data: null });
});

test('the last owner of a workspace that others are in is refused, until somebody else owns it', async () => {
  const [shared, lone] = [await aWorkspace(), await aWorkspace()];
  const person = await somebody({ [shared]: 'owner', [lone]: 'owner' });
  const other = await somebody({ [shared]: 'viewer' });
  expect(await eraseMe(person)).toMatchObject({ status: 409, body: { code: 'last_owner' } });
  expect((await eraseMe(person)).text).toContain(shared);
  expect((await eraseMe(person)).text).not.toContain(lone);
  expect(await statusOf(person)).toBe('active');
  await grant(api.deps.engine, { account: other.id, workspace: shared, role: 'owner' });
  // of two owners who go at once one stays
  const answers = await Promise.all([eraseMe(person), eraseMe(other)]);
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
});

test('it wants a proof of who one is from the last minutes', async () => {
  const person = await somebody();
  ahead = 901_000;
  const answers = [await eraseMe(person)];
  const operator = await somebody({ [SYSTEM_WORKSPACE]: 'admin' });
  ahead += 901_000;
  answers.push(await erase(person, operator));
  ahead = 0;
  for (const answer of answers) expect(answer).toMatchObject({ status: 403, body: { code: 'reauthentication_required' } });
  expect(await statusOf(person)).toBe('active');
});

test('operators have others erased, never themselves, and of two who do it to each other one stays', async () => {
  await somebody({ [SYSTEM_WORKSPACE]: 'owner' });
  const [one, two] = [await somebody({ [SYSTEM_WORKSPACE]: 'admin' }), await somebody({ [SYSTEM_WORKSPACE]: 'admin' })];
  const person = await somebody();
  expect(await erase(person, one, 'not_the_name')).toMatchObject({ status: 422 });
  expect(await erase(one, one)).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  expect(await erase(person, await somebody({ [api.owner.workspace]: 'owner' }))).toMatchObject({ status: 404 });
  expect(await erase(person, await somebody({ [SYSTEM_WORKSPACE]: 'viewer' }))).toMatchObject({ status: 403 });
  expect(await erase(person, one)).toMatchObject({ status: 202 });
  expect(await statusOf(person)).toBe('erased');
  expect(await erase(person, one)).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  const answers = await Promise.all([erase(one, two), erase(two, one)]);
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 401]);
});

test('the last owner of the installation stays', async () => {
  await sql(api.deps.engine, `delete from membership where workspace = $1 and role <> 'owner'`, [SYSTEM_WORKSPACE]);
  const [only] = await sql<{ account: string }>(api.deps.engine, 'select account from membership where workspace = $1', [SYSTEM_WORKSPACE]);
  const [row] = await sql<Person>(api.deps.engine, 'select id, name, email from account where id = $1', [only?.account]);
  const person = { ...(row as Person), password: PASSWORD };
  const answer = await eraseMe({ ...person, key: (await signedIn(api, person)).accessToken });
  expect(answer).toMatchObject({ status: 409, body: { code: 'last_owner' } });
});
