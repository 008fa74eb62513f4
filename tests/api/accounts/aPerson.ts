import { randomBytes } from 'node:crypto';
import { TOTP, Secret } from 'otpauth';
import { createAccount } from '../../../src/db/repositories/accounts.ts';
import { normaliseEmail, normaliseName } from '../../../src/domain/account/names.ts';
import { isShortPassword } from '../../../src/domain/account/password.ts';
import type { MailServer } from '../../support/aMailServer.ts';
import { aMailServer } from '../../support/aMailServer.ts';
import { anApi, type TestApi } from '../anApi.ts';

export const PASSWORD = 'dumpling orbit gravel quay';
export const OTHER = 'velvet thunder canoe wick';
const TOKEN_KEYS = `k1:${Buffer.alloc(32, 7).toString('base64')}`;
const SECRET_KEYS = `k1:${Buffer.alloc(32, 8).toString('base64')}`;
export const SITE = { origin: 'https://tiu.example', rpId: 'tiu.example' };

const UNLIMITED = Object.fromEntries(['LOGIN', 'CODE', 'RESET', 'AUTH'].map((name) => [`TIU_RATE_${name}`, 'network=100000/1']));

/** With cheap hashes, a mail server, and without limits of networks. */
export const SETTINGS = {
  ...UNLIMITED,
  TIU_TOKEN_KEYS: TOKEN_KEYS,
  TIU_SECRET_KEYS: SECRET_KEYS,
  TIU_PUBLIC_URL: SITE.origin,
  TIU_PASSWORD_MEMORY: '1024',
  TIU_MAIL_FROM: 'TIU <tiu@tiu.example>',
};

export type Accounts = TestApi & {
  mailServer: MailServer;
  /** As somebody with a token, or nobody; an empty body is none. */
  post: (path: string, body: object, token?: string) => ReturnType<TestApi['call']>;
};

/** The API with a mail server beside it. */
export async function someAccounts(settings: Record<string, string> = {}): Promise<Accounts> {
  const mailServer = await aMailServer();
  const api = await anApi({ ...SETTINGS, TIU_SMTP_URL: mailServer.url, ...settings });
  return {
    ...api,
    mailServer,
    post: (path, body, token) =>
      api.call('POST', `/api/v1/auth/${path}`, {
        ...(Object.keys(body).length > 0 && { body }),
        key: token ?? null,
      }),
    stop: async () => {
      await api.stop();
      mailServer.close();
    },
  };
}

export type Person = { id: string; name: string; email: string; password: string };

/** An account with a password and a confirmed address. */
export async function aPerson(api: Pick<TestApi, 'deps'>, given: { password?: string; name?: string } = {}): Promise<Person> {
  const text = given.name ?? `P${randomBytes(6).toString('hex')}`;
  const password = given.password ?? PASSWORD;
  const name = normaliseName(text);
  const email = normaliseEmail(`${text}@people.example`);
  if (!name || !email) throw new Error('no name');
  const hash = await api.deps.passwords.hash(password);
  const id = await createAccount(api.deps.db, {
    ...{ name, email: { ...email, verified: true }, password: { hash, short: isShortPassword(password) } },
    ...{ by: 'test', now: api.deps.clock() },
  });
  return { id, name: text, email: email.shown, password };
}

/** The text of the last mail to somebody, as its reader sees it. */
export async function lastMail(api: Accounts, to: string): Promise<string> {
  await api.deps.mail.settled();
  const mail = api.mailServer.mails.findLast(({ to: [first] }) => first?.toLowerCase() === to.toLowerCase());
  if (!mail) throw new Error(`no mail to ${to}`);
  return mail.text.replaceAll('=\r\n', '').replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** The token of the link in the last mail to somebody. */
export async function linkToken(api: Accounts, to: string): Promise<string> {
  const [, token] = /https:\/\/tiu\.example\/[\w-]+#token=(tiuo_[\w-]{43})\s/.exec(await lastMail(api, to)) ?? [];
  if (token === undefined) throw new Error('no link');
  return token;
}

/** Of a secret, so many steps from a time. */
export const codeAt = (secret: string, now: number, steps = 0): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: now + steps * 30_000 });

export type Session = { accessToken: string; refreshToken: string; sessionId: string; deviceToken: string };

/** Signs in with a password. */
export async function signedIn(api: Accounts, person: Person, more: object = {}): Promise<Session> {
  const answer = await api.post('login', { identifier: person.name, password: person.password, ...more });
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.body as Session;
}
