import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aStoppedClock } from '../../support/aStoppedClock.ts';
import { endSessions } from '../../../src/db/sessions.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, signIn, sql, TOKEN_KEYS } from '../auth/aPerson.ts';

let api: TestApi;
const clock = aStoppedClock();
beforeAll(async () => {
  api = await anApi(
    { TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_PUBLIC_URL: 'https://tiu.example', TIU_RATE_CODE: 'account=5/900' },
    { clock: clock.now },
  );
});
afterAll(() => api.stop());

type Asked = { deviceCode: string; userCode: string; verificationUri: string; verificationUriComplete: string };
const ask = async (body?: object): Promise<Asked> => {
  const answer = await api.call('POST', '/api/v1/auth/device', { key: null, ...(body && { body }), headers: { 'user-agent': 'tiu-cli' } });
  expect(answer.status).toBe(200);
  return answer.body as Asked;
};
const poll = async (deviceCode: string): Promise<{ status: number; code?: string; accessToken?: string; sessionId?: string }> => {
  const { status, body } = await api.call('POST', '/api/v1/auth/device/token', { key: null, body: { deviceCode } });
  return { status, ...(body as object) };
};
const at = (userCode: string, key: string, word?: string) =>
  api.call(word === undefined ? 'GET' : 'POST', `/api/v1/auth/device/${userCode}${word === undefined ? '' : `/${word}`}`, { key });
/** Somebody with a role where the owner is, each with tries of their own. */
const person = async (role = 'viewer', more: Parameters<typeof signIn>[2] = {}) => {
  const account = await anAccount(api.deps.db, { [api.owner.workspace]: role });
  return { account, ...(await signIn(api.deps, account, more)) };
};

test('a device asks, a person sees who asks and says yes, and the device is given a session of theirs, once', async () => {
  const asked = await ask({ deviceName: 'build server' });
  expect(asked).toEqual({
    deviceCode: expect.stringMatching(/^tiuo_[\w-]{43}$/) as unknown,
    userCode: expect.stringMatching(/^[B-Z]{4}-[B-Z]{4}$/) as unknown,
    verificationUri: 'https://tiu.example/device',
    verificationUriComplete: `https://tiu.example/device#token=${asked.userCode}`,
    expiresIn: 600,
    interval: 5,
  });
  expect(await poll(asked.deviceCode)).toMatchObject({ status: 400, code: 'authorization_pending' });
  const { account, accessToken } = await person('developer');
  expect((await at(asked.userCode.toLowerCase().replace('-', ''), accessToken)).body).toMatchObject({
    ...{ userCode: asked.userCode, deviceName: 'build server', userAgent: 'tiu-cli' },
    ip: expect.stringContaining('127.0.0.1') as unknown,
  });
  expect((await at(asked.userCode, accessToken, 'approve')).status).toBe(204);
  const granted = await poll(asked.deviceCode);
  expect(granted).toMatchObject({ status: 200, role: 'developer', workspace: api.owner.workspace });
  expect((await api.call('GET', '/api/v1/auth/me', { key: granted.accessToken ?? '' })).body).toMatchObject({ id: account });
  const [session] = await sql(api.deps.db, 'select method, device, user_agent from session where id = $1', [granted.sessionId]);
  expect(session).toMatchObject({ method: 'device', device: 'build server' });
  expect(await poll(asked.deviceCode)).toMatchObject({ status: 400, code: 'expired_token' });
  const [kept] = await sql<{ t: string }>(api.deps.db, 'select json_agg(d)::text as t from device_grant d');
  for (const secret of [asked.deviceCode, asked.userCode]) expect(kept?.t).not.toContain(secret);
  expect(
    await sql(api.deps.db, `select action, actor, data->>'device' as device from audit where subject = $1 and action like 'auth.device%'`, [
      `user:${account}`,
    ]),
  ).toEqual([{ action: 'auth.device_approved', actor: `user:${account}`, device: 'build server' }]);
});

test('who is refused is told so, and nobody can say yes after that', async () => {
  const { deviceCode, userCode } = await ask();
  const { account, accessToken } = await person();
  expect((await at(userCode, accessToken, 'deny')).status).toBe(204);
  expect(await poll(deviceCode)).toMatchObject({ status: 400, code: 'access_denied' });
  expect((await at(userCode, accessToken, 'approve')).status).toBe(404);
  expect(await poll(deviceCode)).toMatchObject({ status: 400, code: 'access_denied' });
  expect(
    await sql(api.deps.db, `select 1 from audit where actor = $1 and action = 'auth.device_denied'`, [`user:${account}`]),
  ).toHaveLength(1);
});

