import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import { openSession } from '../../src/api/auth/openSession.ts';
import { beginAttempt, redeemAttempt } from '../../src/api/features/identities/attempt.ts';
import { createAccount } from '../../src/db/repositories/accounts.ts';
import { normaliseEmail, normaliseName } from '../../src/domain/account/names.ts';
import { newKey } from '../../src/dev/keptIn.ts';
import { anIssuer, type TestIssuer } from '../support/anIssuer.ts';
import { anApi, type TestApi } from './anApi.ts';

const PUBLIC = 'http://localhost:8080';
const callback = (provider: string) => `${PUBLIC}/api/v1/auth/sign-in/${provider}/callback`;
const person = (name: string, more: object = {}) => ({
  email: `${name}@example.com`,
  email_verified: true,
  name,
  preferred_username: name,
  ...more,
});

let api: TestApi;
let issuer: TestIssuer;
let other: TestIssuer;
let folder: string;
beforeAll(async () => {
  const people = {
    ...Object.fromEntries(['ada', 'bea', 'cleo', 'eve', 'fay', 'kim'].map((name) => [name, person(name)])),
    dora: person('dora', { email_verified: false }),
    gil: person('gil', { email: 'gil@elsewhere.example' }),
    'ada-again': person('ada', { email: 'second@example.com' }),
  };
  [issuer, other] = await Promise.all([
    anIssuer(people, [callback('open'), callback('closed'), callback('few')]),
    anIssuer(people, [callback('other')]),
  ]);
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-sign-in-'));
  const file = path.join(folder, 'providers.json');
  const at = (id: string, { issuer: address, clientId, clientSecret }: TestIssuer, more: object = {}) => ({
    ...{ id, type: 'oidc', title: id, issuer: address, clientId, clientSecret, insecure: true },
    ...more,
  });
  const providers = [
    at('open', issuer, { createAccounts: true, join: { workspace: 'own', role: 'developer' } }),
    at('closed', issuer),
    at('few', issuer, { createAccounts: true, emailDomains: ['example.com'] }),
    at('other', other, { createAccounts: true }),
  ];
  fs.writeFileSync(file, JSON.stringify(providers));
  api = await anApi({
    TIU_SIGN_IN_FILE: file,
    TIU_TOKEN_KEYS: newKey(),
    TIU_HTTP_ALLOW: '127.0.0.0/8',
    TIU_PUBLIC_URL: PUBLIC,
    TIU_RATE_AUTH: '',
  });
});
afterAll(async () => {
  await Promise.all([api.stop(), issuer.close(), other.close()]);
  fs.rmSync(folder, { recursive: true, force: true });
});

type Begun = { authorizationUrl: string; state: string; secret: string };
type Grant = { accessToken: string; workspace: string | null; role: string | null };
const auth = (target: string, body: object = {}, key: string | null = null) => api.call('POST', `/api/v1/auth/${target}`, { key, body });
const begin = async (provider: string) => (await auth(`sign-in/${provider}`)).body as Begun;
/** Goes to the provider and comes back. */
async function answerOf(begun: Begun, who: string, at = issuer): Promise<{ answer: string; secret: string }> {
  return { answer: (await at.visit(begun.authorizationUrl, who)).toString(), secret: begun.secret };
}
const signIn = async (provider: string, who: string, at = issuer) =>
  auth(`sign-in/${provider}/callback`, await answerOf(await begin(provider), who, at));
const accountOf = async (grant: unknown) =>
  (await api.call('GET', '/api/v1/auth/me', { key: (grant as Grant).accessToken })).body as {
    id: string;
    name: string;
    email: string | null;
  };

test('whoever comes for the first time is given an account and a membership as the settings say, and is known from then on', async () => {
  const first = await signIn('open', 'ada');
  expect(first).toMatchObject({ status: 200, body: { tokenType: 'Bearer', workspace: api.owner.workspace, role: 'developer' } });
  const me = await accountOf(first.body);
  expect(me).toMatchObject({ name: 'ada', email: 'ada@example.com', fullName: 'ada' });
  expect(await accountOf((await signIn('open', 'ada')).body)).toMatchObject({ id: me.id });
  // another provider of the settings with the same issuer means the same person
  expect(await accountOf((await signIn('closed', 'ada')).body)).toMatchObject({ id: me.id });
});

test('a name that somebody has gets a number', async () => {
  await signIn('open', 'ada');
  expect(await accountOf((await signIn('open', 'ada-again')).body)).toMatchObject({ name: 'ada_2' });
});

test('the same name at another issuer is another person', async () => {
  await signIn('open', 'bea');
  expect(await signIn('other', 'bea', other)).toMatchObject({ status: 409, body: { code: 'identity_not_linked' } });
});

test('an address that the provider has not verified is nobody’s', async () => {
  expect(await accountOf((await signIn('open', 'dora')).body)).toMatchObject({ email: null, emailVerified: false });
});

