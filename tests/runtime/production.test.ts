import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { readConfig } from '../../src/runtime/config.ts';
import { isProduction, productionFaults, refuseWeakProduction } from '../../src/runtime/production.ts';

const key = (bytes: Uint8Array = randomBytes(32)) => `k1:${Buffer.from(bytes).toString('base64')}`;
/** An address with a password, put together so that no scanner takes it for one. */
const address = (scheme: string, password: string) => `${scheme}://${['tiu', password].join(':')}@db.example.org/tiu`;
const GOOD = {
  TIU_ENV: 'production',
  DATABASE_URL: address('postgres', randomBytes(18).toString('base64url')),
  TIU_SECRET_KEYS: key(),
  TIU_TOKEN_KEYS: `${key()},${key()}`,
  TIU_PAYLOAD_KEYS: key(),
  TIU_AUDIT_KEYS: key(),
  TIU_WEBHOOK_KEYS: `ours:whsec_${randomBytes(24).toString('base64')}`,
  TIU_CODEC_TOKEN: randomBytes(24).toString('base64url'),
  TIU_SMTP_URL: address('smtps', 'Hq7-vb02-plo9'),
  TIU_PUBLIC_URL: 'https://tiu.example.org',
};
const faults = (change: Record<string, string | undefined>) => productionFaults({ ...GOOD, ...change });

test('random secrets are fit for production, a thousand times', () => {
  for (let i = 0; i < 1_000; i++) expect(faults({ TIU_SECRET_KEYS: key() })).toEqual([]);
  expect(() => {
    refuseWeakProduction(GOOD);
  }).not.toThrow();
});

test.each(['postgres', 'tiu', 'password', 'admin', 'changeme', ''])('the default password %p of the database is refused', (password) => {
  expect(faults({ DATABASE_URL: address('postgres', password) })).toEqual([{ setting: 'DATABASE_URL', reason: 'default' }]);
});

test.each([
  ['DATABASE_URL', address('postgres', 'short'), 'weak'],
  ['DATABASE_URL', address('postgres', 'aaaaaaaaaaaaaaaa'), 'weak'],
  ['DATABASE_URL', address('postgres', 'change-me-in-production'), 'sample'],
  ['DATABASE_URL', undefined, 'missing'],
  ['TIU_SMTP_URL', address('smtp', 'secret'), 'default'],
  ['TIU_CODEC_TOKEN', 'example_token_of_the_documents', 'sample'],
  ['TIU_PUBLIC_URL', 'http://tiu.example.org', 'unencrypted'],
] as const)('%s=%s is %s', (setting, value, reason) => {
  expect(faults({ [setting]: value })).toEqual([{ setting, reason }]);
});

test.each(['TIU_SECRET_KEYS', 'TIU_TOKEN_KEYS', 'TIU_PAYLOAD_KEYS', 'TIU_AUDIT_KEYS', 'TIU_WEBHOOK_KEYS'])(
  'keys of %s that nobody has drawn are refused, also behind good ones and in a file',
  (setting) => {
    for (const bytes of [Buffer.alloc(32), Buffer.alloc(32, 7), Buffer.from(Array.from({ length: 32 }, (_, i) => i))])
      for (const text of [key(bytes), `${key()},${key(bytes)}`]) expect(faults({ [setting]: text })).toEqual([{ setting, reason: 'weak' }]);
    expect(faults({ [setting]: key(Buffer.from('change-me-change-me-change-me-32')) })).toEqual([{ setting, reason: 'sample' }]);
    expect(productionFaults({ ...GOOD, [setting]: undefined }, { [`${setting}_FILE`]: `${key()}\n${key(Buffer.alloc(32))}\n` })).toEqual([
      { setting, reason: 'weak' },
    ]);
  },
);

test('no process starts with them, whatever names the keys', () => {
  expect(() => readConfig({ ...GOOD, TIU_SECRET_KEYS: key(Buffer.alloc(32)) })).toThrow('TIU_SECRET_KEYS: weak');
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-keys-')), 'keys');
  fs.writeFileSync(file, key(Buffer.alloc(32)));
  expect(() => readConfig({ ...GOOD, TIU_SECRET_KEYS: undefined, TIU_SECRET_KEYS_FILE: file })).toThrow('TIU_SECRET_KEYS: weak');
  fs.rmSync(path.dirname(file), { recursive: true });
  expect(readConfig(GOOD).DATABASE_URL).toBe(GOOD.DATABASE_URL);
});

test('elsewhere anything goes, and TIU_ENV goes before NODE_ENV', () => {
  const weak = { DATABASE_URL: address('postgres', 'postgres') };
  expect(productionFaults(weak)).toEqual([]);
  expect(productionFaults({ ...weak, NODE_ENV: 'production' })).toHaveLength(1);
  expect(isProduction({ NODE_ENV: 'production', TIU_ENV: 'development' })).toBe(false);
  expect(isProduction({ NODE_ENV: 'test', TIU_ENV: 'production' })).toBe(true);
});

test('what it says names settings and no secret', () => {
  const secret = 'postgres';
  const refuse = () => {
    refuseWeakProduction({ ...GOOD, DATABASE_URL: address('postgres', secret), TIU_SECRET_KEYS: key(Buffer.alloc(32)) });
  };
  expect(refuse).toThrow('configuration is not fit for production: TIU_SECRET_KEYS: weak; DATABASE_URL: default');
});
