import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { createPayloadCipher } from '../../src/providers/payloadCipher/payloadCipher.ts';
import { anApi, type TestApi } from './anApi.ts';

const UI = 'http://127.0.0.1:8233';
const TOKEN = 'a'.repeat(43);
const key = { id: 'k1', secret: Buffer.alloc(32, 1) };

let api: TestApi;
beforeAll(async () => {
  const keys = `${key.id}:${key.secret.toString('base64')}`;
  api = await anApi({ TIU_PAYLOAD_KEYS: keys, TIU_CODEC_ORIGINS: `https://elsewhere.test, ${UI}`, TIU_CODEC_TOKEN: TOKEN });
});
afterAll(() => api.stop());

const base64 = (text: string) => Buffer.from(text).toString('base64');
const plain = { metadata: { encoding: base64('json/plain') }, data: base64('"hello"') };
const ask = (path: string, payloads: object[], options: object = {}) =>
  api.call('POST', `/api/v1/codec/${path}`, { body: { payloads }, ...options });

test('what the codec server seals it opens again, in the order of the request; what is not sealed passes', async () => {
  const sealed = await ask('encode', [plain, { ...plain, data: base64('2') }]);
  expect(sealed.status).toBe(200);
  const { payloads } = sealed.body as { payloads: (typeof plain)[] };
  expect(payloads.map(({ metadata }) => metadata.encoding)).toEqual(Array(2).fill(base64('binary/tiu-sealed-1')));
  const opened = await ask('decode', [...payloads, plain]);
  expect(opened.body).toEqual({ payloads: [plain, { ...plain, data: base64('2') }, plain] });
});

test('the parameters that the Temporal UI adds are no hindrance', async () => {
  expect((await ask('decode?preserveStorageRefs=true&page=1', [plain])).status).toBe(200);
});

test('without a key, with one that may not, or with a wrong token nothing is opened', async () => {
  expect((await ask('decode', [plain], { key: null })).status).toBe(401);
  const { key: weak } = await createApiKey(api.deps.db, {
    workspace: api.owner.workspace,
    name: 'weak',
    scopes: ['runs:read', 'system:read'],
    by: 'test',
  });
  expect((await ask('decode', [plain], { key: weak })).body).toMatchObject({ code: 'forbidden' });
  expect((await ask(`${TOKEN}/decode`, [plain], { key: null })).status).toBe(200);
  expect((await ask(`${TOKEN.replace('a', 'b')}/decode`, [plain], { key: null })).status).toBe(404);
  expect((await ask('short/decode', [plain], { key: null })).status).toBe(404);
});

test('a payload under an unknown key is a problem that names the key', async () => {
  const sealed = createPayloadCipher([{ id: 'gone', secret: Buffer.alloc(32, 2) }]).seal({ data: Buffer.from('x') });
  const wire = {
    metadata: Object.fromEntries(
      Object.entries(sealed.metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
    ),
    data: Buffer.from(sealed.data ?? []).toString('base64'),
  };
  const answer = await ask('decode', [wire]);
  expect(answer.body).toMatchObject({ code: 'payload_key_unknown', status: 422 });
  expect(answer.text).toContain('the key gone');
  expect((await ask('decode', [{ ...plain, data: '§' }])).body).toMatchObject({ code: 'invalid_request' });
});

const preflight = (path: string, origin: string) =>
  fetch(`${api.url}${path}`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,x-namespace' },
  });

test('pages of the Temporal UI may ask, pages of another origin may not', async () => {
  const allowed = await preflight('/api/v1/codec/decode', UI);
  expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([204, UI]);
  expect(allowed.headers.get('access-control-allow-headers')).toContain('authorization');
  expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
  const answer = await ask('decode', [plain], { headers: { origin: UI } });
  expect([answer.headers.get('access-control-allow-origin'), answer.headers.get('vary')]).toEqual([UI, expect.stringContaining('Origin')]);
  const refused = await preflight('/api/v1/codec/decode', 'http://127.0.0.1:8234');
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([405, null]);
});

test('no other route is open to pages of the Temporal UI', async () => {
  for (const path of ['/api/v1/runs', '/api/v1/codecs/decode', '/health'])
    expect((await preflight(path, UI)).headers.get('access-control-allow-origin')).toBeNull();
});
