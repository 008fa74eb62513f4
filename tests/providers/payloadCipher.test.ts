import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { payloadFromBytes, payloadToBytes } from '../../src/providers/payloadCipher/payloadBytes.ts';
import { createPayloadCipher } from '../../src/providers/payloadCipher/payloadCipher.ts';
import { openPayloadCipher } from '../../src/providers/payloadCipher/payloadKeys.ts';
import { Problem } from '../../src/domain/problem.ts';

const aKey = (id: string, fill: number) => ({ id, secret: Buffer.alloc(32, fill) });
const written = (id: string, fill: number) => `${id}:${Buffer.alloc(32, fill).toString('base64')}`;
const aPayload = (text = 'hello') => ({ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(text) });
const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'none';
  } catch (error) {
    return error instanceof Problem ? error.code : String(error);
  }
};

test('what is sealed opens again, and shows nothing but how it is sealed', () => {
  const cipher = createPayloadCipher([aKey('k1', 1)]);
  const sealed = cipher.seal(aPayload('a secret'));
  expect(Object.fromEntries(Object.entries(sealed.metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString()]))).toEqual({
    encoding: 'binary/tiu-sealed-1',
    'encryption-key-id': 'k1',
  });
  expect(Buffer.from(sealed.data ?? []).includes('secret')).toBe(false);
  expect(Buffer.from(sealed.data ?? []).includes('json')).toBe(false);
  expect(cipher.open(sealed)).toEqual(aPayload('a secret'));
});

test('two seals of the same payload differ', () => {
  const cipher = createPayloadCipher([aKey('k1', 1)]);
  expect(cipher.seal(aPayload()).data).not.toEqual(cipher.seal(aPayload()).data);
});

test('after a rotation the new key seals and the old one still opens', () => {
  const before = createPayloadCipher([aKey('k1', 1)]);
  const after = createPayloadCipher([aKey('k2', 2), aKey('k1', 1)]);
  expect(after.open(before.seal(aPayload()))).toEqual(aPayload());
  expect(Buffer.from(after.seal(aPayload()).metadata?.['encryption-key-id'] ?? []).toString()).toBe('k2');
  expect(codeOf(() => before.open(after.seal(aPayload())))).toBe('payload_key_unknown');
});

test('a payload under another key of the same name, a changed one and a cut one are told from an unknown key', () => {
  const cipher = createPayloadCipher([aKey('k1', 1)]);
  const sealed = cipher.seal(aPayload());
  const data = Buffer.from(sealed.data ?? []);
  const changed = Buffer.from(data);
  changed[40] = (changed[40] ?? 0) ^ 1;
  for (const wrong of [changed, data.subarray(0, 30), data.subarray(0, 10), Buffer.alloc(0)])
    expect(codeOf(() => cipher.open({ ...sealed, data: wrong }))).toBe('payload_not_opened');
  expect(codeOf(() => createPayloadCipher([aKey('k1', 9)]).open(sealed))).toBe('payload_not_opened');
});

test('a payload does not open under the name of another key, even one with the same bytes', () => {
  const cipher = createPayloadCipher([aKey('k1', 1), aKey('k2', 1)]);
  const sealed = cipher.seal(aPayload());
  const renamed = { ...sealed, metadata: { ...sealed.metadata, 'encryption-key-id': Buffer.from('k2') } };
  expect(codeOf(() => cipher.open(renamed))).toBe('payload_not_opened');
});

test('what was never sealed passes, with and without keys; without keys a sealed one is a problem', () => {
  for (const keys of [[], [aKey('k1', 1)]]) expect(createPayloadCipher(keys).open(aPayload())).toEqual(aPayload());
  expect(createPayloadCipher([]).seal(aPayload())).toEqual(aPayload());
  expect(codeOf(() => createPayloadCipher([]).open(createPayloadCipher([aKey('k1', 1)]).seal(aPayload())))).toBe('payload_key_unknown');
});

test('the Protobuf form is the one of the SDKs, and comes back at every size', () => {
  const metadata = { encoding: Buffer.from('json/plain'), messageType: Buffer.alloc(200, 65) };
  expect(payloadToBytes({ metadata: { encoding: metadata.encoding }, data: Buffer.from('1') }).toString('latin1')).toBe(
    '\n\x16\n\bencoding\x12\njson/plain\x12\x011',
  );
  for (const size of [0, 1, 127, 128, 16_383, 16_384, 3_000_000]) {
    const back = payloadFromBytes(payloadToBytes({ metadata, data: Buffer.alloc(size, 66) }));
    expect(Buffer.from(back.data ?? []).equals(Buffer.alloc(size, 66))).toBe(true);
    expect(Object.entries(back.metadata ?? {}).map(([name, value]) => [name, value.length])).toEqual([
      ['encoding', 10],
      ['messageType', 200],
    ]);
  }
  for (const wrong of [[0x0a], [0x0a, 5, 1], [0x18, 1], [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 1]])
    expect(codeOf(() => payloadFromBytes(Buffer.from(wrong)))).toBe('payload_not_opened');
});

test('keys come from a setting or a file; what is wrong is said without the key', () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-keys-')), 'keys');
  fs.writeFileSync(file, `${written('new', 2)}\n${written('old', 1)}\n`);
  expect(openPayloadCipher({ TIU_PAYLOAD_KEYS_FILE: file }).keyId).toBe('new');
  expect(openPayloadCipher({ TIU_PAYLOAD_KEYS: `${written('a', 1)},${written('b', 2)}`, TIU_PAYLOAD_KEYS_FILE: file }).keyId).toBe('a');
  expect(openPayloadCipher({}).keyId).toBeNull();
  const short = Buffer.alloc(16, 3).toString('base64');
  expect(() => openPayloadCipher({ TIU_PAYLOAD_KEYS: `${written('a', 1)},b:${short}` })).toThrow(
    'payload key 2: expected id:base64, the base64 of 32 bytes',
  );
  expect(() => openPayloadCipher({ TIU_PAYLOAD_KEYS: `${written('a', 1)},${written('a', 2)}` })).toThrow('the id a stands there twice');
  fs.writeFileSync(file, '\n');
  expect(() => openPayloadCipher({ TIU_PAYLOAD_KEYS_FILE: file })).toThrow('holds none');
  fs.rmSync(path.dirname(file), { recursive: true });
});
