import { createHmac, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createNotify } from '../../../src/activities/kinds/notify.ts';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { notify as contract } from '../../../src/domain/kinds/notify.ts';
import { matchesSchema } from '../../../src/domain/definition/jsonSchema.schema.ts';
import { Problem } from '../../../src/domain/problem.ts';
import { createHttpClient, type HttpClient } from '../../../src/providers/http/httpClient.ts';
import { createMailer, type MailSettings } from '../../../src/providers/mail/mailer.ts';
import { readWebhookKeys, type WebhookKey } from '../../../src/providers/webhook/webhookKeys.ts';
import { aProblem } from '../../providers/aProblem.ts';
import { aMailServer, type MailServer } from '../../support/aMailServer.ts';
import { anExecution, RUN } from './anExecution.ts';

const NOW = 1_700_000_000_500;
const KEY = `${RUN}/tell/-/0`;
let mails: MailServer;
let receiver: http.Server;
let client: HttpClient;
let url: string;
let status: number;
const seen: { headers: http.IncomingHttpHeaders; body: string }[] = [];

beforeAll(async () => {
  mails = await aMailServer();
  receiver = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(status, { 'retry-after': '3' }).end('thanks');
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port } = receiver.address() as AddressInfo;
  url = `http://127.0.0.1:${port}/hook`;
  client = createHttpClient({ allow: `127.0.0.1:${port}`, maxBodyBytes: 1_000 });
});
beforeEach(() => {
  status = 204;
});
afterAll(async () => {
  receiver.closeAllConnections();
  receiver.close();
  mails.close();
  await client.close();
});

function aNotify(given: { mail?: MailSettings; keys?: WebhookKey[] } = {}) {
  const mailer = createMailer(given.mail ?? { url: mails.url, from: 'TIU <tiu@product.example>' });
  const executor = createNotify({ mailer, http: client, webhookKeys: given.keys ?? [], now: () => NOW });
  return async (input: JsonObject, more: { signal?: AbortSignal } = {}) => {
    const output = await executor({ text: 'It is done.', ...input }, anExecution({ taskId: 'tell', key: KEY, ...more }));
    expect(matchesSchema(contract.output, output)).toEqual([]);
    return output;
  };
}
const aMail = { channel: 'mail', to: 'ann@example.com' };

test('a mail has subject, text and HTML, and the id of the effect in every attempt', async () => {
  const tell = aNotify();
  const output = await tell({ ...aMail, to: ['ann@example.com', 'bob@example.com'], subject: 'Grüße', html: '<b>done</b>' });
  const id = `<${KEY}@product.example>`;
  expect(output).toEqual({ channel: 'mail', id, accepted: ['ann@example.com', 'bob@example.com'], rejected: [] });
  await tell(aMail);
  const [first, second] = mails.mails.slice(-2);
  expect(first).toMatchObject({ from: 'tiu@product.example', to: ['ann@example.com', 'bob@example.com'] });
  for (const part of [
    `Message-ID: ${id}`,
    'Subject: =?UTF-8?',
    'It is done.',
    '<b>done</b>',
    'From: TIU <tiu@product.example>',
    'Auto-Submitted: auto-generated',
  ])
    expect(first?.text).toContain(part);
  expect(second?.text).toContain(`Message-ID: ${id}`);
  expect(second?.text).not.toContain('text/html');
});

test('a subject cannot become a header, and a text no end of the mail', async () => {
  await aNotify()({ ...aMail, subject: 'a\r\nBcc: eve@example.com', text: 'one\r\n.\r\nMAIL FROM:<eve@example.com>' });
  const mail = mails.mails.at(-1);
  expect(mail?.to).toEqual(['ann@example.com']);
  expect(mail?.text).not.toMatch(/^Bcc:/m);
  expect(mail?.text).toContain('MAIL FROM:<eve@example.com>');
});

