import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { endSession, endSessions } from '../../../src/db/sessions.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, grant, signIn, sql, TOKEN_KEYS } from './aPerson.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_MAX_SESSIONS: '3' });
});
afterAll(() => api.stop());

const openOf = async (account: string) =>
  (
    await sql<{ id: string }>(api.deps.db, 'select id from session where account = $1 and ended is null order by created, id', [account])
  ).map(({ id }) => id);

test('a session is opened where the person is a member, and says so in its token', async () => {
  const { workspace } = api.owner;
  const account = await anAccount(api.deps.db, { [workspace]: 'developer' });
  const opened = await signIn(api.deps, account, { device: 'laptop', remember: true });
  expect(opened).toMatchObject({
    tokenType: 'Bearer',
    expiresIn: 900,
    workspace,
    role: 'developer',
    refreshToken: expect.stringMatching(/^tiur_[\w-]{43}$/),
  });
  const claims = await api.deps.tokens.verifyAccess(opened.accessToken);
  expect(claims).toMatchObject({ account, session: opened.sessionId, workspace });
  const [row] = await sql(
    api.deps.db,
    'select method, remember, device, ip, user_agent, (expires - created)::text as life from session where account = $1',
    [account],
  );
  expect(row).toEqual({ method: 'password', remember: true, device: 'laptop', ip: '127.0.0.1', user_agent: 'test', life: '90 days' });
  const kept = await sql<{ t: string }>(api.deps.db, 'select r::text as t from refresh_token r union all select a::text from audit a');
  for (const { t } of kept) expect(t).not.toContain(opened.refreshToken.slice(5));
});

test('of several workspaces it is the one that is asked for, then the last one, then the oldest', async () => {
  const { db } = api.deps;
  const account = await anAccount(db, { [api.owner.workspace]: 'viewer' });
  await grant(db, { account, workspace: api.stranger.workspace, role: 'admin' });
  expect(await signIn(api.deps, account)).toMatchObject({ workspace: api.owner.workspace, role: 'viewer' });
  expect(await signIn(api.deps, account, { workspace: api.stranger.workspace })).toMatchObject({
    workspace: api.stranger.workspace,
    role: 'admin',
  });
  expect(await signIn(api.deps, account)).toMatchObject({ workspace: api.stranger.workspace });
  await grant(db, { account, workspace: api.stranger.workspace, role: 'admin', expires: new Date(Date.now() - 1) });
  expect(await signIn(api.deps, account, { workspace: api.stranger.workspace })).toMatchObject({ workspace: api.owner.workspace });
});

test('who is a member of nothing signs in, and acts nowhere', async () => {
  const account = await anAccount(api.deps.db);
  const opened = await signIn(api.deps, account, { workspace: api.owner.workspace });
  expect(opened).toMatchObject({ workspace: null, role: null });
  expect(await api.deps.tokens.verifyAccess(opened.accessToken)).toMatchObject({ workspace: SYSTEM_WORKSPACE });
});

test('an account that is not active opens none', async () => {
  const account = await anAccount(api.deps.db);
  await sql(api.deps.db, `update account set status = 'disabled' where id = $1`, [account]);
  await expect(signIn(api.deps, account)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('one session too many ends the oldest, whatever comes at once', async () => {
  const account = await anAccount(api.deps.db);
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push((await signIn(api.deps, account)).sessionId);
  expect(await openOf(account)).toEqual(ids.slice(1));
  await Promise.all(Array.from({ length: 8 }, () => signIn(api.deps, account)));
  expect(await openOf(account)).toHaveLength(3);
});

test('sessions end all, all but one, or one, and the audit says by whom', async () => {
  const { db } = api.deps;
  const account = await anAccount(db);
  const other = await anAccount(db);
  const [kept, a, b] = [await signIn(api.deps, account), await signIn(api.deps, account), await signIn(api.deps, account)];
  await signIn(api.deps, other);
  expect(await endSession(db, { account: other, session: a.sessionId, reason: 'logout', by: 'user:x' })).toBe(false);
  expect(await endSession(db, { account, session: a.sessionId, reason: 'logout', by: 'user:x' })).toBe(true);
  expect(await endSessions(db, { account, except: kept.sessionId, reason: 'password_changed', by: 'user:y' })).toBe(1);
  expect(await openOf(account)).toEqual([kept.sessionId]);
  expect(await endSessions(db, { account, reason: 'disabled', by: 'user:z' })).toBe(1);
  expect(await endSessions(db, { account, reason: 'disabled', by: 'user:z' })).toBe(0);
  expect(await openOf(other)).toHaveLength(1);
  const audit = await sql(db, `select actor, data from audit where action = 'session.ended' and subject = $1 order by at`, [
    `user:${account}`,
  ]);
  expect(audit).toEqual([
    { actor: 'user:x', data: { reason: 'logout', sessions: [a.sessionId] } },
    { actor: 'user:y', data: { reason: 'password_changed', sessions: [b.sessionId] } },
    { actor: 'user:z', data: { reason: 'disabled', sessions: [kept.sessionId] } },
  ]);
});
