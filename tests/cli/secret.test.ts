import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from '../api/anApi.ts';
import { tiu as inProcess } from './aTerminal.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_SECRET_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` });
});
afterAll(() => api.stop());

const tiu = (args: string[], input?: string) =>
  inProcess(args, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key }, ...(input !== undefined && { input }) });
const kept = async (name: string): Promise<string> => {
  const [row] = await api.deps.db.rows<{ key_id: string; sealed: Buffer }>({
    name: 'kept',
    text: 'select key_id, sealed from secret where name = $1',
    values: [name],
  });
  const place = { workspace: api.owner.workspace, name };
  return api.deps.secretCipher.open(place, { keyId: row?.key_id ?? '', sealed: row?.sealed ?? Buffer.alloc(0) });
};

test('secret set takes the value from standard input, without the line break at its end, and prints it nowhere', async () => {
  const { code, out, err } = await tiu(['secret', 'set', 'token'], 'a value of\ntwo lines\n');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^token {2}version 1 {2}key k1 {2}\S+ {2}key:\S+\n$/);
  expect(await kept('token')).toBe('a value of\ntwo lines');
  expect((await tiu(['secret', 'set', 'token', 'a value'])).code).toBe(2);
});

test('secret list shows names, secret delete deletes, and what the service refuses exits with 1', async () => {
  await tiu(['secret', 'set', 'other'], 'another value');
  expect((await tiu(['secret', 'list'])).out.split('\n').map((line) => line.split(' ')[0])).toEqual(['other', 'token', '']);
  expect(JSON.parse((await tiu(['secret', 'list', '--json'])).out)).toMatchObject([{ name: 'other', keyId: 'k1' }, { name: 'token' }]);
  expect(await tiu(['secret', 'delete', 'other'])).toMatchObject({ code: 0, out: 'deleted other\n' });
  expect(await tiu(['secret', 'delete', 'other'])).toMatchObject({ code: 1, err: expect.stringContaining('not_found') as unknown });
  const refused = await tiu(['secret', 'set', 'short'], 'abc123');
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('/value') as unknown });
  expect(refused.err).not.toContain('abc123');
  expect((await tiu(['secret', 'reencrypt'])).out).toBe('0 now under k1\n');
});