test.each([
  'Ann <ann@example.com>',
  'ann',
  'a@b@c',
  'ann@example.com, eve@example.com',
  'a@b\r\nRCPT TO:<eve@example.com>',
  'group:ann@example.com;',
])('%s is no address', async (to) => {
  await expect(aNotify()({ ...aMail, to })).rejects.toThrow(aProblem('invalid_task_input'));
});

test('a recipient that is refused is told beside those that are not', async () => {
  mails.answer('RCPT TO:<gone@example.com>', '550 nobody');
  const output = await aNotify()({ ...aMail, to: ['gone@example.com', 'ann@example.com'] });
  expect(output).toMatchObject({ accepted: ['ann@example.com'], rejected: ['gone@example.com'] });
});

test.each<[string, string, string, boolean]>([
  ['MAIL', '451 not now', 'mail_failed', true],
  ['RCPT', '450 greylisted', 'mail_failed', true],
  ['RCPT', '550 nobody', 'mail_refused', false],
  ['.', '554 spam', 'mail_refused', false],
])('the answer to %s is %s: %s', async (command, reply, code, retryable) => {
  mails.answer(command, reply);
  const data = expect.objectContaining({ status: Number(reply.slice(0, 3)) });
  await expect(aNotify()(aMail)).rejects.toThrow(aProblem(code as 'mail_failed', { retryable, data }));
});

test('a sign-in that is refused does not tell the password', async () => {
  mails.answer('AUTH', '535 no');
  const secret = randomBytes(8).toString('hex');
  const mail = { url: mails.url.replace('//', `//me:${secret}@`), from: 'a@b.example' };
  const failure = await aNotify({ mail })(aMail).catch((error: unknown) => error as Problem);
  expect(failure).toMatchObject({ code: 'mail_refused' });
  expect(JSON.stringify((failure as Problem).toFailure())).not.toContain(secret);
});

test('a mail server that is not there is worth another try', async () => {
  const mail = { url: 'smtp://127.0.0.1:1', from: 'a@b.example' };
  await expect(aNotify({ mail })(aMail)).rejects.toThrow(aProblem('mail_failed', { retryable: true }));
});

test('an abort ends the connection to a mail server that does not answer', async () => {
  mails.answer('DATA', null);
  const attempt = new AbortController();
  const heard = mails.heard('DATA');
  const told = expect(aNotify()(aMail, { signal: attempt.signal })).rejects.toThrow(aProblem('task_cancelled'));
  await heard;
  attempt.abort(new Problem('task_cancelled'));
  await told;
  await mails.quiet();
});

test.each<[MailSettings, string]>([
  [{}, 'TIU_SMTP_URL'],
  [{ url: 'smtp://mail.example' }, 'TIU_MAIL_FROM'],
  [{ from: 'a@b.example' }, 'TIU_SMTP_URL'],
])('mail with the settings %j is not configured: %s', async (mail, setting) => {
  await expect(aNotify({ mail })(aMail)).rejects.toThrow(
    aProblem('not_configured', { retryable: false, data: expect.objectContaining({ setting, hint: expect.stringContaining(setting) }) }),
  );
});

test('settings that cannot be read are refused at start, and not repeated', () => {
  const secret = randomBytes(8).toString('hex');
  expect(() => createMailer({ url: `https://me:${secret}@mail.example` })).toThrow(/^TIU_SMTP_URL: (?!.*me)/);
  expect(() => createMailer({ url: 'smtp://mail.example', from: 'nobody' })).toThrow('TIU_MAIL_FROM');
  const short = randomBytes(23).toString('base64');
  for (const keys of [`a:${short}`, short, `a:${randomBytes(65).toString('base64')}`])
    expect(() => readWebhookKeys(keys)).toThrow(/entry 1: (?!.*[A-Za-z0-9+/]{20})/);
  const key = randomBytes(32).toString('base64');
  expect(() => readWebhookKeys(`a:${key},a:${key}`)).toThrow('twice');
  for (const bytes of [24, 64]) expect(readWebhookKeys(`a:whsec_${randomBytes(bytes).toString('base64')}`)[0]?.secret).toHaveLength(bytes);
});

