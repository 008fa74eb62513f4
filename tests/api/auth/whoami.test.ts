import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient } from '../../../src/client/createClient.ts';
import { createSignIn } from '../../../src/client/signIn.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { aPerson } from '../aPerson.ts';
import { anAccount, signIn, TOKEN_KEYS } from './aPerson.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS });
});
afterAll(() => api.stop());

const whoami = async (key: string | null, headers: Record<string, string> = {}) =>
  (await api.call('GET', '/api/v1/auth/whoami', { key, headers })).body;
const own = () => ({ id: api.owner.workspace, name: 'own' });

test('a person is told who they are, by token and by cookie', async () => {
  const person = await aPerson(api, { role: 'viewer' });
  const said = {
    ...{ kind: 'person', person: { id: person.account, name: person.name }, key: null, workspace: own(), role: 'viewer' },
    permissions: expect.arrayContaining(['run.read']) as unknown,
    ownPermissions: ['member.remove'],
  };
  expect(await whoami(person.key)).toEqual(said);
  expect(await whoami(null, { cookie: `__Host-tiu_access=${person.key}` })).toEqual(said);
});

test('a key is told what it is, whatever its scopes; one of a person, whose', async () => {
  const made = await api.call('POST', '/api/v1/api-keys', { body: { name: 'reads', scopes: ['artifacts:read'] } });
  expect(await whoami((made.body as { key: string }).key)).toEqual({
    ...{ kind: 'key', person: null, key: { id: (made.body as { id: string }).id, name: 'reads' }, workspace: own(), role: null },
    ...{ permissions: ['artifact.read'], ownPermissions: [] },
  });
  const person = await aPerson(api, { role: 'developer' });
  const theirs = await api.call('POST', '/api/v1/api-keys', { key: person.key, body: { name: 'mine', scopes: ['runs:read'] } });
  expect(await whoami((theirs.body as { key: string }).key)).toMatchObject({
    ...{ kind: 'key', person: { id: person.account }, key: { name: 'mine' }, role: 'developer' },
  });
});

test('a member of no workspace acts nowhere, and nobody is told nothing', async () => {
  const { accessToken } = await signIn(api.deps, await anAccount(api.deps.db));
  expect(await whoami(accessToken)).toMatchObject({ workspace: null, role: null, permissions: [] });
  for (const key of [null, 'tiu_wrong', 'x.y.z']) expect(await whoami(key)).toMatchObject({ status: 401, code: 'unauthenticated' });
});

test('the client library signs a device in, shows who asks, and ends its session', async () => {
  const person = await aPerson(api);
  const browser = createClient({ baseUrl: api.url, token: person.key });
  const device = createSignIn({ baseUrl: api.url });
  const { deviceCode, userCode } = await device.askDevice('a robot');
  expect(await browser.auth.device(userCode)).toMatchObject({ deviceName: 'a robot' });
  expect([await device.pollDevice(deviceCode), await device.pollDevice(deviceCode)]).toEqual([
    { pending: true, slower: false },
    { pending: true, slower: true },
  ]);
  await browser.auth.approveDevice(userCode);
  const polled = await device.pollDevice(deviceCode);
  if ('pending' in polled) throw new Error('not granted');
  const next = await device.refresh(polled.refreshToken);
  let asked = 0;
  const token = () => {
    asked += 1;
    return Promise.resolve(next.accessToken);
  };
  const robot = createClient({ baseUrl: api.url, token });
  expect(await robot.auth.whoami()).toMatchObject({ person: { id: person.account } });
  await robot.auth.logout();
  await expect(robot.auth.whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(asked).toBe(3);
  const refused = await device.askDevice();
  await browser.auth.denyDevice(refused.userCode);
  await expect(device.pollDevice(refused.deviceCode)).rejects.toMatchObject({ code: 'access_denied' });
});