test('who is not welcome gets no account', async () => {
  expect(await signIn('closed', 'cleo')).toMatchObject({ status: 403, body: { code: 'registration_closed' } });
  expect(await signIn('few', 'gil')).toMatchObject({ status: 403, body: { code: 'registration_closed' } });
  expect(await signIn('few', 'cleo')).toMatchObject({ status: 200, body: { workspace: null, role: null } });
});

test('the state alone redeems nothing, even before the provider is asked: whoever sees it lacks the secret', async () => {
  const attempt = { purpose: 'login', remember: false, device: null, provider: 'open', redirectUri: callback('open') } as const;
  const [mine, yours] = [await beginAttempt(api.deps, attempt), await beginAttempt(api.deps, attempt)];
  const redeem = (secret: string, provider = 'open') => redeemAttempt(api.deps, { state: mine.expected.state, secret, provider });
  await expect(redeem(yours.secret)).rejects.toMatchObject({ code: 'sign_in_refused' });
  await expect(redeem(mine.secret)).rejects.toMatchObject({ code: 'sign_in_refused' }); // used up by who had the wrong one
  const again = await beginAttempt(api.deps, attempt);
  const given = { state: again.expected.state, secret: again.secret, provider: 'open' };
  expect(await redeemAttempt(api.deps, given)).toMatchObject({ attempt: { purpose: 'login' }, expected: again.expected });
});

test('an answer is refused, always in the same words, unless it is the first one to what its own client has begun', async () => {
  const bodies = new Set<string>();
  const refuse = async (provider: string, body: object) => {
    const { status, body: problem } = await auth(`sign-in/${provider}/callback`, body);
    expect(status).toBe(401);
    bodies.add(JSON.stringify({ ...(problem as object), requestId: '' }));
  };
  const [mine, yours] = [await begin('open'), await begin('open')];
  const good = await answerOf(mine, 'eve');
  await refuse('open', { ...good, secret: yours.secret }); // the state is used up by this
  await refuse('open', good);
  await refuse('closed', await answerOf(await begin('open'), 'eve'));
  const twice = await answerOf(await begin('open'), 'eve');
  expect(await auth('sign-in/open/callback', twice)).toMatchObject({ status: 200 });
  await refuse('open', twice);
  await refuse('open', { answer: 'code=x', secret: 'y' });
  await refuse('open', { answer: 'code=x&state=a&state=b', secret: 'y' });
  await refuse('open', { answer: `code=x&state=${(await begin('open')).state}`, secret: mine.secret });
  expect(bodies.size).toBe(1);
});

test('an answer that comes twice at once signs in once', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const answer = await answerOf(await begin('open'), 'eve');
      const replies = await Promise.all([auth('sign-in/open/callback', answer), auth('sign-in/open/callback', answer)]);
      return replies.map(({ status }) => status).sort();
    }),
  );
  for (const statuses of answers) expect(statuses).toEqual([200, 401]);
});

test('the answer goes only where the settings say', async () => {
  const redirectUri = 'https://evil.example/callback';
  expect(await auth('sign-in/open', { redirectUri })).toMatchObject({ status: 422, body: { issues: [{ pointer: '/redirectUri' }] } });
  expect((await auth('sign-in/none')).status).toBe(404);
  expect((await api.call('GET', '/api/v1/auth/providers', { key: null })).body).toMatchObject({
    items: [{ id: 'open' }, { id: 'closed' }, { id: 'few' }, { id: 'other' }],
  });
});

const tellLogout = (fields: URLSearchParams | string, provider = 'open') =>
  api.call('POST', `/api/v1/auth/sign-in/${provider}/logout`, {
    ...{ key: null, raw: fields.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } },
  });
const isIn = async (grant: unknown) => (await api.call('GET', '/api/v1/auth/me', { key: (grant as Grant).accessToken })).status === 200;

test('who signs out at the issuer is signed out here, of what began with that sign-in and of nothing else', async () => {
  const [earlier, somebody] = [(await signIn('open', 'ada')).body, (await signIn('open', 'eve')).body];
  const last = (await signIn('open', 'ada')).body; // the visit whose session ends there
  const told = await issuer.logout('ada');
  expect(await tellLogout(told)).toMatchObject({ status: 200, body: { status: 'done' } });
  expect(await Promise.all([last, earlier, somebody].map(isIn))).toEqual([false, true, true]);
  expect((await tellLogout(told)).status).toBe(200); // again, and nothing is left to end
  expect((await tellLogout(told, 'other')).body).toMatchObject({ status: 400, code: 'malformed_request' });
  expect((await tellLogout('logout_token=x')).body).toMatchObject({ status: 400, code: 'malformed_request' });
  expect((await tellLogout('logout_token=a&logout_token=b')).status).toBe(422);
  expect((await auth('sign-in/open/logout', { logout_token: told.get('logout_token') })).body).toMatchObject({ status: 415 });
  const ended = await api.deps.db.rows<{ actor: string }>({
    ...{ name: '', text: `select actor from audit where action = 'session.ended' and data->>'reason' = 'issuer_logout'`, values: [] },
  });
  expect(ended).toEqual([{ actor: `issuer:${issuer.issuer}` }]);
});

