import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { anAuthenticator } from '../../support/anAuthenticator.ts';
import { aPerson, codeAt, lastMail, PASSWORD, signedIn, SITE, someAccounts, type Accounts, type Person } from './aPerson.ts';

let api: Accounts;
const START = Math.floor(Date.now() / 30_000) * 30_000;
let now = START;
beforeAll(async () => {
  api = await someAccounts({ TIU_LOGIN_TRIES: '4', TIU_MAX_PASSKEYS: '2', TIU_FRESH: '3600000' });
  api.deps.clock = () => now;
});
afterAll(() => api.stop());
beforeEach(() => {
  now = START;
});

type Step = { mfaToken: string; methods: string[]; passkeyOptions: { challenge: string; allowCredentials: { id: string }[] } | null };
type Options = { challenge: string; user: { id: string } };

const rows = <R extends object>(text: string, values: unknown[] = []) => api.deps.db.rows<R>({ name: '', text, values });
const login = async (person: Person) => (await api.post('login', { identifier: person.name, password: person.password })).body as Step;
const mfa = (mfaToken: string, shown: object) => api.post('login/mfa', { mfaToken, ...shown });
const remove = (path: string, key: string) => api.call('DELETE', `/api/v1/auth/second-factors/${path}`, { key });

async function withTotp(password = PASSWORD) {
  const person = await aPerson(api, { password });
  const { accessToken } = await signedIn(api, person);
  const { secret, uri } = (await api.post('second-factors/totp', {}, accessToken)).body as { secret: string; uri: string };
  const confirmed = await api.post('second-factors/totp/confirm', { code: codeAt(secret, now) }, accessToken);
  return { person, accessToken, secret, uri, recoveryCodes: (confirmed.body as { recoveryCodes: string[] }).recoveryCodes };
}

async function withPasskey() {
  const person = await aPerson(api);
  const { accessToken } = await signedIn(api, person);
  const authenticator = anAuthenticator(SITE);
  const options = (await api.post('second-factors/passkeys/options', {}, accessToken)).body as Options;
  const added = await api.post('second-factors/passkeys', { name: 'key ring', response: authenticator.create(options) }, accessToken);
  expect(added).toMatchObject({ status: 201, body: { id: authenticator.id } });
  return { person, accessToken, authenticator };
}

test('an authenticator app is taken into use by a code, and asked for from then on', async () => {
  const { person, accessToken, secret, uri, recoveryCodes } = await withTotp();
  expect(uri).toContain(`otpauth://totp/TIU:${person.name}?`);
  expect(recoveryCodes).toHaveLength(10);
  expect(new Set(recoveryCodes).size).toBe(10);
  for (const code of recoveryCodes) expect(code).toMatch(/^([2-9A-HJ-NP-Z]{5}-){5}[2-9A-HJ-NP-Z]$/);
  const kept = JSON.stringify(
    await rows('select t::text from totp t union all select r::text from recovery_code r union all select o::text from one_time o'),
  );
  for (const hidden of [secret, recoveryCodes[0] ?? '', Buffer.from(secret).toString('hex')]) expect(kept).not.toContain(hidden);
  now += 30_000;
  const step = await login(person);
  expect(step).toMatchObject({ status: 'mfa_required', methods: ['totp', 'recovery'], passkeyOptions: null, expiresIn: 300 });
  const answer = await mfa(step.mfaToken, { code: codeAt(secret, now) });
  expect(answer).toMatchObject({ status: 200, body: { status: 'signed_in', refreshToken: expect.any(String) } });
  expect(await rows('select mfa from session where account = $1 order by created desc, id desc limit 1', [person.id])).toEqual([
    { mfa: true },
  ]);
  expect((await api.call('GET', '/api/v1/auth/second-factors', { key: accessToken })).body).toMatchObject({
    totp: { confirmedAt: expect.any(String) },
    recoveryCodes: 10,
    passkeys: [],
  });
  expect(await lastMail(api, person.email)).toContain('an authenticator app was added');
});

test('until it is confirmed an authenticator app is not asked for, and can be begun again', async () => {
  const person = await aPerson(api);
  const { accessToken } = await signedIn(api, person);
  for (let round = 0; round < 2; round += 1) expect((await api.post('second-factors/totp', {}, accessToken)).status).toBe(200);
  expect((await api.post('second-factors/totp/confirm', { code: '000000' }, accessToken)).body).toMatchObject({ code: 'invalid_code' });
  expect((await login(person)) as object).toMatchObject({ status: 'signed_in' });
});

test('codes of the neighbouring steps are taken, those further away are not', async () => {
  const { person, secret } = await withTotp();
  now += 600_000;
  for (const steps of [-2, 2]) expect((await mfa((await login(person)).mfaToken, { code: codeAt(secret, now, steps) })).status).toBe(401);
  for (const steps of [-1, 1]) expect((await mfa((await login(person)).mfaToken, { code: codeAt(secret, now, steps) })).status).toBe(200);
});