/** As a receiver does it by the text of Standard Webhooks, with one key of its own. */
function isSigned({ headers, body }: (typeof seen)[number], secret: Buffer): boolean {
  const content = [headers['webhook-id'], headers['webhook-timestamp'], body].map(String).join('.');
  const expected = `v1,${createHmac('sha256', secret).update(content).digest('base64')}`;
  return String(headers['webhook-signature']).split(' ').includes(expected);
}

test('a webhook is signed with every key, so that receivers with the old and with the new one both know it', async () => {
  const [old, next, other] = [randomBytes(24), randomBytes(32), randomBytes(32)];
  const keys = readWebhookKeys(`old:${old.toString('base64')}\nnext:whsec_${next.toString('base64')}`);
  const output = await aNotify({ keys })({ channel: 'webhook', to: url, subject: 'Review', data: { score: 0.9 } });
  expect(output).toEqual({ channel: 'webhook', id: KEY, status: 204, keys: ['old', 'next'] });
  const call = seen.at(-1) ?? { headers: {}, body: '' };
  expect(call.headers).toMatchObject({
    'webhook-id': KEY,
    'webhook-timestamp': '1700000000',
    'idempotency-key': KEY,
    'content-type': 'application/json',
  });
  expect(JSON.parse(call.body)).toEqual({
    type: 'notice',
    data: { subject: 'Review', text: 'It is done.', data: { score: 0.9 }, runId: RUN, taskId: 'tell' },
  });
  expect([old, next, other].map((secret) => isSigned(call, secret))).toEqual([true, true, false]);
  expect(isSigned({ ...call, body: call.body.replace('0.9', '1.0') }, old)).toBe(false);
});

test('a webhook without a key is not configured, and not sent', async () => {
  const before = seen.length;
  await expect(aNotify()({ channel: 'webhook', to: url })).rejects.toThrow(aProblem('not_configured', { retryable: false }));
  expect(seen).toHaveLength(before);
});

test('a Slack-compatible channel gets the text, under the subject', async () => {
  await expect(aNotify()({ channel: 'slack', to: url, subject: 'Review' })).resolves.toEqual({ channel: 'slack', id: KEY, status: 204 });
  expect(JSON.parse(seen.at(-1)?.body ?? '')).toEqual({ text: 'Review\nIt is done.' });
  expect(seen.at(-1)?.headers['webhook-signature']).toBeUndefined();
});

test.each([
  [503, true, 3_000],
  [429, true, 3_000],
  [404, false, 3_000],
  [302, false, 3_000],
])('a receiver that answers %i: another try is of use: %s', async (answer, retryable, retryAfterMs) => {
  status = answer;
  await expect(aNotify()({ channel: 'slack', to: url })).rejects.toThrow(aProblem('http_status', { retryable, retryAfterMs }));
});

test('the rules for addresses are those of http', async () => {
  const tell = aNotify();
  await expect(tell({ channel: 'slack', to: 'http://169.254.169.254/' })).rejects.toThrow(aProblem('http_address_refused'));
  await expect(tell({ channel: 'slack', to: 'ftp://example.com/' })).rejects.toThrow(aProblem('invalid_task_input'));
  await expect(tell({ channel: 'slack', to: [url] })).rejects.toThrow(aProblem('invalid_task_input'));
});

test('a mail has at most 50 recipients, and a text at most a million characters', () => {
  const issues = (field: string, value: Json) => matchesSchema(contract.with[field]?.schema ?? false, value).length;
  const some = (n: number) => Array.from({ length: n }, (_, i) => `a${i}@example.com`);
  expect([issues('to', some(50)), issues('text', 'x'.repeat(1_000_000)), issues('subject', 'x'.repeat(998))]).toEqual([0, 0, 0]);
  for (const [field, value] of [
    ['to', some(51)],
    ['to', []],
    ['text', 'x'.repeat(1_000_001)],
    ['subject', 'x'.repeat(999)],
    ['channel', 'fax'],
  ] as const)
    expect(issues(field, value as Json)).toBeGreaterThan(0);
});
