import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { openSecretCipher } from '../../src/providers/secretCipher/secretCipher.ts';
import { anApi, type TestApi } from './anApi.ts';

const K1 = `k1:${Buffer.alloc(32, 1).toString('base64')}`;
const K2 = `k2:${Buffer.alloc(32, 2).toString('base64')}`;

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_SECRET_KEYS: K1, TIU_MAX_SECRET: '100', TIU_MAX_SECRETS: '3' });
});
afterAll(() => api.stop());
afterEach(async () => {
  api.deps.secretCipher = openSecretCipher({ TIU_SECRET_KEYS: K1 });
  await api.deps.db.rows({ name: 'forget', text: 'delete from secret', values: [] });
});

const set = (name: string, value: unknown, options: object = {}) =>
  api.call('PUT', `/api/v1/secrets/${name}`, { body: { value }, ...options });
const list = async (options: object = {}) => (await api.call('GET', '/api/v1/secrets', options)).body as { items: { name: string }[] };
const rows = (what: string) => api.deps.db.rows<Record<string, string>>({ name: what, text: what, values: [] });

test('a secret is set and listed without its value, which the database never sees', async () => {
  const made = await set('token', 'a-value-nobody-sees');
  expect(made).toMatchObject({ status: 200, body: { name: 'token', version: 1, keyId: 'k1', createdBy: expect.stringMatching(/^key:/) } });
  expect((await set('token', 'a-later-value')).body).toMatchObject({ version: 2 });
  await set('Another-1', 'a-value-nobody-sees');
  const listed = await api.call('GET', '/api/v1/secrets');
  expect((listed.body as { items: object[] }).items).toMatchObject([
    { name: 'Another-1', version: 1 },
    { name: 'token', version: 2 },
  ]);
  const told = [
    made.text,
    listed.text,
    ...(await rows('select t::text from secret t')).map(({ t }) => t),
    JSON.stringify(await rows('select * from audit')),
  ];
  for (const text of told)
    for (const hidden of ['nobody-sees', 'a-later', Buffer.from('nobody-sees').toString('hex')]) expect(text).not.toContain(hidden);
});

test('pages follow each other in the order of names', async () => {
  for (const name of ['b', 'A', 'c']) await set(name, 'long-enough');
  const first = await api.call('GET', '/api/v1/secrets?limit=2');
  const { items, nextCursor } = first.body as { items: { name: string }[]; nextCursor: string };
  expect(items.map(({ name }) => name)).toEqual(['A', 'b']);
  const second = (await api.call('GET', `/api/v1/secrets?cursor=${nextCursor}`)).body as { items: { name: string }[]; nextCursor: null };
  expect(second).toMatchObject({ items: [{ name: 'c' }], nextCursor: null });
});

test('what was done is in the audit, by whom and to which secret', async () => {
  const owner = await api.base.open('tiu_owner', 1);
  await owner.pool.query('delete from audit');
  await set('token', 'long-enough');
  await api.call('DELETE', '/api/v1/secrets/token');
  expect(await rows('select action, subject, actor from audit order by at, id')).toEqual([
    { action: 'secret.set', subject: 'secret:token', actor: expect.stringMatching(/^key:/) },
    { action: 'secret.delete', subject: 'secret:token', actor: expect.stringMatching(/^key:/) },
  ]);
});

test('a deleted secret is gone, and deleting it again is a 404', async () => {
  await set('token', 'long-enough');
  expect((await api.call('DELETE', '/api/v1/secrets/token')).status).toBe(204);
  expect((await list()).items).toEqual([]);
  expect((await api.call('DELETE', '/api/v1/secrets/token')).body).toMatchObject({ code: 'not_found' });
});

test.each([
  ['too short', 'token', '1234567', '/value', 'too_small'],
  ['too long', 'token', 'x'.repeat(101), '/value', 'too_big'],
  ['too long in bytes', 'token', 'ü'.repeat(51), '/value', 'too_big'],
  ['half a surrogate pair', 'token', 'long-enough\ud800', '/value', 'invalid_value'],
  ['no text', 'token', 12345678, '/value', 'invalid_type'],
  ['a name with a space', 'to%20ken', 'long-enough', '/path/name', 'invalid_format'],
  ['a name that is too long', 'x'.repeat(64), 'long-enough', '/path/name', 'invalid_format'],
])('refused, without saying the value: %s', async (_, name, value, pointer, code) => {
  const answer = await set(name, value);
  expect(answer.body).toMatchObject({ status: 422, code: 'invalid_request', issues: [{ pointer, code }] });
  expect(answer.text).not.toContain(String(value));
});

test('at their bounds values and names are taken', async () => {
  expect((await set('x'.repeat(63), '12345678')).status).toBe(200);
  expect((await set('token', 'ü'.repeat(50))).status).toBe(200);
});

test('a body that is no JSON is refused without being quoted', async () => {
  const headers = { 'content-type': 'application/json' };
  const answer = await api.call('PUT', '/api/v1/secrets/token', { raw: '{"value": canary-in-here', headers });
  expect(answer.body).toMatchObject({ code: 'malformed_body' });
  expect(answer.text).not.toContain('canary');
});

