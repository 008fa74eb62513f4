import { expect, test } from '@jest/globals';
import { openTokens } from '../../src/providers/tokens/tokens.ts';

const SETTINGS = { TIU_TOKEN_AUDIENCE: 'tiu', TIU_ACCESS_TOKEN_TTL: 60_000 };
const grant = {
  account: '018f0000-0000-7000-8000-000000000001',
  session: '018f0000-0000-7000-8000-000000000002',
  workspace: '018f0000-0000-7000-8000-000000000003',
};
const key = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`;
const open = (keys: string, now = () => 1_000_000_500, more: object = {}) =>
  openTokens({ ...SETTINGS, TIU_TOKEN_KEYS: keys, ...more }, now);

test('a token says what it was given, until its time', async () => {
  let now = 1_000_000_000;
  const tokens = await open(key('k1', 1), () => now);
  const token = await tokens.signAccess(grant);
  expect(await tokens.verifyAccess(token)).toEqual({ ...grant, expires: now + 60_000 });
  now += 59_999;
  expect(await tokens.verifyAccess(token)).toMatchObject(grant);
  now += 1;
  await expect(tokens.verifyAccess(token)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('clocks may be five seconds apart', async () => {
  const token = await (await open(key('k1', 1), () => 1_000_005_000)).signAccess(grant);
  expect(await (await open(key('k1', 1), () => 1_000_000_000)).verifyAccess(token)).toMatchObject(grant);
  await expect((await open(key('k1', 1), () => 999_999_999)).verifyAccess(token)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test.each([
  ['another issuer', { TIU_TOKEN_ISSUER: 'https://a.example' }],
  ['another address', { TIU_PUBLIC_URL: 'https://a.example' }],
  ['another audience', { TIU_TOKEN_AUDIENCE: 'b' }],
])('a token of %s is refused', async (_, more) => {
  const token = await (await open(key('k1', 1), undefined, more)).signAccess(grant);
  expect(await (await open(key('k1', 1), undefined, more)).verifyAccess(token)).toMatchObject(grant);
  await expect((await open(key('k1', 1))).verifyAccess(token)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('the successor of a refresh token is always the same, and another one for each key', async () => {
  const tokens = await open(`${key('k1', 1)},${key('k2', 2)}`);
  const [first, second] = tokens.successors('tiur_x');
  expect(tokens.successors('tiur_x')).toEqual([first, second]);
  expect((await open(key('k2', 2))).successors('tiur_x')).toEqual([second]);
  expect(new Set([first, second, ...tokens.successors('tiur_y')]).size).toBe(4);
});

test.each([
  ['of other form', 'k1:short', 'token key 1: expected id:base64, the base64 of 32 bytes'],
  ['that is no scalar of the curve', key('k1', 0), 'token key k1: is no private key of P-256; make another one'],
  ['beyond its order', key('k1', 255), 'token key k1: is no private key of P-256; make another one'],
])('a key %s is told without what it holds', async (_, keys, message) => {
  await expect(open(keys)).rejects.toThrow(message);
});
