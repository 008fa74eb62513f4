import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aStoppedClock } from '../../support/aStoppedClock.ts';
import { openTokens } from '../../../src/providers/tokens/tokens.ts';
import { renewSession } from '../../../src/api/auth/renewSession.ts';
import { requireFresh } from '../../../src/api/auth/requireFresh.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, signIn, sql, TOKEN_KEYS } from './aPerson.ts';

let api: TestApi;
const clock = aStoppedClock();
beforeAll(async () => {
  const settings = { TIU_SESSION_IDLE: '600000', TIU_SESSION_LIFE: '1200000', TIU_ACCESS_TOKEN_TTL: '60000' };
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, ...settings }, { clock: clock.now });
});
afterAll(() => api.stop());

type Grant = { accessToken: string; refreshToken: string; sessionId: string };
const refresh = (refreshToken: string) => api.call('POST', '/api/v1/auth/refresh', { key: null, body: { refreshToken } });
const granted = async (refreshToken: string) => {
  const answer = await refresh(refreshToken);
  expect(answer.status).toBe(200);
  return answer.body as Grant;
};
const me = async (token: string) => (await api.call('GET', '/api/v1/auth/me', { key: token })).status;
const person = async () => signIn(api.deps, await anAccount(api.deps.db, { [api.owner.workspace]: 'viewer' }));

test('a refresh token is changed for another one, and for a while answered alike', async () => {
  const first = await person();
  const second = await granted(first.refreshToken);
  expect(second.refreshToken).toMatch(/^tiur_[\w-]{43}$/);
  expect(second).toMatchObject({ sessionId: first.sessionId, role: 'viewer' });
  expect(await me(second.accessToken)).toBe(200);
  clock.ahead = 9_999;
  expect((await granted(first.refreshToken)).refreshToken).toBe(second.refreshToken);
  const third = await granted(second.refreshToken);
  expect(third.refreshToken).not.toBe(second.refreshToken);
  const [kept] = await sql<{ t: string }>(api.deps.db, 'select json_agg(r)::text as t from refresh_token r');
  for (const token of [first, second, third]) expect(kept?.t).not.toContain(token.refreshToken.slice(5));
});

test('used again later it ends the session, and the audit says so once', async () => {
  const first = await person();
  const second = await granted(first.refreshToken);
  clock.ahead = 10_001;
  const refused = await refresh(first.refreshToken);
  expect(refused.body).toMatchObject({ status: 401, code: 'unauthenticated', detail: 'The refresh token is not valid' });
  expect((await refresh(second.refreshToken)).status).toBe(401);
  expect(await me(second.accessToken)).toBe(401);
  expect((await refresh(first.refreshToken)).status).toBe(401);
  const audit = await sql(api.deps.db, `select data from audit where action = 'session.refresh_reused' and subject = $1`, [
    `session:${first.sessionId}`,
  ]);
  expect(audit).toEqual([{ data: { ip: expect.stringContaining('127.0.0.1'), userAgent: 'node' } }]);
});

test.each([
  ['unknown', `tiur_${'b'.repeat(43)}`],
  ['no refresh token', 'x'],
  ['longer than any', 'x'.repeat(200)],
])('refused: %s', async (_, token) => {
  expect((await refresh(token)).body).toMatchObject({ status: 401, code: 'unauthenticated', detail: 'The refresh token is not valid' });
});

test('refused: none, and an access token', async () => {
  const { accessToken } = await person();
  expect((await api.call('POST', '/api/v1/auth/refresh', { key: null })).status).toBe(401);
  expect((await refresh(accessToken)).status).toBe(422); // too long to be one
});

test('a session without requests ends, one with them goes on, and none goes past its end', async () => {
  const [idle, busy] = [await person(), await person()];
  let { accessToken, refreshToken } = busy;
  for (const minute of [9, 18]) {
    clock.ahead = minute * 60_000;
    ({ accessToken, refreshToken } = await granted(refreshToken));
    expect(await me(accessToken)).toBe(200);
  }
  expect((await refresh(idle.refreshToken)).status).toBe(401);
  clock.ahead = 20 * 60_000 + 1_000;
  expect((await refresh(refreshToken)).status).toBe(401);
  expect(await me(accessToken)).toBe(401);
});

