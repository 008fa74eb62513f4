import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { createAccountMail, type AccountMail, type AccountMailDeps } from '../../../src/api/auth/mail.ts';
import { withTransaction } from '../../../src/db/transaction.ts';
import { createMailer } from '../../../src/providers/mail/mailer.ts';
import { openSecretCipher } from '../../../src/providers/secretCipher/secretCipher.ts';
import { until } from '../../support/until.ts';
import { aPerson, SETTINGS, someAccounts, type Accounts } from '../accounts/aPerson.ts';

let api: Accounts;
let now: number;
const opened: AccountMail[] = [];
const told: string[] = [];
beforeAll(async () => {
  api = await someAccounts({ TIU_MAX_QUEUED_MAILS: '3' });
  await api.deps.mail.close(); // what waits is sent by none but the processes of these tests
});
beforeEach(async () => {
  now = Date.now();
  told.length = 0;
  await rows('delete from mail');
});
afterAll(async () => {
  await Promise.all(opened.map((mail) => mail.close()));
  await api.stop();
});

const rows = (text: string) => api.deps.engine.rows<Record<string, unknown>>({ name: `test_${text}`.slice(0, 60), text, values: [] });
const note = (_: object, event: string) => void told.push(event);
const results = async () => new Map((await api.deps.metrics.mails.get()).values.map(({ labels, value }) => [labels.result, value]));
/** What another process has of mails. */
function aProcess(given: Partial<AccountMailDeps> = {}): AccountMail {
  const { deps } = api;
  const mail = createAccountMail(
    {
      ...{ db: deps.engine, cipher: deps.secretCipher, metrics: deps.metrics, clock: () => now, random: () => 0 },
      ...{ mailer: createMailer({ url: api.mailServer.url, from: 'tiu@tiu.example' }), log: { info: note, warn: note, error: note } },
      ...given,
    },
    { maxQueued: 3, ttlMs: 86_400_000 },
  );
  opened.push(mail);
  return mail;
}
const aMail = (to: string | null, more: object = {}) => ({
  to,
  subject: 'A link',
  text: 'https://tiu.example/#token=tiuo_secret',
  ...more,
});
const waiting = async () =>
  (await rows('select tries, extract(epoch from due)::float8 * 1000 as due, sealed from mail order by id')) as {
    tries: number;
    due: number;
    sealed: Buffer;
  }[];
const takenBy = (to: string) => api.mailServer.mails.filter((mail) => mail.to.includes(to));
const idsOf = (to: string) => takenBy(to).map(({ text }) => /^Message-ID: (.*)$/im.exec(text)?.[1]);

test('a mail whose process has died before it was sent is sent by another, and its text stands nowhere in the database', async () => {
  await api.post('forgot-password', { email: (await aPerson(api, { name: 'Diana_1' })).email });
  const [row] = await waiting();
  expect(row?.sealed.toString('latin1')).not.toMatch(/diana|tiuo_/i);
  expect(takenBy('Diana_1@people.example')).toEqual([]);
  now = Date.now();
  await aProcess().settled();
  expect(takenBy('Diana_1@people.example')).toHaveLength(1);
  expect(await waiting()).toEqual([]);
});

test('a mail is sent in a turn of its own: whoever asks next does not feel whether there was one', async () => {
  const turns = jest.spyOn(globalThis, 'setInterval').mockReturnValue(setTimeout(() => undefined));
  const mail = aProcess();
  const [turn] = turns.mock.calls[0] ?? [];
  turns.mockRestore();
  await mail.post(api.deps.engine, aMail('quiet@people.example'));
  for (let n = 0; n < 50; n++) expect(await waiting()).toMatchObject([{ tries: 0 }]); // nobody has taken it
  turn?.();
  await until(() => takenBy('quiet@people.example').length === 1);
  await mail.settled();
});

test('what is not committed is not sent', async () => {
  const mail = aProcess();
  await expect(
    withTransaction(api.deps.engine, async (tx) => {
      await mail.post(tx, aMail('undone@people.example'));
      throw new Error('undone');
    }),
  ).rejects.toThrow('undone');
  await mail.settled();
  expect(takenBy('undone@people.example')).toEqual([]);
});

