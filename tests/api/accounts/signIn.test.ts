import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aStoppedClock } from '../../support/aStoppedClock.ts';
import { createPasswords } from '../../../src/providers/password/passwords.ts';
import { aPerson, OTHER, signedIn, someAccounts, type Accounts } from './aPerson.ts';

let api: Accounts;
const clock = aStoppedClock();
beforeAll(async () => {
  api = await someAccounts({ TIU_LOGIN_TRIES: '3', TIU_LOGIN_MAX_FAILURES: '12', TIU_LOGIN_DELAY: '1000', TIU_LOGIN_MAX_DELAY: '4000' });
  api.deps.clock = clock.now;
});
afterAll(() => api.stop());

const login = (identifier: string, password: string, more: object = {}) => api.post('login', { identifier, password, ...more });
const hashes = async () => (await api.deps.metrics.passwordHashes.get()).values.reduce((sum, { value }) => sum + value, 0);
const rows = <R extends object>(text: string, values: unknown[] = []) => api.deps.db.rows<R>({ name: '', text, values });

test('by name or address, in whichever spelling, a session is opened and noted', async () => {
  const person = await aPerson(api);
  for (const identifier of [person.name, person.name.toUpperCase(), person.email.toUpperCase(), ` ${person.email}`]) {
    const answer = await login(identifier, person.password, { deviceName: 'laptop' });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        status: 'signed_in',
        tokenType: 'Bearer',
        refreshToken: expect.stringMatching(/^tiur_/),
        deviceToken: expect.stringMatching(/^tiud_/),
      },
    });
  }
  const [session] = await rows(`select method, mfa, device from session where account = $1 limit 1`, [person.id]);
  expect(session).toEqual({ method: 'password', mfa: false, device: 'laptop' });
});

test('wrong password, unknown name, disabled account and what is no name at all get one answer, and one hash each', async () => {
  const [person, disabled] = [await aPerson(api), await aPerson(api)];
  await rows(`update account set status = 'disabled' where id = $1`, [disabled.id]);
  await login('warm_up', OTHER);
  const before = await hashes();
  const answers = [
    await login(person.name, OTHER),
    await login('nobody_here', OTHER),
    await login('nobody@people.example', OTHER),
    await login('no name !', OTHER),
    await login(disabled.name, disabled.password),
  ];
  expect(await hashes()).toBe(before + 5);
  const [first] = answers.map(({ status, body }) => ({ status, ...(body as object), requestId: '' }));
  expect(first).toMatchObject({ status: 401, code: 'invalid_credentials' });
  for (const { status, body } of answers) expect({ status, ...(body as object), requestId: '' }).toEqual(first);
  const audit = await rows(`select result, code from audit where action = 'auth.login_failed' and subject = $1`, [`user:${person.id}`]);
  expect(audit).toEqual([{ result: 'refused', code: 'invalid_credentials' }]);
});

test.each(['a person', 'nobody'])(
  'after some failures each try waits, twice as long each time, and no hash is computed: of %s',
  async (whose) => {
    const name = whose === 'nobody' ? 'nobody_waits' : (await aPerson(api)).name;
    for (let failures = 0; failures < 3; failures += 1) expect((await login(name, OTHER)).status).toBe(401);
    const before = await hashes();
    const refused = await login(name, OTHER);
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_tries' } });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await hashes()).toBe(before);
    clock.ahead += 1_001;
    expect((await login(name, OTHER)).status).toBe(401);
    clock.ahead += 1_500;
    expect((await login(name, OTHER)).status).toBe(429);
    clock.ahead += 600;
    expect((await login(name, OTHER)).status).toBe(401);
  },
);

test.each(['a person', 'nobody'])(
  'at half of the failures of an account its name opens nothing, whatever time passes: of %s',
  async (whose) => {
    const name = whose === 'nobody' ? 'nobody_closed' : (await aPerson(api)).name;
    for (let failures = 0; failures < 6; failures += 1) {
      expect((await login(name, OTHER)).status).toBe(401);
      clock.ahead += 4_001;
    }
    clock.ahead += 30 * 86_400_000;
    expect(await login(name, OTHER)).toMatchObject({ status: 423, body: { code: 'sign_in_disabled' } });
  },
);

test('success forgets the failures before it', async () => {
  const person = await aPerson(api);
  for (let round = 0; round < 3; round += 1) {
    for (const name of [person.name, person.email]) for (let failures = 0; failures < 2; failures += 1) await login(name, OTHER);
    expect((await login(person.name, person.password)).status).toBe(200);
  }
});

test('a known device is not held up by strangers, but by its own failures', async () => {
  const person = await aPerson(api);
  const { deviceToken: device } = await signedIn(api, person);
  for (let failures = 0; failures < 3; failures += 1) await login(person.name, OTHER);
  expect((await login(person.name, person.password)).status).toBe(429);
  expect((await login(person.name, person.password, { device: 'tiud_unknown' })).status).toBe(429);
  const again = await signedIn(api, person, { device });
  expect(again.deviceToken).toBe(device);
  // that of somebody else is of no use
  const stranger = await aPerson(api);
  for (let failures = 0; failures < 3; failures += 1) await login(stranger.name, OTHER);
  expect((await login(stranger.name, stranger.password, { device })).status).toBe(429);
  for (let failures = 0; failures < 3; failures += 1) expect((await login(person.name, OTHER, { device })).status).toBe(401);
  expect((await login(person.name, person.password, { device })).status).toBe(429);
});

test('a device is forgotten after its days', async () => {
  const person = await aPerson(api);
  const { deviceToken: device } = await signedIn(api, person);
  clock.ahead = 90 * 86_400_000 + 1;
  for (let failures = 0; failures < 3; failures += 1) await login(person.name, OTHER);
  expect((await login(person.name, person.password, { device })).status).toBe(429);
});

test('however many come at once, no more passwords are hashed than there are tries', async () => {
  const person = await aPerson(api);
  const before = await hashes();
  const answers = await Promise.all(Array.from({ length: 40 }, () => login(person.name, OTHER)));
  expect(await hashes()).toBe(before + 3);
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(3);
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(37);
});

test('a hash that cost less than today is replaced at sign-in, and opens as before', async () => {
  const person = await aPerson(api);
  const stored = async () =>
    (await rows<{ password: string }>('select password from account where id = $1', [person.id]))[0]?.password ?? '';
  const cheap = createPasswords({ memoryKiB: 256, passes: 1, lanes: 1, concurrent: 1, queued: 1 });
  await rows('update account set password = $2 where id = $1', [person.id, await cheap.hash(person.password)]);
  await signedIn(api, person);
  expect(await stored()).toContain('m=1024,t=2');
  await signedIn(api, person);
});

test('without keys for tokens nobody signs in, and it says so before anybody is looked up', async () => {
  const { tokens } = api.deps;
  api.deps.tokens = { ...tokens, isConfigured: false };
  expect((await login('nobody', OTHER)).body).toMatchObject({ code: 'sign_in_not_configured' });
  api.deps.tokens = tokens;
});
