import { expect, test } from '@jest/globals';
import { openSecretCipher } from '../../src/providers/secretCipher/secretCipher.ts';
import { Problem } from '../../src/domain/problem.ts';

const written = (id: string, fill: number): string => `${id}:${Buffer.alloc(32, fill).toString('base64')}`;
const place = { workspace: 'w1', name: 'token' };
const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'none';
  } catch (error) {
    return error instanceof Problem ? error.code : String(error);
  }
};

test('a sealed secret opens for its workspace and name, and nowhere else', () => {
  const cipher = openSecretCipher({ TIU_SECRET_KEYS: written('k1', 1) });
  const secret = cipher.seal(place, 'grüße, a value');
  expect(secret.sealed.includes('value')).toBe(false);
  expect(cipher.open(place, secret)).toBe('grüße, a value');
  expect(codeOf(() => cipher.open({ ...place, name: 'other' }, secret))).toBe('secret_not_opened');
  expect(codeOf(() => cipher.open({ ...place, workspace: 'w2' }, secret))).toBe('secret_not_opened');
  expect(codeOf(() => cipher.open(place, { ...secret, sealed: secret.sealed.subarray(1) }))).toBe('secret_not_opened');
});

test('after a rotation the new key seals and the old one still opens', () => {
  const before = openSecretCipher({ TIU_SECRET_KEYS: written('k1', 1) });
  const after = openSecretCipher({ TIU_SECRET_KEYS: `${written('k2', 2)},${written('k1', 1)}` });
  expect(after.open(place, before.seal(place, 'a value'))).toBe('a value');
  expect(after.seal(place, 'a value').keyId).toBe('k2');
  expect(codeOf(() => before.open(place, after.seal(place, 'a value')))).toBe('secret_key_unknown');
});

test('a secret does not open under the name of another key, even one with the same bytes', () => {
  const cipher = openSecretCipher({ TIU_SECRET_KEYS: `${written('k1', 1)},${written('k2', 1)}` });
  expect(codeOf(() => cipher.open(place, { ...cipher.seal(place, 'a value'), keyId: 'k2' }))).toBe('secret_not_opened');
});

test('without keys nothing is sealed', () => {
  const cipher = openSecretCipher({});
  expect(cipher.keyId).toBeNull();
  expect(codeOf(() => cipher.seal(place, 'a value'))).toBe('secrets_not_configured');
});

test('a key that is wrong is told by its place, without what it holds', () => {
  expect(codeOf(() => openSecretCipher({ TIU_SECRET_KEYS: `${written('k1', 1)},k2:short` }))).toBe(
    'Error: secret key 2: expected id:base64, the base64 of 32 bytes',
  );
});