test('requests keep a session alive too, noted by the minute', async () => {
  const { accessToken, sessionId } = await person();
  const quiet = async () =>
    (
      await sql<{ s: number }>(api.deps.db, 'select extract(epoch from now() - active)::float8 as s from session where id = $1', [
        sessionId,
      ])
    )[0]?.s ?? 0;
  await sql(api.deps.db, `update session set active = active - interval '50 s' where id = $1`, [sessionId]);
  expect(await me(accessToken)).toBe(200);
  expect(await quiet()).toBeGreaterThanOrEqual(50);
  await sql(api.deps.db, `update session set active = active - interval '1 minute' where id = $1`, [sessionId]);
  api.deps.authenticate.forget(`session:${sessionId}`);
  expect(await me(accessToken)).toBe(200);
  while ((await quiet()) > 50);
});

test('an access token ends at its time', async () => {
  const { accessToken } = await person();
  clock.ahead = 59_000;
  expect(await me(accessToken)).toBe(200);
  clock.ahead = 61_000;
  expect(await me(accessToken)).toBe(401);
});

test('an account that is disabled refreshes nothing', async () => {
  const account = await anAccount(api.deps.db);
  const { refreshToken } = await signIn(api.deps, account);
  await sql(api.deps.db, `update account set status = 'disabled' where id = $1`, [account]);
  expect((await refresh(refreshToken)).status).toBe(401);
});

test('another key signs from now on, and the former ones still verify and answer alike', async () => {
  const first = await person();
  const second = await granted(first.refreshToken);
  const before = api.deps.tokens;
  const rotated = await openTokens(
    { ...api.deps.config, TIU_TOKEN_KEYS: `k2:${Buffer.alloc(32, 8).toString('base64')},${TOKEN_KEYS}` },
    api.deps.clock,
  );
  api.deps.tokens = rotated;
  try {
    expect(rotated.jwks().keys).toHaveLength(2);
    expect((await granted(first.refreshToken)).refreshToken).toBe(second.refreshToken);
    await rotated.verifyAccess(second.accessToken);
    const third = await granted(second.refreshToken);
    await expect(before.verifyAccess(third.accessToken)).rejects.toMatchObject({ code: 'unauthenticated' });
    api.deps.tokens = await openTokens(
      { ...api.deps.config, TIU_TOKEN_KEYS: `k3:${Buffer.alloc(32, 9).toString('base64')}` },
      api.deps.clock,
    );
    expect((await refresh(second.refreshToken)).status).toBe(401);
    expect((await refresh(third.refreshToken)).status).toBe(200); // a lost key ends no session
  } finally {
    api.deps.tokens = before;
  }
});

test('who proves again who they are has another session, and a fresh one', async () => {
  const first = await person();
  clock.ahead = 30_000;
  const { actor } = await api.deps.authenticate(first.accessToken);
  const fresh = (who: typeof actor) => () => {
    requireFresh(who, api.deps.clock(), 20_000);
  };
  expect(fresh(actor)).toThrow(expect.objectContaining({ code: 'reauthentication_required' }));
  const second = await renewSession(api.deps, actor, { mfa: true });
  expect(second.sessionId).not.toBe(first.sessionId);
  expect(await me(first.accessToken)).toBe(401);
  expect((await refresh(first.refreshToken)).status).toBe(401);
  const renewed = (await api.deps.authenticate(second.accessToken)).actor;
  expect(fresh(renewed)).not.toThrow();
  expect(fresh({ ...renewed, session: { id: '', provedAt: api.deps.clock() - 20_000 } })).not.toThrow();
  expect(fresh({ ...renewed, session: { id: '', provedAt: api.deps.clock() - 20_002 } })).toThrow();
  expect(fresh((await api.deps.authenticate(api.owner.key)).actor)).toThrow();
  expect(await granted(second.refreshToken)).toMatchObject({ sessionId: second.sessionId });
});