test('no code is taken twice, nor one before it, however many show it at once', async () => {
  const { person, secret } = await withTotp();
  expect((await mfa((await login(person)).mfaToken, { code: codeAt(secret, now) })).status).toBe(401);
  now += 60_000;
  const tokens = [(await login(person)).mfaToken, (await login(person)).mfaToken, (await login(person)).mfaToken];
  const answers = await Promise.all(tokens.map((token) => mfa(token, { code: codeAt(secret, now) })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
  expect((await mfa((await login(person)).mfaToken, { code: codeAt(secret, now, -1) })).status).toBe(401);
});

test('the second step is good once and for five minutes', async () => {
  const { person, secret } = await withTotp();
  now += 60_000;
  const { mfaToken } = await login(person);
  now += 300_000;
  expect((await mfa(mfaToken, { code: codeAt(secret, now) })).body).toMatchObject({ status: 401, code: 'invalid_code' });
  const next = (await login(person)).mfaToken;
  expect((await mfa(next, { code: codeAt(secret, now) })).status).toBe(200);
  now += 60_000;
  expect((await mfa(next, { code: codeAt(secret, now) })).status).toBe(401);
});

test('tries of codes are counted over all sign-ins, and a success forgets them', async () => {
  const { person, secret, recoveryCodes } = await withTotp();
  for (let failures = 0; failures < 4; failures += 1)
    expect((await mfa((await login(person)).mfaToken, { code: '000000' })).status).toBe(401);
  now += 500;
  const { mfaToken } = await login(person);
  expect((await mfa(mfaToken, { code: codeAt(secret, now) })).body).toMatchObject({ status: 429, code: 'too_many_tries' });
  expect((await mfa(mfaToken, { recoveryCode: recoveryCodes[0] })).status).toBe(200);
  now += 30_000;
  expect((await mfa((await login(person)).mfaToken, { code: codeAt(secret, now) })).status).toBe(200);
});

test('a token that nobody has is answered as a wrong code', async () => {
  const { person } = await withTotp();
  const { mfaToken } = await login(person);
  const [known, unknown] = [await mfa(mfaToken, { code: '000000' }), await mfa('tiuo_nobody', { code: '000000' })];
  const shape = ({ status, body }: { status: number; body: unknown }) => ({ status, ...(body as object), requestId: '' });
  expect(shape(unknown)).toEqual(shape(known));
});

test('each recovery code opens once, with or without dashes', async () => {
  const { person, accessToken, recoveryCodes } = await withTotp();
  const [first = '', second = ''] = recoveryCodes;
  const tokens = [(await login(person)).mfaToken, (await login(person)).mfaToken];
  const answers = await Promise.all(tokens.map((token) => mfa(token, { recoveryCode: first })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
  expect((await mfa((await login(person)).mfaToken, { recoveryCode: ` ${second.toLowerCase().replaceAll('-', '')}` })).status).toBe(200);
  const renewed = (await api.post('second-factors/recovery-codes', {}, accessToken)).body as { recoveryCodes: string[] };
  expect((await mfa((await login(person)).mfaToken, { recoveryCode: recoveryCodes[2] })).status).toBe(401);
  expect((await mfa((await login(person)).mfaToken, { recoveryCode: renewed.recoveryCodes[0] })).status).toBe(200);
});

test('the last factor stays while the password is too short to stand alone', async () => {
  const { person, accessToken, recoveryCodes } = await withTotp();
  const change = (currentPassword: string, newPassword: string) =>
    api.post('change-password', { currentPassword, newPassword, revokeOtherSessions: false }, accessToken);
  expect((await change(PASSWORD, 'qvzj-8wm')).status).toBe(204);
  expect((await remove('totp', accessToken)).body).toMatchObject({ status: 409, code: 'last_second_factor' });
  expect((await mfa((await login({ ...person, password: 'qvzj-8wm' })).mfaToken, { recoveryCode: recoveryCodes[0] })).status).toBe(200);
  expect((await change('qvzj-8wm', PASSWORD)).status).toBe(204);
  expect((await remove('totp', accessToken)).status).toBe(204);
  expect((await remove('totp', accessToken)).status).toBe(404);
  expect((await login(person)) as object).toMatchObject({ status: 'signed_in' });
  expect(await rows('select 1 from recovery_code where account = $1', [person.id])).toEqual([]);
});

test('factors change only for who has proved a moment ago who they are, and a factor proves it', async () => {
  const { accessToken, secret } = await withTotp();
  now += 3_600_001;
  for (const path of ['totp', 'passkeys/options', 'recovery-codes'])
    expect((await api.post(`second-factors/${path}`, {}, accessToken)).body).toMatchObject({ code: 'reauthentication_required' });
  expect((await remove('totp', accessToken)).body).toMatchObject({ code: 'reauthentication_required' });
  expect((await api.post('reauthenticate', { code: '000000' }, accessToken)).body).toMatchObject({ code: 'invalid_code' });
  const proved = await api.post('reauthenticate', { code: codeAt(secret, now) }, accessToken);
  expect(proved.status).toBe(200);
  expect((await remove('totp', (proved.body as { accessToken: string }).accessToken)).status).toBe(204);
});

test('a passkey is the second factor of a sign-in', async () => {
  const { person, authenticator } = await withPasskey();
  const step = await login(person);
  expect(step).toMatchObject({ methods: ['passkey', 'recovery'], passkeyOptions: { allowCredentials: [{ id: authenticator.id }] } });
  const options = step.passkeyOptions ?? { challenge: '' };
  expect((await mfa(step.mfaToken, { passkey: authenticator.get(options) })).status).toBe(200);
  // the challenge is used up
  expect((await mfa((await login(person)).mfaToken, { passkey: authenticator.get(options) })).status).toBe(401);
});

const askPasskey = async () => (await api.post('login/passkey/options', {})).body as { challenge: string };
const signInBy = (passkey: object) => api.post('login/passkey', { passkey, deviceName: 'phone' });

test('a passkey signs in without a name', async () => {
  const { person, authenticator } = await withPasskey();
  const answer = await signInBy(authenticator.get(await askPasskey()));
  expect(answer).toMatchObject({ status: 200, body: { status: 'signed_in' } });
  const [session] = await rows('select method, mfa, device from session where account = $1 order by created desc, id desc limit 1', [
    person.id,
  ]);
  expect(session).toEqual({ method: 'passkey', mfa: true, device: 'phone' });
});

test('of many answers to one challenge one opens a session', async () => {
  const { authenticator } = await withPasskey();
  const options = await askPasskey();
  const answers = await Promise.all(Array.from({ length: 4 }, () => signInBy(authenticator.get(options))));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
});

test.each([
  ['of another site', { origin: 'https://evil.example' }],
  ['for another party', { rpId: 'evil.example' }],
  ['to a challenge nobody gave', { challenge: 'bm9ib2R5' }],
  ['without the person', { unverified: true }],
  ['with a counter that did not grow', { counter: 1 }],
  ['with another key', { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }],
  ['of another kind', { type: 'webauthn.create' }],
] as const)('a passkey opens nothing: %s', async (_, lies) => {
  const { authenticator } = await withPasskey();
  const answer = await signInBy(authenticator.get(await askPasskey(), lies));
  expect(answer.body).toMatchObject({ status: 401, code: 'invalid_code' });
});

test('a challenge for one account opens no other, and neither does that of a registration', async () => {
  const [mine, other] = [await withPasskey(), await withPasskey()];
  const step = await login(mine.person);
  expect((await mfa(step.mfaToken, { passkey: other.authenticator.get(step.passkeyOptions ?? { challenge: '' }) })).status).toBe(401);
  expect((await signInBy(mine.authenticator.get((await login(mine.person)).passkeyOptions ?? { challenge: '' }))).status).toBe(401);
  const registration = (await api.post('second-factors/passkeys/options', {}, mine.accessToken)).body as Options;
  expect((await signInBy(mine.authenticator.get(registration))).status).toBe(401);
  const foreign = anAuthenticator(SITE).create(registration);
  expect((await api.post('second-factors/passkeys', { name: 'x', response: foreign }, other.accessToken)).body).toMatchObject({
    code: 'link_invalid',
  });
});

test('an account has as many passkeys as it may, each of them once', async () => {
  const { accessToken, authenticator } = await withPasskey();
  const options = (await api.post('second-factors/passkeys/options', {}, accessToken)).body as Options;
  expect((options as unknown as { excludeCredentials: { id: string }[] }).excludeCredentials).toMatchObject([{ id: authenticator.id }]);
  const second = anAuthenticator(SITE);
  expect((await api.post('second-factors/passkeys', { name: 'b', response: second.create(options) }, accessToken)).status).toBe(201);
  expect((await api.post('second-factors/passkeys/options', {}, accessToken)).body).toMatchObject({
    status: 409,
    code: 'too_many_passkeys',
  });
  expect((await remove(`passkeys/${second.id}`, accessToken)).status).toBe(204);
  expect((await remove(`passkeys/${second.id}`, accessToken)).status).toBe(404);
  expect((await signInBy(second.get(await askPasskey()))).status).toBe(401);
});

test('a passkey of somebody else is not to be removed', async () => {
  const [mine, other] = [await withPasskey(), await withPasskey()];
  expect((await remove(`passkeys/${mine.authenticator.id}`, other.accessToken)).status).toBe(404);
});
