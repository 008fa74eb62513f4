import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { TOKEN_KEYS } from './auth/aPerson.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS });
});
afterAll(() => api.stop());

const path = (person: Person) => `/api/v1/members/${person.account}`;
const change = (by: Person | undefined, whom: Person, body: object) => api.call('PATCH', path(whom), { ...(by && { key: by.key }), body });
const audits = (subject: string) =>
  api.deps.db.rows<{ action: string; actor: string; before: object; after: object }>({
    name: 'audits_of',
    text: 'select action, actor, before, after from audit where subject = $1 order by at, id',
    values: [subject],
  });

test('members are listed page by page, found by role, and only in their workspace', async () => {
  const viewer = await aPerson(api, { role: 'viewer' });
  const admin = await aPerson(api, { role: 'admin' });
  await aPerson(api, { role: 'viewer', workspace: api.stranger.workspace });
  const first = (await api.call('GET', '/api/v1/members?limit=1', { key: viewer.key })).body as { items: object[]; nextCursor: string };
  expect(first.items).toMatchObject([{ account: viewer.account, role: 'viewer', email: `${viewer.name}@example.test`, expiresAt: null }]);
  const second = (await api.call('GET', `/api/v1/members?cursor=${first.nextCursor}`, { key: viewer.key })).body;
  expect(second).toMatchObject({ items: [{ account: admin.account, role: 'admin', email: null }], nextCursor: null });
  expect((await api.call('GET', '/api/v1/members?role=admin')).body).toMatchObject({
    items: [{ account: admin.account, email: `${admin.name}@example.test` }],
  });
  expect(await api.call('GET', path(viewer), { key: api.stranger.key })).toMatchObject({ status: 404 });
  expect(await api.call('GET', '/api/v1/members/me', { key: viewer.key })).toMatchObject({ body: { account: viewer.account } });
  expect(await api.call('GET', '/api/v1/members/me')).toMatchObject({ status: 404 });
});

test('the mail address of another member is shown to admins and owners alone', async () => {
  const other = await aPerson(api, { role: 'viewer' });
  const seen: Record<string, unknown> = {};
  for (const role of ['viewer', 'developer', 'project_manager', 'community_moderator', 'admin', 'owner']) {
    const { key } = await aPerson(api, { role });
    seen[role] = ((await api.call('GET', path(other), { key })).body as { email: string | null }).email !== null;
  }
  expect(seen).toEqual({ viewer: false, developer: false, project_manager: false, community_moderator: false, admin: true, owner: true });
});

test('a role is changed by who may, holds at once, and is written down with what was before', async () => {
  const admin = await aPerson(api, { role: 'admin' });
  const person = await aPerson(api, { role: 'viewer' });
  expect(await change(person, person, { role: 'admin' })).toMatchObject({ status: 403 });
  const expiresAt = '2100-01-01T00:00:00.000Z';
  expect(await change(admin, person, { role: 'project_manager', expiresAt })).toMatchObject({
    status: 200,
    body: { role: 'project_manager', grantedBy: admin.principal, expiresAt },
  });
  expect(await change(admin, person, { role: 'developer' })).toMatchObject({ body: { role: 'developer', expiresAt } });
  expect(await change(admin, person, { expiresAt: null })).toMatchObject({ body: { role: 'developer', expiresAt: null } });
  expect(await audits(`user:${person.account}`)).toMatchObject([
    { action: 'role.changed', actor: admin.principal, before: { role: 'viewer' }, after: { role: 'project_manager' } },
    { before: { role: 'project_manager' }, after: { role: 'developer' } },
    {},
  ]);
  expect(await change(admin, person, { role: 'nobody' })).toMatchObject({
    status: 422,
    body: { code: 'unknown_role', issues: [{ pointer: '/role' }] },
  });
  expect(await change(admin, person, { expiresAt: '2000-01-01T00:00:00Z' })).toMatchObject({
    status: 422,
    body: { issues: [{ pointer: '/expiresAt' }] },
  });
  expect(await change(admin, person, {})).toMatchObject({ status: 422 });
});