test('polls that come too soon are told to slow down, each by five seconds more', async () => {
  const { deviceCode } = await ask();
  const codes: string[] = [];
  // the first; after 3 s of 5; after 9 of 10; after 8 of 10; after 14 of 15
  for (const ms of [0, 3_000, 12_000, 20_000, 34_000]) {
    clock.ahead = ms;
    codes.push((await poll(deviceCode)).code ?? '');
  }
  expect(codes).toEqual(['authorization_pending', 'slow_down', 'authorization_pending', 'slow_down', 'authorization_pending']);
});

test('codes that are unknown, used, over or none are answered alike', async () => {
  const [used, over] = [await ask(), await ask()];
  const { accessToken } = await person();
  await at(used.userCode, accessToken, 'approve');
  await sql(api.deps.db, `update device_grant set expires = now() - interval '1 s' where user_hash = sha256($1::bytea)`, [
    Buffer.from(over.userCode),
  ]);
  const seen = new Set<string>();
  for (const code of [used.userCode, over.userCode, 'BBBB-BBBB', 'none'])
    for (const word of [undefined, 'approve', 'deny']) {
      const { status, text } = await at(code, (await person()).accessToken, word);
      seen.add(`${status} ${text.replace(/"requestId":"[^"]+"/, '')}`);
    }
  expect([...seen]).toEqual([expect.stringMatching(/^404 .*"not_found"/)]);
  expect(await poll(over.deviceCode)).toMatchObject({ status: 400, code: 'expired_token' });
  expect(await poll('tiuo_nobody')).toMatchObject({ status: 400, code: 'expired_token' });
});

test('what was approved is over with its time', async () => {
  const { deviceCode, userCode } = await ask();
  await at(userCode, (await person()).accessToken, 'approve');
  clock.ahead = 600_001;
  expect(await poll(deviceCode)).toMatchObject({ status: 400, code: 'expired_token' });
});

test('of one person only so many codes are tried, right or wrong', async () => {
  const { userCode } = await ask();
  const { accessToken } = await person();
  const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await at('BBBB-BBBB', accessToken)).status));
  expect(statuses.sort()).toEqual([...Array<number>(5).fill(404), ...Array<number>(15).fill(429)]);
  expect((await at(userCode, accessToken, 'approve')).body).toMatchObject({ code: 'rate_limited' });
});

test('a device is given no more than the session had in which somebody said yes', async () => {
  const { deviceCode, userCode } = await ask();
  const { accessToken, sessionId } = await person('viewer', { mfa: true });
  await sql(api.deps.db, `update session set proved = proved - interval '1 hour' where id = $1`, [sessionId]);
  await at(userCode, accessToken, 'approve');
  const granted = await poll(deviceCode);
  const { actor } = await api.deps.authenticate(granted.accessToken);
  expect(Date.now() - (actor.session?.provedAt ?? Infinity)).toBeGreaterThanOrEqual(3_600_000);
  expect(await sql(api.deps.db, 'select mfa from session where id = $1', [granted.sessionId])).toEqual([{ mfa: true }]);
  const refused = await api.call('POST', '/api/v1/auth/change-email', { key: granted.accessToken ?? '', body: { email: 'a@b.example' } });
  expect(refused.body).toMatchObject({ code: 'reauthentication_required' });
});

test.each([
  ['a reset of the password', 'password_reset', 'access_denied'],
  ['the person, by hand', 'ended', 'access_denied'],
  ['a sign-out, after which the device is let in all the same', 'logout', undefined],
])('sessions ended after the yes: %s', async (_, reason, code) => {
  const { deviceCode, userCode } = await ask();
  const { account, accessToken } = await person();
  await at(userCode, accessToken, 'approve');
  await endSessions(api.deps.db, { account, reason, by: 'test' });
  expect((await poll(deviceCode)).code).toBe(code);
});

test('a disabled account lets no device in', async () => {
  const { deviceCode, userCode } = await ask();
  const { account, accessToken } = await person();
  await at(userCode, accessToken, 'approve');
  await sql(api.deps.db, `update account set status = 'disabled' where id = $1`, [account]);
  expect(await poll(deviceCode)).toMatchObject({ status: 400, code: 'access_denied' });
});

test('a key approves nothing, and no page of another site does', async () => {
  const { userCode } = await ask();
  expect((await at(userCode, api.owner.key, 'approve')).status).toBe(403);
  const { accessToken } = await person();
  const foreign = await api.call('POST', `/api/v1/auth/device/${userCode}/approve`, {
    key: null,
    headers: { cookie: `__Host-tiu_access=${accessToken}`, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
  });
  expect(foreign.body).toMatchObject({ status: 403, code: 'cross_site_request' });
});
