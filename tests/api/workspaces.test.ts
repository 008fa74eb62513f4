import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { TOKEN_KEYS } from './auth/aPerson.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_MAX_WORKSPACES: '2' });
});
afterAll(() => api.stop());

const post = (path: string, by: Person, body?: object) =>
  api.call('POST', path, { key: by.key, headers: { 'idempotency-key': randomUUID() }, ...(body && { body }) });

test('operators make workspaces and own them; others may when the operator says so', async () => {
  const operator = await aPerson(api, { role: 'admin', workspace: SYSTEM_WORKSPACE });
  const other = await aPerson(api, { role: 'owner' });
  expect(await post('/api/v1/workspaces', other, { name: 'mine' })).toMatchObject({ status: 403 });
  const made = await post('/api/v1/workspaces', operator, { name: 'made' });
  expect(made).toMatchObject({ status: 201, body: { name: 'made', createdBy: operator.principal, role: 'owner' } });
  expect(await post('/api/v1/workspaces', operator, { name: 'made' })).toMatchObject({ status: 409, body: { code: 'workspace_exists' } });
  for (const name of ['Made', 'tiu.system', ''])
    expect(await post('/api/v1/workspaces', operator, { name })).toMatchObject({ status: 422 });
  expect((await api.call('GET', '/api/v1/workspaces', { key: operator.key })).body).toMatchObject({
    items: [
      { name: 'made', role: 'owner' },
      { name: 'tiu.system', role: 'admin' },
    ],
  });
  expect(await api.call('GET', '/api/v1/workspaces')).toMatchObject({ status: 403 });
  Object.assign(api.deps, { config: { ...api.deps.config, TIU_WORKSPACES: 'anybody' } });
  expect(await post('/api/v1/workspaces', other, { name: 'second' })).toMatchObject({ status: 201 });
  expect(await post('/api/v1/workspaces', other, { name: 'third' })).toMatchObject({ status: 409, body: { code: 'quota_exceeded' } });
});

test('a workspace is renamed by its admins; that of the product stays as it is', async () => {
  const admin = await aPerson(api, { role: 'admin' });
  const patch = (by: string, name: string) => api.call('PATCH', '/api/v1/workspace', { key: by, body: { name } });
  expect(await patch((await aPerson(api)).key, 'own-2')).toMatchObject({ status: 403 });
  expect(await patch(admin.key, 'other')).toMatchObject({ status: 409 });
  expect(await patch(admin.key, 'own-2')).toMatchObject({ status: 200, body: { name: 'own-2' } });
  expect((await api.call('GET', '/api/v1/workspace')).body).toMatchObject({ id: api.owner.workspace, name: 'own-2' });
  const operator = await aPerson(api, { role: 'owner', workspace: SYSTEM_WORKSPACE });
  expect(await patch(operator.key, 'mine')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
});

test('a workspace is given to a member who accepts, once, while the giver owns it', async () => {
  const [giver, taker, third] = [await aPerson(api, { role: 'owner' }), await aPerson(api, { role: 'viewer' }), await aPerson(api)];
  const offer = (to: string, by = giver) => post('/api/v1/workspace/offer', by, { to });
  const accept = (by: Person) => post('/api/v1/workspace/offer/accept', by);
  expect(await offer(taker.account, await aPerson(api, { role: 'admin' }))).toMatchObject({ status: 403 });
  expect(await api.call('POST', '/api/v1/workspace/offer', { body: { to: taker.account } })).toMatchObject({ status: 403 });
  for (const to of [giver.account, (await aPerson(api, { workspace: api.stranger.workspace })).account])
    expect(await offer(to)).toMatchObject({ status: 404 });
  expect(await accept(taker)).toMatchObject({ status: 404 });
  expect(await offer(taker.account)).toMatchObject({ status: 200, body: { offer: { to: taker.account } } });
  expect(await accept(third)).toMatchObject({ status: 404 });
  expect(await api.call('DELETE', '/api/v1/workspace/offer', { key: giver.key })).toMatchObject({ status: 204 });
  expect(await accept(taker)).toMatchObject({ status: 404 });
  await offer(taker.account);
  const answers = await Promise.all(Array.from({ length: 5 }, () => accept(taker)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404, 404, 404]);
  const roles = await Promise.all([giver, taker].map((who) => api.call('GET', `/api/v1/members/${who.account}`)));
  expect(roles.map(({ body }) => (body as { role: string }).role)).toEqual(['admin', 'owner']);
});

test('what was offered by who is no owner any more, or before too long, is not given', async () => {
  const [giver, taker] = [await aPerson(api, { role: 'owner' }), await aPerson(api)];
  await post('/api/v1/workspace/offer', giver, { to: taker.account });
  await api.call('PATCH', `/api/v1/members/${giver.account}`, { body: { role: 'admin' } });
  expect(await post('/api/v1/workspace/offer/accept', taker)).toMatchObject({ status: 404 });
  const owner = await aPerson(api, { role: 'owner' });
  await post('/api/v1/workspace/offer', owner, { to: taker.account });
  await api.deps.db.rows({
    name: 'past',
    text: `update workspace set transfer_until = now() - interval '1 s' where id = $1`,
    values: [api.owner.workspace],
  });
  expect(await post('/api/v1/workspace/offer/accept', taker)).toMatchObject({ status: 404 });
  expect((await api.call('GET', '/api/v1/workspace')).body).toMatchObject({ offer: null });
});
