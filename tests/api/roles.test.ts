import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ALL_ACTIONS } from '../../src/domain/access/actions.ts';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { TOKEN_KEYS } from './auth/aPerson.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_MAX_ROLES: '2' });
});
afterAll(() => api.stop());

const put = (name: string, actions: string[], by?: Person) =>
  api.call('PUT', `/api/v1/roles/${name}`, { ...(by && { key: by.key }), body: { actions } });
const remove = (name: string, by?: Person) => api.call('DELETE', `/api/v1/roles/${name}`, by && { key: by.key });
const grant = (person: Person, role: string) => api.call('PATCH', `/api/v1/members/${person.account}`, { body: { role } });

test('a role of the workspace is a set of actions that who has it may do, and nothing else', async () => {
  expect(await put('operator', ['run.read', 'run.cancel', 'run.read'])).toMatchObject({
    status: 201,
    body: { builtIn: false, actions: ['run.cancel', 'run.read'], ownActions: ['member.remove'] },
  });
  const person = await aPerson(api, { role: 'operator' });
  const get = (path: string) => api.call('GET', path, { key: person.key });
  expect(await get('/api/v1/runs')).toMatchObject({ status: 200 });
  expect(await get('/api/v1/members')).toMatchObject({ status: 403 });
  expect(await put('operator', ['member.read'])).toMatchObject({ status: 200, body: { actions: ['member.read'] } });
  expect(await get('/api/v1/runs')).toMatchObject({ status: 403 });
  expect(await get('/api/v1/members')).toMatchObject({ status: 200 });
  expect(await api.call('DELETE', '/api/v1/members/me', { key: person.key })).toMatchObject({ status: 204 });
  expect(await put('operator', ['run.read'])).toMatchObject({ status: 200 });
});

test('nobody makes, changes or deletes a role that may more than they', async () => {
  const admin = await aPerson(api, { role: 'admin' });
  expect(await put('second', ['workspace.transfer'], admin)).toMatchObject({ status: 403 });
  expect(await put('second', ['workspace.transfer'])).toMatchObject({ status: 201 });
  expect(await put('second', ['run.read'], admin)).toMatchObject({ status: 403 });
  expect(await remove('second', admin)).toMatchObject({ status: 403 });
  expect(await put('operator', ['run.read'], await aPerson(api))).toMatchObject({ status: 403 });
  expect(await put('third', ['run.read'])).toMatchObject({ status: 409, body: { code: 'quota_exceeded' } });
  expect(await put('operator', ['run.fly'])).toMatchObject({ status: 422 });
});

test('a role that somebody has, or is invited to, stays; then it goes', async () => {
  const person = await aPerson(api);
  expect(await grant(person, 'second')).toMatchObject({ status: 200, body: { role: 'second' } });
  expect(await remove('second')).toMatchObject({ status: 409, body: { code: 'role_held' } });
  await grant(person, 'viewer');
  const invited = await api.call('POST', '/api/v1/invitations', { body: { role: 'second' } });
  expect(await remove('second')).toMatchObject({ status: 409, body: { code: 'role_held' } });
  await api.call('DELETE', `/api/v1/invitations/${(invited.body as { id: string }).id}`);
  expect(await remove('second')).toMatchObject({ status: 204 });
  expect(await remove('second')).toMatchObject({ status: 404 });
  expect(await grant(person, 'second')).toMatchObject({ status: 422, body: { code: 'unknown_role' } });
});

test('of a grant and a deletion at once one gives way, 50 times', async () => {
  const person = await aPerson(api, { role: 'viewer' });
  for (let round = 0; round < 50; round++) {
    await put('racing', ['run.read']);
    const [granted, removed] = await Promise.all([grant(person, 'racing'), remove('racing')]);
    const { role } = (await api.call('GET', `/api/v1/members/${person.account}`)).body as { role: string };
    expect([granted.status, removed.status, role]).toEqual(removed.status === 204 ? [422, 204, 'viewer'] : [200, 409, 'racing']);
    await grant(person, 'viewer');
    await remove('racing');
  }
});

test('the roles that every workspace has stay as they are', async () => {
  for (const name of ['viewer', 'owner']) {
    expect(await put(name, ['run.read'])).toMatchObject({ status: 409 });
    expect(await remove(name)).toMatchObject({ status: 409 });
    expect(await api.call('GET', `/api/v1/roles/${name}`)).toMatchObject({ status: 200, body: { builtIn: true } });
  }
  const page = (await api.call('GET', '/api/v1/roles')).body as { items: { name: string }[] };
  expect(page.items.map(({ name }) => name)).toEqual([
    'viewer',
    'developer',
    'project_manager',
    'community_moderator',
    'admin',
    'owner',
    'operator',
  ]);
  expect(await api.call('GET', '/api/v1/roles/operator', { key: api.stranger.key })).toMatchObject({ status: 404 });
});

test('the matrix says of every action who may do it, and of who asks', async () => {
  const viewer = await aPerson(api, { role: 'viewer' });
  const { actions } = (await api.call('GET', '/api/v1/permissions', { key: viewer.key })).body as { actions: { action: string }[] };
  expect(actions.map(({ action }) => action)).toEqual(ALL_ACTIONS);
  expect(actions).toContainEqual(
    expect.objectContaining({
      action: 'member.remove',
      scope: 'members:manage',
      mine: 'own',
      roles: expect.objectContaining({ viewer: 'own', admin: 'yes' }) as unknown,
    }),
  );
  expect(actions).toContainEqual(
    expect.objectContaining({
      action: 'run.start',
      mine: 'no',
      roles: expect.objectContaining({ viewer: 'no', developer: 'yes' }) as unknown,
    }),
  );
});
