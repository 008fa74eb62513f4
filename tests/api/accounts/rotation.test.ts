import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApiKey } from '../../../src/db/repositories/apiKeys.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { openSecretCipher } from '../../../src/providers/secretCipher/secretCipher.ts';
import { sql } from '../auth/aPerson.ts';
import { aPerson, codeAt, PASSWORD, signedIn, someAccounts, type Accounts, type Person } from './aPerson.ts';

const START = Math.floor(Date.now() / 30_000) * 30_000;
let now = START;
let api: Accounts;
let operator: string;
const [K1, K2, K3] = [1, 2, 3].map((n) => `k${n}:${Buffer.alloc(32, n).toString('base64')}`);
const use = (...keys: (string | undefined)[]) => {
  api.deps.secretCipher = openSecretCipher({ TIU_SECRET_KEYS: keys.join(',') });
};
beforeAll(async () => {
  api = await someAccounts();
  api.deps.clock = () => now;
  const workspace = SYSTEM_WORKSPACE;
  await sql(api.deps.engine, `insert into workspace (id, name, created) values ($1, 'tiu.system', now()) on conflict do nothing`, [
    workspace,
  ]);
  operator = (await createApiKey(api.deps.engine, { workspace, name: 'o', scopes: ['secrets:manage'], by: 'test' })).key;
});
afterAll(() => api.stop());

const reencrypt = async (key: string) => (await api.call('POST', '/api/v1/secrets/reencrypt', { key })).body;
const begun = async (person: Person) => {
  const { accessToken } = await signedIn(api, person);
  const { secret } = (await api.post('second-factors/totp', {}, accessToken)).body as { secret: string };
  return {
    secret,
    confirm: async () => (await api.post('second-factors/totp/confirm', { code: codeAt(secret, now) }, accessToken)).status,
  };
};
const signIn = async (person: Person, secret: string) => {
  const { mfaToken } = (await api.post('login', { identifier: person.name, password: PASSWORD })).body as { mfaToken: string };
  return (await api.post('login/mfa', { mfaToken, code: codeAt(secret, now) })).status;
};

test('authenticator apps come under the current key, one that is still to be confirmed too, and the old key can go', async () => {
  use(K1);
  const [person, other, lost] = [await aPerson(api), await aPerson(api), await aPerson(api)];
  const [app, pending] = [await begun(person), await begun(other)];
  expect(await app.confirm()).toBe(200);
  use(K3);
  await begun(lost);
  use(K2, K1);
  expect(await reencrypt(api.owner.key)).toMatchObject({ rewritten: 0 }); // they belong to no workspace
  const unreadable = [{ name: `totp/${lost.id}`, keyId: 'k3', code: 'secret_key_unknown' }];
  expect(await reencrypt(operator)).toEqual({ keyId: 'k2', rewritten: 2, unreadable });
  expect(await reencrypt(operator)).toEqual({ keyId: 'k2', rewritten: 0, unreadable });
  use(K2);
  now += 30_000;
  expect(await signIn(person, app.secret)).toBe(200);
  expect(await pending.confirm()).toBe(200);
  const written = await sql(api.deps.engine, `select subject, data from audit where action = 'second_factor.reencrypt' order by subject`);
  const of = [person, other].map(({ id }) => `user:${id}`).sort();
  expect(written).toEqual(of.map((subject) => ({ subject, data: { keyId: 'k2' } })));
});