test('a workspace has as many as it may, and those it has can be set again', async () => {
  for (const name of ['a', 'b', 'c']) await set(name, 'long-enough');
  expect((await set('d', 'long-enough')).body).toMatchObject({ status: 409, code: 'too_many_secrets' });
  expect((await set('c', 'long-enough')).body).toMatchObject({ version: 2 });
  expect((await set('d', 'long-enough', { key: api.stranger.key })).status).toBe(200);
});

test('secrets are those of a workspace, and need their scope', async () => {
  await set('token', 'long-enough');
  expect((await list({ key: api.stranger.key })).items).toEqual([]);
  expect((await api.call('DELETE', '/api/v1/secrets/token', { key: api.stranger.key })).status).toBe(404);
  const { key } = await createApiKey(api.deps.db, {
    ...{ workspace: api.owner.workspace, name: 'weak', by: 'test' },
    scopes: ['runs:read', 'runs:write', 'workflows:write', 'keys:manage', 'system:read'],
  });
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', '/token'],
    ['POST', '/reencrypt'],
  ] as const)
    expect((await api.call(method, `/api/v1/secrets${path}`, { key })).body).toMatchObject({ code: 'forbidden' });
  expect((await set('token', 'long-enough', { key })).body).toMatchObject({ code: 'forbidden' });
});

test('without keys nothing can be set, and what is there can be listed and deleted', async () => {
  await set('token', 'long-enough');
  api.deps.secretCipher = openSecretCipher({});
  expect((await set('token', 'long-enough')).body).toMatchObject({ status: 409, code: 'secrets_not_configured' });
  expect((await api.call('POST', '/api/v1/secrets/reencrypt')).body).toMatchObject({ code: 'secrets_not_configured' });
  expect((await list()).items).toHaveLength(1);
  expect((await api.call('DELETE', '/api/v1/secrets/token')).status).toBe(204);
});

test('re-encryption brings all of a workspace under the current key, and says what no key opens', async () => {
  for (const name of ['a', 'b']) await set(name, `value-of-${name}`);
  await set('theirs', 'long-enough', { key: api.stranger.key });
  api.deps.secretCipher = openSecretCipher({ TIU_SECRET_KEYS: `k9:${Buffer.alloc(32, 9).toString('base64')}` });
  await set('lost', 'long-enough');
  api.deps.secretCipher = openSecretCipher({ TIU_SECRET_KEYS: `${K2},${K1}` });
  const unreadable = [{ name: 'lost', keyId: 'k9', code: 'secret_key_unknown' }];
  expect((await api.call('POST', '/api/v1/secrets/reencrypt')).body).toEqual({ keyId: 'k2', rewritten: 2, unreadable });
  expect((await api.call('POST', '/api/v1/secrets/reencrypt')).body).toEqual({ keyId: 'k2', rewritten: 0, unreadable });
  expect((await list()).items).toMatchObject([
    { name: 'a', keyId: 'k2', version: 1 },
    { name: 'b', keyId: 'k2', version: 1 },
    { name: 'lost', keyId: 'k9' },
  ]);
  expect((await list({ key: api.stranger.key })).items).toMatchObject([{ name: 'theirs', keyId: 'k1' }]);
  const [row] = await api.deps.db.rows<{ sealed: Buffer }>({ name: 'a', text: `select sealed from secret where name = 'a'`, values: [] });
  const onlyNew = openSecretCipher({ TIU_SECRET_KEYS: K2 });
  expect(onlyNew.open({ workspace: api.owner.workspace, name: 'a' }, { keyId: 'k2', sealed: row?.sealed ?? Buffer.alloc(0) })).toBe(
    'value-of-a',
  );
});

test('former values that hooks still accept come under the current key too, so that the key before can go', async () => {
  const value = (n: number) => Buffer.alloc(32, n).toString('base64');
  await set('signing', value(1));
  const hook = { event: { name: 'came' }, secret: 'signing', scheme: 'standard-webhooks' };
  expect((await api.call('PUT', '/api/v1/hooks/rotated', { body: hook })).status).toBe(200);
  await set('signing', value(2));
  api.deps.secretCipher = openSecretCipher({ TIU_SECRET_KEYS: `${K2},${K1}` });
  expect((await api.call('POST', '/api/v1/secrets/reencrypt')).body).toEqual({ keyId: 'k2', rewritten: 2, unreadable: [] });
  const past = await api.deps.db.rows<{ key_id: string; sealed: Buffer }>({
    name: 'p',
    text: 'select key_id, sealed from secret_past',
    values: [],
  });
  const onlyNew = openSecretCipher({ TIU_SECRET_KEYS: K2 });
  const place = { workspace: api.owner.workspace, name: 'signing' };
  expect(past.map(({ key_id: keyId, sealed }) => onlyNew.open(place, { keyId, sealed }))).toEqual([value(1)]);
});

test('a key to the system workspace re-encrypts the secrets of all', async () => {
  await set('ours', 'long-enough');
  await set('theirs', 'long-enough', { key: api.stranger.key });
  api.deps.secretCipher = openSecretCipher({ TIU_SECRET_KEYS: `${K2},${K1}` });
  const { key } = await createApiKey(api.deps.db, {
    workspace: SYSTEM_WORKSPACE,
    name: 'operator',
    scopes: ['secrets:manage'],
    by: 'test',
  });
  expect((await api.call('POST', '/api/v1/secrets/reencrypt', { key })).body).toMatchObject({ rewritten: 2, unreadable: [] });
  expect(await rows('select distinct key_id from secret')).toEqual([{ key_id: 'k2' }]);
});