test('while the server is away a mail is tried again, twice as long apart each time, always under the same id', async () => {
  const mail = aProcess();
  for (let n = 0; n < 3; n++) api.mailServer.answer(n === 2 ? '.' : 'MAIL', '451 later');
  await mail.post(api.deps.engine, aMail('later@people.example'));
  const gaps = [];
  for (let tries = 1; tries <= 3; tries++) {
    await mail.settled();
    const [row] = await waiting();
    expect(row?.tries).toBe(tries);
    gaps.push((row?.due ?? 0) - now);
    now = row?.due ?? 0;
  }
  expect(gaps).toEqual([1_000, 2_000, 4_000]);
  await mail.settled();
  expect(await waiting()).toEqual([]);
  expect(idsOf('later@people.example')).toEqual([expect.stringMatching(/^<[0-9a-f-]{36}@tiu\.example>$/)]);
  expect(told).toEqual(['mail.postponed', 'mail.postponed', 'mail.postponed']);
});

test('one that the server refuses, and one whose link is good no more, are given up, and that is logged and counted', async () => {
  const mail = aProcess();
  const before = await results();
  api.mailServer.answer('RCPT', '550 nobody here');
  await mail.post(api.deps.engine, aMail('refused@people.example'));
  await mail.settled();
  await mail.post(api.deps.engine, aMail('late@people.example', { ttlMs: 60_000 }));
  now += 60_000;
  await mail.settled();
  expect(told).toEqual(['mail.failed', 'mail.expired']);
  expect(await waiting()).toEqual([]);
  expect([...takenBy('refused@people.example'), ...takenBy('late@people.example')]).toEqual([]);
  const after = await results();
  for (const result of ['failed', 'expired']) expect((after.get(result) ?? 0) - (before.get(result) ?? 0)).toBe(1);
});

test('of many processes one sends a mail', async () => {
  const processes = Array.from({ length: 4 }, () => aProcess());
  for (let n = 0; n < 3; n++) await processes[0]?.post(api.deps.engine, aMail(`one${n}@people.example`));
  await Promise.all(processes.map((mail) => mail.settled()));
  expect([0, 1, 2].map((n) => takenBy(`one${n}@people.example`).length)).toEqual([1, 1, 1]);
});

test('a process that ends while the server is silent leaves the mail to others, at once', async () => {
  const mail = aProcess();
  await mail.post(api.deps.engine, aMail('silent@people.example'));
  api.mailServer.answer('MAIL', null);
  const heard = api.mailServer.heard('MAIL');
  const trying = mail.settled();
  await heard;
  await mail.close();
  await trying;
  expect((await waiting()).map(({ due }) => due <= now)).toEqual([true]);
  await aProcess().settled();
  expect(takenBy('silent@people.example')).toHaveLength(1);
});

test('a key that this process does not know may be known to another: the mail stays', async () => {
  const other = openSecretCipher({ TIU_SECRET_KEYS: `k2:${Buffer.alloc(32, 9).toString('base64')}` });
  await aProcess({ cipher: other }).post(api.deps.engine, aMail('key@people.example'));
  await aProcess().settled();
  expect((await waiting()).map(({ tries }) => tries)).toEqual([1]);
  now += 1_000;
  await aProcess({ cipher: other }).settled();
  expect(takenBy('key@people.example')).toHaveLength(1);
});

test('as much waits for an address that nobody has, and nobody is written to', async () => {
  await api.post('forgot-password', { email: 'stranger@people.example' });
  expect(await waiting()).toHaveLength(1);
  const sent = api.mailServer.mails.length;
  now = Date.now();
  await aProcess().settled();
  expect(await waiting()).toEqual([]);
  expect(api.mailServer.mails).toHaveLength(sent);
});

test('as many may wait as the setting says; more are refused for the known and the unknown alike, and nothing has changed', async () => {
  const person = await aPerson(api);
  const ask = (email: string) => api.post('forgot-password', { email });
  for (let n = 0; n < 3; n++) expect((await ask(`stranger${n}@people.example`)).status).toBe(202);
  const tokens = async () => (await rows('select count(*)::int as n from one_time'))[0];
  const before = await tokens();
  const [known, unknown] = [await ask(person.email), await ask('stranger3@people.example')];
  expect([known, unknown].map(({ status, body }) => [status, (body as { code: string }).code])).toEqual([
    [503, 'overloaded'],
    [503, 'overloaded'],
  ]);
  expect(await tokens()).toEqual(before);
});

test('without keys there are no mails, as without a server, and the answer says which setting is missing', async () => {
  const keyless = aProcess({ cipher: openSecretCipher({}) });
  expect(() => {
    keyless.check();
  }).toThrow(/TIU_SECRET_KEYS/);
  expect(() => {
    aProcess({ mailer: undefined }).check();
  }).toThrow(/TIU_SMTP_URL/);
  await keyless.post(api.deps.engine, aMail('none@people.example'));
  expect(await waiting()).toEqual([]);
  expect(SETTINGS.TIU_SECRET_KEYS).toBeDefined();
});
