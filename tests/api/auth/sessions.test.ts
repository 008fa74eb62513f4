import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, grant, signIn, sql, TOKEN_KEYS } from './aPerson.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS });
});
afterAll(() => api.stop());

const as = (token: string) => ({ key: token });
const aSession = async (role = 'developer', more: Parameters<typeof signIn>[2] = {}) => {
  const account = await anAccount(api.deps.db, { [api.owner.workspace]: role });
  return { account, ...(await signIn(api.deps, account, more)) };
};

test('who has signed in is told who they are, where they act and what they may do', async () => {
  const { account, accessToken, sessionId } = await aSession();
  const me = await api.call('GET', '/api/v1/auth/me', as(accessToken));
  expect(me.body).toMatchObject({
    id: account,
    session: { id: sessionId },
    workspace: { id: api.owner.workspace, name: 'own' },
    role: 'developer',
    permissions: expect.arrayContaining(['run.start']),
    ownPermissions: ['key.read', 'key.revoke', 'member.remove', 'run.settle'],
    memberships: [{ workspace: { name: 'own' }, role: 'developer', expiresAt: null }],
  });
  expect((me.body as { permissions: string[] }).permissions).not.toContain('secret.set');
});

test('a person may do what their role may, and rows record them', async () => {
  const { account, accessToken } = await aSession();
  const definition = { dsl: 'tiu/1', name: 'mine', tasks: { a: { type: 'transform', with: { value: 1 } } } };
  expect(
    (await api.call('POST', '/api/v1/runs', { ...as(accessToken), body: { definition }, headers: { 'idempotency-key': 'k' } })).status,
  ).toBe(202);
  const [row] = await sql<{ created_by: string }>(api.deps.db, `select created_by from run where created_by like 'user:%'`);
  expect(row?.created_by).toBe(`user:${account}`);
  expect((await api.call('PUT', '/api/v1/secrets/x', { ...as(accessToken), body: { value: 'long-enough' } })).body).toMatchObject({
    code: 'forbidden',
  });
});

test('a key is no person', async () => {
  for (const [method, path] of [
    ['GET', '/me'],
    ['GET', '/sessions'],
    ['POST', '/logout'],
    ['POST', '/socket-ticket'],
  ] as const)
    expect((await api.call(method, `/api/v1/auth${path}`)).body).toMatchObject({ code: 'forbidden' });
});

test("sessions are listed with what is known of them, and ended: one's own, one by one or all others", async () => {
  const { account, accessToken, sessionId } = await aSession('viewer', { device: 'laptop' });
  const [phone, tablet] = [await signIn(api.deps, account, { device: 'phone', mfa: true }), await signIn(api.deps, account)];
  const other = await aSession();
  const list = async () => ((await api.call('GET', '/api/v1/auth/sessions', as(accessToken))).body as { items: { id: string }[] }).items;
  expect(await list()).toHaveLength(3);
  expect(await list()).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ id: sessionId, device: 'laptop', current: true, method: 'password', userAgent: 'test', ip: '127.0.0.1' }),
      expect.objectContaining({ id: phone.sessionId, device: 'phone', mfa: true, current: false }),
    ]),
  );
  const end = (id: string) => api.call('DELETE', `/api/v1/auth/sessions/${id}`, as(accessToken));
  expect((await end(phone.sessionId)).status).toBe(204);
  for (const id of [phone.sessionId, other.sessionId, 'x']) expect((await end(id)).body).toMatchObject({ code: 'not_found' });
  expect((await api.call('GET', '/api/v1/auth/me', as(phone.accessToken))).status).toBe(401);
  expect((await api.call('DELETE', '/api/v1/auth/sessions', as(accessToken))).body).toEqual({ ended: 1 });
  expect((await api.call('GET', '/api/v1/auth/me', as(tablet.accessToken))).status).toBe(401);
  expect((await list()).map(({ id }) => id)).toEqual([sessionId]);
  expect((await api.call('GET', '/api/v1/auth/me', as(other.accessToken))).status).toBe(200);
});

test('logout ends the session at once, or all of them', async () => {
  const { account, accessToken, refreshToken } = await aSession();
  const other = await signIn(api.deps, account);
  expect((await api.call('POST', '/api/v1/auth/logout', as(accessToken))).status).toBe(204);
  expect((await api.call('GET', '/api/v1/auth/me', as(accessToken))).status).toBe(401);
  expect((await api.call('POST', '/api/v1/auth/refresh', { key: null, body: { refreshToken } })).status).toBe(401);
  const third = await signIn(api.deps, account);
  await api.call('POST', '/api/v1/auth/logout', { ...as(third.accessToken), body: { all: true } });
  for (const token of [other.accessToken, third.accessToken])
    expect((await api.call('GET', '/api/v1/auth/me', as(token))).status).toBe(401);
});

test('a session acts in one workspace, and a token for the former one is refused', async () => {
  const { account, accessToken } = await aSession('developer');
  const { workspace } = api.stranger;
  const to = (token: string) => api.call('POST', '/api/v1/auth/switch', { ...as(token), body: { workspace } });
  expect((await to(accessToken)).body).toMatchObject({ status: 404, code: 'not_found' });
  await grant(api.deps.db, { account, workspace, role: 'viewer' });
  const switched = await to(accessToken);
  expect(switched.body).toMatchObject({ workspace, role: 'viewer' });
  const token = (switched.body as { accessToken: string }).accessToken;
  expect((await api.call('GET', '/api/v1/auth/me', as(token))).body).toMatchObject({ role: 'viewer', workspace: { name: 'other' } });
  expect((await api.call('GET', '/api/v1/auth/me', as(accessToken))).status).toBe(401);
  expect((await api.call('GET', `/api/v1/runs`, as(token))).body).toMatchObject({ items: [] });
});

test('without keys nobody signs in, and API keys go on', async () => {
  const bare = await anApi();
  try {
    const account = await anAccount(bare.deps.db);
    await expect(signIn(bare.deps, account)).rejects.toMatchObject({ code: 'sign_in_not_configured' });
    const refreshToken = `tiur_${'a'.repeat(43)}`;
    expect((await bare.call('POST', '/api/v1/auth/refresh', { key: null, body: { refreshToken } })).body).toMatchObject({
      code: 'sign_in_not_configured',
    });
    expect((await bare.call('GET', '/.well-known/jwks.json')).body).toEqual({ keys: [] });
    expect((await bare.call('GET', '/api/v1/runs')).status).toBe(200);
  } finally {
    await bare.stop();
  }
});

test('the public keys are for everybody, and hold nothing else', async () => {
  const answer = await api.call('GET', '/.well-known/jwks.json', { key: null });
  const { keys } = answer.body as { keys: object[] };
  expect(keys).toEqual([
    { kty: 'EC', crv: 'P-256', x: expect.any(String), y: expect.any(String), kid: expect.any(String), alg: 'ES256', use: 'sig' },
  ]);
  expect(answer.headers.get('cache-control')).toBe('public, max-age=300');
});