/** Somebody with an account and a password, signed in. @param provedMsAgo when they last proved who they are */
async function aMember(name: string, { password = true, provedMsAgo = 0 } = {}) {
  const [shown, email] = [normaliseName(name), normaliseEmail(`${name}@example.com`)];
  if (!shown || !email) throw new Error(name);
  const account = await createAccount(api.deps.db, { name: shown, email: { ...email, verified: true }, by: 'test', now: Date.now() });
  if (password) await api.deps.db.rows({ name: '', text: `update account set password = 'x' where id = $1`, values: [account] });
  const opened = await openSession(api.deps, { account, method: 'password', mfa: false, ip: '127.0.0.1', userAgent: '' });
  await api.deps.db.rows({
    name: '',
    text: `update session set proved = proved - $2 * interval '1 ms' where id = $1`,
    values: [opened.sessionId, provedMsAgo],
  });
  return { account, key: opened.accessToken };
}

test('an identity is linked by who is signed in and has just proven who they are; then it signs in', async () => {
  const { account, key } = await aMember('fay');
  expect(await signIn('open', 'fay')).toMatchObject({ status: 409, body: { code: 'identity_not_linked' } });
  const begun = (await auth('identities', { provider: 'open' }, key)).body as Begun;
  expect(await auth('sign-in/open/callback', await answerOf(begun, 'fay'))).toMatchObject({ status: 204 });
  expect(await accountOf((await signIn('open', 'fay')).body)).toMatchObject({ id: account });
  // a second time, and to somebody else
  const second = await aMember('gus');
  const again = (await auth('identities', { provider: 'open' }, second.key)).body as Begun;
  expect(await auth('sign-in/open/callback', await answerOf(again, 'fay'))).toMatchObject({
    status: 409,
    body: { code: 'identity_taken' },
  });
});

test('a session alone links and unlinks nothing', async () => {
  const { key } = await aMember('hal', { provedMsAgo: 1_000_000 });
  expect(await auth('identities', { provider: 'open' }, key)).toMatchObject({ status: 403, body: { code: 'reauthentication_required' } });
  expect(await api.call('DELETE', `/api/v1/auth/identities/${randomUUIDv7()}`, { key })).toMatchObject({
    status: 403,
    body: { code: 'reauthentication_required' },
  });
  expect(await auth('identities', { provider: 'open' }, api.owner.key)).toMatchObject({ status: 403 });
});

test('the last way in is not taken away', async () => {
  const { account, key } = await aMember('ida', { password: false });
  const rows = (text: string, ...values: unknown[]) => api.deps.db.rows({ name: '', text, values });
  for (const subject of ['one', 'two'])
    await rows(
      `insert into account_identity (issuer, subject, id, account, provider, created, last_used) values ('i', $1, gen_random_uuid(), $2, 'open', now(), now())`,
      subject,
      account,
    );
  const { items } = (await api.call('GET', '/api/v1/auth/identities', { key })).body as { items: { id: string }[] };
  const answers = await Promise.all(items.map(({ id }) => api.call('DELETE', `/api/v1/auth/identities/${id}`, { key })));
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
  expect(await rows('select from account_identity where account = $1', account)).toHaveLength(1);
  const foreign = await aMember('jan');
  expect(await api.call('DELETE', `/api/v1/auth/identities/${items[0]?.id}`, { key: foreign.key })).toMatchObject({ status: 404 });
});

test('who is new waits outside while the workspace that settings name is full', async () => {
  const [{ n } = { n: 0 }] = await api.deps.engine.rows<{ n: number }>({
    ...{ name: 'n', text: 'select count(*)::int as n from membership where workspace = $1', values: [api.owner.workspace] },
  });
  const setMost = async (max: number) => {
    await api.deps.engine.rows({
      name: 'most',
      text: `insert into workspace_quota (workspace, name, max, set_by, at) values ($1, 'members', $2, 'test', now())
        on conflict (workspace, name) do update set max = excluded.max`,
      values: [api.owner.workspace, max],
    });
    api.deps.quotas.forget(api.owner.workspace);
  };
  await setMost(n);
  expect(await signIn('open', 'kim')).toMatchObject({ status: 409, body: { code: 'quota_exceeded' } });
  await setMost(n + 1);
  expect(await signIn('open', 'kim')).toMatchObject({ status: 200, body: { workspace: api.owner.workspace, role: 'developer' } });
});
