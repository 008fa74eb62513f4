import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createOutbox } from '../../src/providers/mail/outbox.ts';
import { tiu as inProcess } from './aTerminal.ts';

let folder: string;
let now = Date.UTC(2026, 10, 29, 8);
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-mail-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

const LINK = `https://tiu.example/reset-password#token=tiuo_${'x'.repeat(43)}`;
const send = async (key: string, subject: string, to = 'ada@people.example') => {
  now += 1_000;
  const outbox = createOutbox({ folder: path.join(folder, 'outbox'), from: 'TIU <tiu@localhost>', clock: () => now });
  await outbox.send({ key, to: [to], subject, text: `Grüße, open\n\n${LINK}\n`, signal: AbortSignal.timeout(10_000) });
};
const tiu = (...args: string[]) => inProcess(['mail', ...args], { env: { TIU_STATE: folder }, cwd: folder });

test('mails are files for their owner alone, listed the newest first and shown as their reader sees them', async () => {
  await send('one', 'Reset your password');
  await send('two', 'Bestätigen Sie Ihre Adresse');
  const files = fs.readdirSync(path.join(folder, 'outbox'));
  expect(files).toHaveLength(2);
  for (const file of files) expect(fs.statSync(path.join(folder, 'outbox', file)).mode & 0o777).toBe(0o600);
  const listed = (await tiu('list')).out.trimEnd().split('\n');
  expect(listed[0]).toMatch(/^1 .*ada@people\.example .*Bestätigen Sie Ihre Adresse$/);
  expect(listed[1]).toMatch(/^2 .*Reset your password$/);
  const { out } = await tiu('show', '2');
  expect(out).toContain('Subject: Reset your password');
  expect(out).toContain('Grüße, open');
  expect(out).toContain(`\n${LINK}\n`);
});

test('neither subject nor address add a header', async () => {
  await send('one', 'Hello\r\nBcc: eve@people.example\r\n\r\nbody');
  const [file = ''] = fs.readdirSync(path.join(folder, 'outbox'));
  const [head = ''] = fs.readFileSync(path.join(folder, 'outbox', file), 'utf8').split('\r\n\r\n');
  expect(head).not.toMatch(/^Bcc:/m);
  await expect(send('two', 'Hello', 'ada@people.example\r\nBcc: eve@people.example')).rejects.toMatchObject({ code: 'invalid_task_input' });
});

test('without mails it says so, and a number that is none is refused', async () => {
  expect(await tiu('list')).toMatchObject({ code: 0, out: 'no mails\n' });
  expect(await tiu('show', '3')).toMatchObject({ code: 2, err: expect.stringContaining('there is no mail 3') as unknown });
});
