import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { parse } from 'yaml';
import { freePort } from '../../src/dev/freePort.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { aMailServer, type MailServer } from '../support/aMailServer.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { until } from '../support/until.ts';
import { aClient } from './aClient.ts';
import { aReceiver, type Receiver } from './aReceiver.ts';

let stack: TestStack;
let connection: Connection;
let receiver: Receiver;
let failing: Receiver;
let mails: MailServer;
let folder: string;
let metricsPort: number;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  [receiver, failing, mails] = await Promise.all([aReceiver(), aReceiver(), aMailServer()]);
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-test-'));
  metricsPort = await freePort();
  const env = {
    TIU_METRICS_PORT: String(metricsPort),
    ...{
      TIU_HTTP_ALLOW: '127.0.0.0/8',
      TIU_COMMANDS: 'sh=/bin/sh,wc=/usr/bin/wc',
      TIU_SMTP_URL: mails.url,
      TIU_MAIL_FROM: 'tiu@product.example',
    },
    ...{ TIU_WEBHOOK_KEYS: `k1:${randomBytes(32).toString('base64')}`, TIU_CIRCUIT_FAILURES: '3', TIU_CIRCUIT_OPEN: '4000' },
  };
  stack = await aStack({ workers: 1, env });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
  for (const { close } of [receiver, failing, mails]) close();
  fs.rmSync(folder, { recursive: true });
});

const retry = { limit: 3, delay: 'PT0.1S', jitter: 0 };
const tell = (channel: string, to: string, more: JsonObject = {}): JsonObject => ({
  ...{ type: 'notify', with: { channel, to, text: 'The run ${run.id} is done.' }, retry },
  ...more,
});
const shell = (script: string): JsonObject => ({ type: 'command', with: { program: 'sh', args: ['-c', script] } });

test('one run tells in three ways, and what has failed once is told again under the same id', async () => {
  receiver.fail('/hook', 1);
  mails.answer('MAIL', '451 not now');
  const run = await client.start({
    mail: tell('mail', 'ann@example.com'),
    hook: tell('webhook', `${receiver.url}/hook`),
    chat: tell('slack', `${receiver.url}/chat`),
  });
  expect(run.status).toBe('completed');
  const calls = receiver.calls.map(({ path: to, key }) => [to, key]).sort();
  expect(calls).toEqual([
    ['/chat', `${run.id}/chat/-/0`],
    ['/hook', `${run.id}/hook/-/0`],
    ['/hook', `${run.id}/hook/-/0`],
  ]);
  expect(mails.mails.map(({ text }) => /^Message-ID: (.*)$/m.exec(text)?.[1]?.trim())).toEqual([`<${run.id}/mail/-/0@product.example>`]);
});

test('a program that is not allowed fails the task when it runs, once', async () => {
  const run = await client.start({ bash: { type: 'command', with: { program: 'bash' }, retry } });
  expect(run).toMatchObject({ status: 'failed', failure: { data: { task: 'bash' } } });
  expect((await client.story(run.id)).events).toEqual(expect.arrayContaining(['task.failed bash']));
  expect((await client.story(run.id)).events).not.toContain('task.retrying bash');
});

test('a program gives its output to the run', async () => {
  const run = await client.start(
    { hello: shell('printf "hello from $TIU_EFFECT_KEY\\000"') },
    { definition: { output: { value: '${tasks.hello.output.stdout}' } } },
  );
  expect(run).toMatchObject({ status: 'completed', output: `hello from ${run.id}/hello/-/0\u0000` });
});

const isAlive = (mark: string): boolean =>
  fs.readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark);
    } catch {
      return false; // it has just ended
    }
  });

test('cancelling the run ends a program at work, with all that it has started', async () => {
  const nap = `2000.${process.pid}`;
  const run = await client.start({ long: shell(`(sleep ${nap}) & sleep ${nap}`) }, { wait: false });
  await until(() => isAlive(`sleep\0${nap}`));
  const headers = { authorization: `Bearer ${stack.key}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  await fetch(`${stack.url}/api/v1/runs/${run.id}/cancel`, { method: 'POST', headers, body: '{}' });
  await until(() => !isAlive(nap));
  expect((await client.story(run.id)).events.at(-1)).toBe('run.cancelled');
});

test('cancelling the run closes the connection of a call under way, and calls nothing again', async () => {
  receiver.hold('/slow', new Promise(() => undefined));
  const run = await client.start({ slow: { type: 'http', with: { url: `${receiver.url}/slow` }, retry } }, { wait: false });
  await receiver.called('/slow');
  const headers = { authorization: `Bearer ${stack.key}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  await fetch(`${stack.url}/api/v1/runs/${run.id}/cancel`, { method: 'POST', headers, body: '{}' });
  await until(() => receiver.hungUp('/slow') === 1);
  expect(await client.end(run.id)).toMatchObject({ status: 'cancelled' });
  expect(receiver.calls.filter(({ path }) => path === '/slow')).toHaveLength(1);
});

const example = (name: string, input: JsonObject) => {
  const definition = parse(fs.readFileSync(path.join(import.meta.dirname, '../../examples', name), 'utf8')) as JsonObject & {
    tasks: JsonObject;
  };
  return client.start(definition.tasks, { definition, input });
};

test('the examples of both kinds run', async () => {
  expect(await example('command.yaml', { text: 'four words, not five' })).toMatchObject({ status: 'completed', output: { words: 4 } });
  const told = await example('notify.yaml', { channel: 'webhook', to: `${receiver.url}/example` });
  expect(told).toMatchObject({ status: 'completed', output: { told: true, id: `${told.id}/tell/-/0`, error: null } });
  const wrong = await example('notify.yaml', { channel: 'mail', to: 'nobody' });
  expect(wrong).toMatchObject({ status: 'completed', output: { told: false, id: null, error: 'invalid_task_input' } });
});

test('a host that fails time and again is left alone until its probe, and the attempt comes back for it', async () => {
  const call = (to: string, more: JsonObject = {}): JsonObject => ({ type: 'http', with: { url: `${failing.url}${to}` }, ...more });
  failing.fail('/down', 3);
  await client.start({ a: call('/down'), b: call('/down'), c: call('/down') });
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  expect(metrics).toContain(`tiu_circuits{host="${failing.url.replace('http://', '')}",state="open"`);
  const tasks = { refused: call('/up', { onError: 'continue' }), later: call('/up', { retry }) };
  const run = await client.start(tasks, { definition: { output: { value: '${tasks.refused.error.code}' } } });
  expect(run).toMatchObject({ status: 'completed', output: 'circuit_open' });
  const { events } = await client.story(run.id);
  expect(events.filter((event) => event.endsWith(' later'))).toEqual(
    expect.arrayContaining(['task.retrying later', 'task.completed later']),
  );
  expect(failing.calls.filter(({ path: to }) => to === '/up')).toEqual([{ path: '/up', key: `${run.id}/later/-/0` }]);
});
