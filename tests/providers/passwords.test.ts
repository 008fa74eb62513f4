import { beforeEach, expect, test } from '@jest/globals';
import { readCommonPasswords } from '../../src/providers/password/commonPasswords.ts';
import { createPasswords, type PasswordSettings } from '../../src/providers/password/passwords.ts';

const CHEAP: PasswordSettings = { memoryKiB: 1_024, passes: 2, lanes: 1, concurrent: 2, queued: 3 };
const PASSWORD = 'dumpling orbit gravel quay';

let counted: string[] = [];
const passwords = (settings: Partial<PasswordSettings> = {}) => createPasswords({ ...CHEAP, ...settings }, (what) => counted.push(what));
beforeEach(() => {
  counted = [];
});

test('a password is kept as Argon2id with the cost of the settings, salted', async () => {
  const [first, second] = await Promise.all([passwords().hash(PASSWORD), passwords().hash(PASSWORD)]);
  expect(first).toMatch(/^\$argon2id\$v=19\$m=1024,t=2,p=1\$/);
  expect(first).not.toBe(second);
});

test('what was hashed matches in whichever form of Unicode it is typed, and nothing else does', async () => {
  const hash = await passwords().hash('Zoë’s ﬁne password');
  const matches = async (password: string) => (await passwords().verify(hash, password)).matches;
  expect(await matches('Zoe\u0308’s fine password')).toBe(true);
  expect(await matches('Zoe’s fine password')).toBe(false);
});

test('nothing is cut off', async () => {
  const long = 'x'.repeat(255);
  const hash = await passwords().hash(`${long}a`);
  expect((await passwords().verify(hash, `${long}b`)).matches).toBe(false);
});

test('for nobody as much is computed as for somebody, and nothing matches', async () => {
  const checker = passwords();
  expect(await checker.verify(null, PASSWORD)).toEqual({ matches: false, outdated: false });
  expect(counted).toEqual(['verify']);
});

test('a hash that cost less than today is outdated when its password matches', async () => {
  const hash = await passwords().hash(PASSWORD);
  expect(await passwords({ memoryKiB: 2_048 }).verify(hash, PASSWORD)).toEqual({ matches: true, outdated: true });
  expect(await passwords({ passes: 3 }).verify(hash, PASSWORD)).toMatchObject({ outdated: true });
  expect(await passwords().verify(hash, PASSWORD)).toEqual({ matches: true, outdated: false });
  expect(await passwords({ memoryKiB: 512 }).verify(hash, PASSWORD)).toEqual({ matches: true, outdated: false });
  expect(await passwords({ memoryKiB: 2_048 }).verify(hash, 'another')).toEqual({ matches: false, outdated: false });
});

test('more than may wait are refused, and told to come back; those that wait are served', async () => {
  const hashes = await Promise.allSettled(Array.from({ length: 7 }, (_, at) => hashing.hash(`${PASSWORD}${at}`)));
  expect(hashes.map(({ status }) => status)).toEqual([...Array<string>(5).fill('fulfilled'), 'rejected', 'rejected']);
  expect(hashes[6]).toMatchObject({ reason: { code: 'overloaded', retryAfterMs: 1_000 } });
  expect(await hashing.hash(PASSWORD)).toContain('argon2id');
});
const hashing = passwords();

test('the list that is shipped is one of passwords of 8 or more, in the form they are compared in', () => {
  const common = readCommonPasswords();
  expect(common.size).toBe(10_000);
  for (const known of ['password', '12345678', 'qwertyuiop', 'trustno1']) expect(common.has(known)).toBe(true);
  expect([...common].filter((word) => Array.from(word).length < 8 || word !== word.normalize('NFKC').toLowerCase())).toEqual([]);
});
