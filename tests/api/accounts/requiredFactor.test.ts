import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Action } from '../../../src/domain/access/actions.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { routes } from '../../../src/api/routes.ts';
import { anAuthenticator } from '../../support/anAuthenticator.ts';
import { until } from '../../support/until.ts';
import { aSocket } from '../../realtime/aSubscriber.ts';
import { grant, signIn, sql } from '../auth/aPerson.ts';
import { aPerson, codeAt, PASSWORD, signedIn, SITE, someAccounts, type Accounts, type Person } from './aPerson.ts';

const START = Math.floor(Date.now() / 30_000) * 30_000;
let now = START;
let free: Accounts;
let everybody: Accounts;
let operators: Accounts;
beforeAll(async () => {
  [free, everybody, operators] = await Promise.all([
    someAccounts(),
    someAccounts({ TIU_REQUIRE_MFA: 'all' }),
    someAccounts({ TIU_REQUIRE_MFA: 'operators' }),
  ]);
  for (const api of [free, everybody, operators]) {
    api.deps.clock = () => now;
    await sql(api.deps.engine, `insert into workspace (id, name, created) values ($1, 'tiu.system', now()) on conflict do nothing`, [
      SYSTEM_WORKSPACE,
    ]);
  }
});
afterAll(() => Promise.all([free, everybody, operators].map((api) => api.stop())));

const member = async (api: Accounts, { role = 'admin', workspace = api.owner.workspace } = {}): Promise<Person> => {
  const person = await aPerson(api);
  await grant(api.deps.engine, { account: person.id, workspace, role });
  return person;
};
const runs = async (api: Accounts, key: string) =>
  (await api.call('GET', '/api/v1/runs', { key })).body as { code?: string; status?: number };
const REQUIRED = { status: 403, code: 'second_factor_required' };
const me = async (api: Accounts, key: string) =>
  (await api.call('GET', '/api/v1/auth/me', { key })).body as { secondFactorRequired: boolean; permissions: Action[] };
const rule = (api: Accounts, key: string, requireSecondFactor: boolean) =>
  api.call('PATCH', '/api/v1/workspace', { key, body: { requireSecondFactor } });

async function setUpTotp(api: Accounts, key: string): Promise<string> {
  const { secret } = (await api.post('second-factors/totp', {}, key)).body as { secret: string };
  expect((await api.post('second-factors/totp/confirm', { code: codeAt(secret, now) }, key)).status).toBe(200);
  return secret;
}

test('who has no second factor signs in, and does nothing but set one up', async () => {
  const person = await member(everybody);
  const { accessToken: key } = await signedIn(everybody, person);
  const refused = await everybody.call('GET', '/api/v1/runs', { key });
  expect(refused.body).toMatchObject({ ...REQUIRED, detail: expect.stringContaining('/api/v1/auth/second-factors/totp') });
  expect(await me(everybody, key)).toMatchObject({ secondFactorRequired: true, permissions: [] });
  await setUpTotp(everybody, key);
  expect(await runs(everybody, key)).toMatchObject({ items: [] });
  expect(await me(everybody, key)).toMatchObject({ secondFactorRequired: false, permissions: expect.arrayContaining(['run.start']) });
});

test('a passkey is one too', async () => {
  const { accessToken: key } = await signedIn(everybody, await member(everybody));
  const authenticator = anAuthenticator(SITE);
  const options = (await everybody.post('second-factors/passkeys/options', {}, key)).body as { challenge: string; user: { id: string } };
  await everybody.post('second-factors/passkeys', { name: 'key ring', response: authenticator.create(options) }, key);
  expect(await runs(everybody, key)).toMatchObject({ items: [] });
});

test('every route but those that lead to a second factor, and out, refuses', async () => {
  const { accessToken: key } = await signedIn(everybody, await member(everybody, { role: 'owner' }));
  const open = routes.filter((route) => route.beforeSecondFactor).map(({ method, path }) => `${method} ${path}`);
  expect(open).toEqual([
    'get /api/v1/auth/me',
    'post /api/v1/auth/logout',
    'post /api/v1/auth/switch',
    'post /api/v1/auth/reauthenticate',
    'post /api/v1/auth/reauthenticate/options',
    'get /api/v1/auth/second-factors',
    'post /api/v1/auth/second-factors/totp',
    'post /api/v1/auth/second-factors/totp/confirm',
    'post /api/v1/auth/second-factors/passkeys/options',
    'post /api/v1/auth/second-factors/passkeys',
  ]);
  for (const route of routes.filter(
    ({ action, beforeSecondFactor, request }) => action !== 'public' && !beforeSecondFactor && !request?.body,
  )) {
    const target = route.path.replaceAll(/\{\w+\}/g, '01890000-0000-7000-8000-000000000001');
    const { status, body } = await everybody.call(route.method.toUpperCase(), target, { key });
    const seen = { route: `${route.method} ${route.path}`, status, code: (body as { code?: string } | null)?.code };
    // what is wrong with a request is said first
    if (status !== 422 && status !== 400) expect(seen).toEqual({ ...seen, ...REQUIRED });
  }
});

