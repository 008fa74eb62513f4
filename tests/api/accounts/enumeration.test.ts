import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { issueOneTime } from '../../../src/db/oneTime.ts';
import { aPerson, PASSWORD, someAccounts, type Accounts, type Person } from './aPerson.ts';

const PAIRS = 6;

let api: Accounts;
let people: Person[];
beforeAll(async () => {
  api = await someAccounts({ TIU_REGISTRATION: 'open', TIU_LOGIN_TRIES: '3', TIU_LOGIN_DELAY: '60000' });
  people = await Promise.all(Array.from({ length: PAIRS }, () => aPerson(api)));
});
afterAll(() => api.stop());

const none = `tiuo_${'x'.repeat(43)}`;
const token = (kind: 'mfa_pending' | 'reset_password', person: Person | undefined) =>
  person
    ? issueOneTime(api.deps.db, { kind, account: person.id, now: Date.now(), ttlMs: kind === 'mfa_pending' ? 60_000 : -1, data: {} })
    : Promise.resolve(none.replace(/x{4}$/, String(Math.random()).slice(2, 6)));

type Ask = (person: Person | undefined, at: number) => Promise<object>;
const ENDPOINTS: [string, Ask][] = [
  ['login', (person, at) => Promise.resolve({ identifier: person?.name ?? `nobody_${at}`, password: 'wrong' })],
  ['login', (person, at) => Promise.resolve({ identifier: person?.email ?? `nobody_${at}@people.example`, password: 'wrong' })],
  [
    'register',
    (person, at) => Promise.resolve({ name: `fresh_${at}`, email: person?.email ?? `fresh_${at}@people.example`, password: PASSWORD }),
  ],
  [
    'register',
    (person, at) => Promise.resolve({ name: person?.name ?? `fresh_${at}`, email: `other_${at}@people.example`, password: PASSWORD }),
  ],
  ['forgot-password', (person, at) => Promise.resolve({ email: person?.email ?? `nobody_${at}@people.example` })],
  ['reset-password', async (person) => ({ token: await token('reset_password', person), password: PASSWORD })],
  ['login/mfa', async (person) => ({ mfaToken: await token('mfa_pending', person), code: '000000' })],
  ['login/mfa', async (person) => ({ mfaToken: await token('mfa_pending', person), recoveryCode: 'nobody' })],
];

/** What may differ between any two answers. */
const VARIES = new Set(['date', 'x-request-id', 'ratelimit', 'retry-after']);

test.each(ENDPOINTS)('%s tells nothing of who has an account', async (endpoint, ask) => {
  const shapes = { known: [] as object[], unknown: [] as object[] };
  const statements = { known: 0, unknown: 0 };
  const { rows } = api.deps.db;
  for (const [at, person] of people.entries())
    for (const which of ['known', 'unknown'] as const) {
      const body = await ask(which === 'known' ? person : undefined, at);
      // several times, so that delays of failures are among what is compared
      for (let time = 0; time < (endpoint === 'login' ? 5 : 1); time += 1) {
        api.deps.db.rows = (statement) => {
          if (statement.name !== 'rate_take') statements[which] += 1;
          return rows(statement);
        };
        const { status, headers, body: answer } = await api.post(endpoint, body);
        api.deps.db.rows = rows;
        const kept = [...headers]
          .filter(([name]) => !VARIES.has(name))
          .map(([name, value]) => [name, name === 'content-length' ? '' : value]);
        shapes[which].push({ status, headers: kept, body: { ...(answer as object), requestId: '' } });
      }
    }
  expect(shapes.known).toEqual(shapes.unknown);
  expect(statements.known).toBe(statements.unknown);
});