test('nobody gives more than they have, nor touches who has more', async () => {
  const admin = await aPerson(api, { role: 'admin' });
  const owner = await aPerson(api, { role: 'owner' });
  await aPerson(api, { role: 'owner' });
  const person = await aPerson(api, { role: 'viewer' });
  expect(await change(admin, person, { role: 'owner' })).toMatchObject({
    status: 403,
    body: { detail: 'The role has rights that you have not' },
  });
  expect(await change(admin, owner, { role: 'viewer' })).toMatchObject({
    status: 403,
    body: { detail: 'The member has rights that you have not' },
  });
  expect(await api.call('DELETE', path(owner), { key: admin.key })).toMatchObject({ status: 403 });
  expect(await change(owner, person, { role: 'owner' })).toMatchObject({ status: 200 });
  const { key } = (await api.call('POST', '/api/v1/api-keys', { body: { name: 'm', scopes: ['members:manage', 'members:read'] } }))
    .body as { key: string };
  expect(await api.call('PATCH', path(person), { key, body: { role: 'viewer' } })).toMatchObject({ status: 403 });
});

test('anybody may leave, nobody else is taken out without the right', async () => {
  const [one, two] = [await aPerson(api, { role: 'viewer' }), await aPerson(api, { role: 'developer' })];
  expect(await api.call('DELETE', path(two), { key: one.key })).toMatchObject({ status: 403 });
  expect(await api.call('DELETE', '/api/v1/members/me', { key: one.key })).toMatchObject({ status: 204 });
  expect(await api.call('GET', '/api/v1/members', { key: one.key })).toMatchObject({ status: 403 });
  expect(await api.call('DELETE', path(two))).toMatchObject({ status: 204 });
  expect(await api.call('DELETE', path(two))).toMatchObject({ status: 404 });
  expect(await audits(`user:${one.account}`)).toMatchObject([{ action: 'member.removed', actor: one.principal }]);
});

test('a grant that has ended is none', async () => {
  const person = await aPerson(api, { role: 'admin', expires: new Date(Date.now() - 1_000) });
  expect(await api.call('GET', path(person))).toMatchObject({ status: 404 });
});

test('the last owner neither leaves nor is lowered nor gets an end', async () => {
  const { workspace } = api.stranger;
  const owner = await aPerson(api, { role: 'owner', workspace });
  const as = { key: owner.key };
  const refused = { status: 409, body: { code: 'last_owner' } };
  expect(await api.call('PATCH', path(owner), { ...as, body: { role: 'admin' } })).toMatchObject(refused);
  expect(await api.call('PATCH', path(owner), { ...as, body: { expiresAt: '2100-01-01T00:00:00Z' } })).toMatchObject(refused);
  expect(await api.call('DELETE', '/api/v1/members/me', as)).toMatchObject(refused);
  const ending = await aPerson(api, { role: 'owner', workspace, expires: new Date(Date.now() + 60_000) });
  expect(await api.call('DELETE', '/api/v1/members/me', as)).toMatchObject(refused);
  expect(await api.call('DELETE', path(ending), as)).toMatchObject({ status: 204 });
  await aPerson(api, { role: 'owner', workspace });
  expect(await api.call('DELETE', '/api/v1/members/me', as)).toMatchObject({ status: 204 });
});

test('of owners who leave at once one stays, whatever the order', async () => {
  for (let round = 0; round < 50; round++) {
    const workspace = await aWorkspace();
    const owners = await Promise.all([1, 2, 3].map(() => aPerson(api, { role: 'owner', workspace })));
    const answers = await Promise.all(
      owners.map((owner, i) =>
        i === 2
          ? api.call('PATCH', path(owner), { key: owner.key, body: { role: 'viewer' } })
          : api.call('DELETE', '/api/v1/members/me', { key: owner.key }),
      ),
    );
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(1);
  }
});

async function aWorkspace(): Promise<string> {
  const [row] = await api.deps.db.rows<{ id: string }>({
    name: 'a_workspace',
    text: `insert into workspace (id, name, created) values (gen_random_uuid(), gen_random_uuid()::text, now()) returning id`,
    values: [],
  });
  return row?.id ?? '';
}