test('a workspace requires it of who acts there; a session that was there before is held to it at its next request', async () => {
  const [admin, other] = [await member(free), await member(free, { role: 'viewer' })];
  const [{ accessToken: key }, session] = [await signedIn(free, admin), await signedIn(free, other)];
  expect(await rule(free, session.accessToken, true)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  await setUpTotp(free, key);
  const before = await free.call('GET', '/api/v1/runs', { key: session.accessToken });
  expect(before.status).toBe(200);
  const socket = aSocket(free.url, session.accessToken) as ReturnType<typeof aSocket> & NodeJS.EventEmitter;
  const closed = once(socket, 'closed');
  await once(socket, 'connect');
  expect(await rule(free, key, true)).toMatchObject({ status: 200, body: { requireSecondFactor: true } });
  expect(await runs(free, session.accessToken)).toMatchObject(REQUIRED);
  expect((await closed)[0]).toMatchObject(REQUIRED);
  const [refused] = (await once(aSocket(free.url, session.accessToken) as unknown as NodeJS.EventEmitter, 'connect_error')) as [
    Error & { data: object },
  ];
  expect(refused.data).toMatchObject(REQUIRED);
  expect(await runs(free, key)).toMatchObject({ items: [] });
  // elsewhere nobody asks for it
  await grant(free.deps.engine, { account: other.id, workspace: free.stranger.workspace, role: 'viewer' });
  const switched = await free.post('switch', { workspace: free.stranger.workspace }, session.accessToken);
  expect(await runs(free, (switched.body as { accessToken: string }).accessToken)).toMatchObject({ items: [] });
  expect(await rule(free, key, false)).toMatchObject({ body: { requireSecondFactor: false } });
  const rows = await sql<{ before: object; after: object }>(
    free.deps.engine,
    `select before, after from audit where action = 'workspace.changed' and actor = $1 order by at, id`,
    [`user:${admin.id}`],
  );
  expect(rows.map(({ after }) => after)).toMatchObject([{ requireSecondFactor: true }, { requireSecondFactor: false }]);
  expect(rows.map((row) => row.before)).toMatchObject([{ requireSecondFactor: false }, { requireSecondFactor: true }]);
});

test('who has one and has not shown it in a session shows it there', async () => {
  const person = await member(everybody);
  const { accessToken: first } = await signedIn(everybody, person);
  const { accessToken: second } = await signedIn(everybody, person);
  const secret = await setUpTotp(everybody, first);
  expect(await runs(everybody, second)).toMatchObject(REQUIRED);
  now += 30_000;
  const by = async (shown: object, key: string) =>
    ((await everybody.post('reauthenticate', shown, key)).body as { accessToken: string }).accessToken;
  const withPassword = await by({ password: PASSWORD }, second);
  expect(await runs(everybody, withPassword)).toMatchObject(REQUIRED);
  expect(await runs(everybody, await by({ code: codeAt(secret, now) }, withPassword))).toMatchObject({ items: [] });
});

test('a sign-in with both is held up by nothing', async () => {
  const person = await member(everybody);
  const secret = await setUpTotp(everybody, (await signedIn(everybody, person)).accessToken);
  now += 30_000;
  const { mfaToken } = (await everybody.post('login', { identifier: person.name, password: PASSWORD })).body as { mfaToken: string };
  const { accessToken } = (await everybody.post('login/mfa', { mfaToken, code: codeAt(secret, now) })).body as { accessToken: string };
  expect(await runs(everybody, accessToken)).toMatchObject({ items: [] });
});

test('who comes from another issuer is held unless that says that a second factor was shown', async () => {
  const { id: account } = await member(everybody);
  const sessionOf = async (mfa: boolean) => (await signIn(everybody.deps, account, { method: 'oidc', mfa })).accessToken;
  expect(await runs(everybody, await sessionOf(false))).toMatchObject(REQUIRED);
  expect(await runs(everybody, await sessionOf(true))).toMatchObject({ items: [] });
});

test('who takes away their last one is held again', async () => {
  const { accessToken: key } = await signedIn(everybody, await member(everybody));
  await setUpTotp(everybody, key);
  expect(await runs(everybody, key)).toMatchObject({ items: [] });
  expect((await everybody.call('DELETE', '/api/v1/auth/second-factors/totp', { key })).status).toBe(204);
  await until(async () => (await runs(everybody, key)).code === REQUIRED.code);
});

test('keys of somebody do nothing while they have none; keys of nobody are not asked', async () => {
  const person = await member(free);
  const { accessToken } = await signedIn(free, person);
  const made = await free.call('POST', '/api/v1/api-keys', { key: accessToken, body: { name: 'ci', scopes: ['runs:read'] } });
  const { key } = made.body as { key: string };
  expect(await runs(free, key)).toMatchObject({ items: [] });
  await rule(free, accessToken, true);
  expect(await runs(free, key)).toMatchObject(REQUIRED);
  expect(await runs(free, free.owner.key)).toMatchObject({ items: [] });
  await setUpTotp(free, accessToken);
  await sql(free.deps.engine, 'update api_key set scopes = scopes where account = $1', [person.id]); // tells that it has changed
  await until(async () => (await runs(free, key)).code === undefined);
  await rule(free, accessToken, false);
});

test('of operators alone it is required where the installation says so', async () => {
  const [plain, operator] = [await member(operators), await member(operators, { workspace: SYSTEM_WORKSPACE })];
  expect(await runs(operators, (await signedIn(operators, plain)).accessToken)).toMatchObject({ items: [] });
  const { accessToken: key } = await signedIn(operators, operator);
  expect((await operators.call('GET', '/api/v1/users', { key })).body).toMatchObject(REQUIRED);
  await setUpTotp(operators, key);
  expect((await operators.call('GET', '/api/v1/users', { key })).status).toBe(200);
  // also where they act as anybody else
  await grant(operators.deps.engine, { account: plain.id, workspace: SYSTEM_WORKSPACE, role: 'viewer' });
  expect(await runs(operators, (await signedIn(operators, plain)).accessToken)).toMatchObject(REQUIRED);
});
