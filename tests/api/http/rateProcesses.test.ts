import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OrmDatabase } from '../../../src/db/database.ts';
import { createApiKey } from '../../../src/db/repositories/apiKeys.ts';
import { aStack, type TestStack } from '../../support/aStack.ts';
import { sql, TOKEN_KEYS } from '../auth/aPerson.ts';

/** Limits as two api processes count them, over one database. Windows are so long that no token comes back meanwhile. */
const WINDOW = 999_999;
const READS = 400;
const AUTHS = 40;
/** What docs/limits.md states: of its limit a process lets through at most this before it is told, and holds at most a twentieth. */
const DEBT = 8;
const HELD = READS / 20;

let stack: TestStack;
let db: OrmDatabase;
beforeAll(async () => {
  stack = await aStack({
    ...{ apis: 2, workers: 0 },
    env: {
      ...{ TIU_RATE_READ: `key=${READS}/${WINDOW}`, TIU_RATE_AUTH: `network=${AUTHS}/${WINDOW}` },
      ...{ TIU_TRUSTED_PROXIES: '127.0.0.1/32', TIU_MAX_EVENT_LOOP_DELAY: '60000', TIU_TOKEN_KEYS: TOKEN_KEYS },
    },
  });
  db = await stack.base.open();
});
afterAll(() => stack.stop());

type Asked = { status: number; retryAfter: number; code: string | undefined };

async function answered(response: Response): Promise<Asked> {
  const { code } = (await response.json()) as { code?: string };
  return { status: response.status, retryAfter: Number(response.headers.get('retry-after')), code };
}

/** A request about signing in, from an address that a trusted proxy tells. */
const signIn = async (index: number, address: string): Promise<Asked> =>
  answered(
    await fetch(`${stack.urls[index % 2] ?? ''}/api/v1/auth/sign-in/nobody/callback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
      body: '{}',
    }),
  );
const read = async (index: number, key: string): Promise<Asked> =>
  answered(await fetch(`${stack.urls[index % 2] ?? ''}/api/v1/runs?limit=1`, { headers: { authorization: `Bearer ${key}` } }));

const passed = (answers: readonly Asked[]) => answers.filter(({ status }) => status !== 429);
const atOnce = (n: number, ask: (index: number) => Promise<Asked>) => Promise.all(Array.from({ length: n }, (_, index) => ask(index)));

test('of 200 at once to both processes an exact class lets its limit through, and not one more', async () => {
  const answers = await atOnce(200, (index) => signIn(index, '198.51.100.1'));
  expect(passed(answers)).toHaveLength(AUTHS);
  expect(new Set(passed(answers).map(({ status }) => status))).toEqual(new Set([422]));
  for (const answer of answers.filter(({ status }) => status === 429)) expect(answer.code).toBe('rate_limited');
});

test('what is spent from tokens taken ahead passes its limit by no more than what both may owe', async () => {
  const { key } = await createApiKey(db, { workspace: stack.workspace, name: 'busy', scopes: ['runs:read'], by: 'test' });
  const first = await atOnce(100, (index) => read(index, key));
  const answers = [...first, ...(await atOnce(600, (index) => read(index, key)))];
  const through = answers.filter(({ status }) => status === 200).length;
  expect(through + answers.filter(({ status }) => status === 429).length).toBe(answers.length);
  expect(through).toBeLessThanOrEqual(READS + 2 * DEBT);
  expect(through).toBeGreaterThanOrEqual(READS - 2 * HELD);
});

test('Retry-After says when the next one passes, whichever process is asked', async () => {
  const address = '198.51.100.2';
  await atOnce(AUTHS, () => signIn(0, address));
  const { status, retryAfter } = await signIn(0, address);
  expect(status).toBe(429);
  const each = WINDOW / AUTHS;
  expect(retryAfter).toBeLessThanOrEqual(Math.ceil(each));
  expect(retryAfter).toBeGreaterThan(each - 300); // what came back since the first of them
  // as if that time had passed; the first process believes what it was told
  await sql(db, `update rate_bucket set full_at = full_at - $1::float8 where class = 'auth' and key = 'network:198.51.100.2'`, [
    retryAfter,
  ]);
  expect((await signIn(1, address)).status).toBe(422);
  expect((await signIn(1, address)).status).toBe(429);
  expect((await signIn(0, address)).status).toBe(429);
});

test('addresses of an IPv6 /64 count as one, of the next as another, and IPv4 within IPv6 as IPv4', async () => {
  const answers = await atOnce(120, (index) => signIn(index, `2001:db8:1:2:${(index + 1).toString(16)}::${index.toString(16)}`));
  expect(passed(answers)).toHaveLength(AUTHS);
  expect((await signIn(0, '2001:db8:1:3::1')).status).toBe(422);
  const both = await atOnce(AUTHS, (index) => signIn(index, index % 3 === 0 ? '::ffff:198.51.100.3' : '198.51.100.3'));
  expect(passed(both)).toHaveLength(AUTHS);
  for (const form of ['::ffff:198.51.100.3', '198.51.100.3', '::ffff:c633:6403']) expect((await signIn(1, form)).status).toBe(429);
  // what a client writes in front of what the proxy has seen is nobody's address
  expect((await signIn(0, '203.0.113.9, 198.51.100.3')).status).toBe(429);
});
