import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { signWebhook } from '../../src/providers/webhook/signWebhook.ts';
import { until } from '../support/until.ts';
import { normaliseName } from '../../src/domain/account/names.ts';
import { createAccount } from '../../src/db/repositories/accounts.ts';
import { createPasswords } from '../../src/providers/password/passwords.ts';
import { PASSWORD, SETTINGS } from '../api/accounts/aPerson.ts';
import { aClient } from './aClient.ts';
import { aReceiver, type Receiver } from './aReceiver.ts';

let stack: TestStack;
let receiver: Receiver;
let connection: Connection;
let client: ReturnType<typeof aClient>;
let db: Database;
beforeAll(async () => {
  receiver = await aReceiver();
  const keys = [1, 2].map((byte) => `k:${Buffer.alloc(32, byte).toString('base64')}`);
  stack = await aStack({
    workers: 1,
    env: {
      ...SETTINGS,
      TIU_PUBLIC_URL: '',
      TIU_SECRET_KEYS: keys[0] ?? '',
      TIU_WEBHOOK_KEYS: keys[1] ?? '',
      TIU_HTTP_ALLOW: '127.0.0.0/8',
    },
  });
  db = await stack.base.open('tiu_engine', 1);
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
  receiver.close();
});

const begin = async (tasks: JsonObject, definition?: JsonObject) =>
  (await client.start(tasks, { wait: false, ...(definition && { definition }) })).id;
const output = { value: '${tasks.a.output}' };
const event = (key: string, more: JsonObject = {}, task: JsonObject = {}): JsonObject => ({
  type: 'event',
  with: { name: 'paid', key, ...more },
  ...task,
});
const approval = (more: JsonObject = {}, task: JsonObject = {}): JsonObject => ({
  type: 'approval',
  with: { message: 'Ship?', ...more },
  ...task,
});
const send = (key: string, more: JsonObject = {}) => client.ask('POST', '/events', { name: 'paid', key, ...more });
const waiting = (id: string) => client.until(id, ({ status }) => status === 'waiting');
const resultOf = async (id: string) => (await client.ask('GET', `/runs/${id}/output`)).body.output;
const decide = (id: string, what: 'approve' | 'reject', body?: JsonObject, task = 'a') =>
  client.ask('POST', `/runs/${id}/tasks/${task}/${what}`, body);

test('an event completes all who wait for its name and key, and nobody else', async () => {
  const [one, two, other] = await Promise.all([
    begin({ a: event('1') }, { output }),
    begin({ a: event('1') }, { output }),
    begin({ a: event('2') }),
  ]);
  await Promise.all([one, two, other].map(waiting));
  const { waitsFor } = (await client.ask('GET', `/runs/${one}/explain`)).body;
  expect(waitsFor).toContainEqual(expect.objectContaining({ kind: 'event', task: 'a' }));
  expect(await send('1', { payload: { amount: 5 } })).toMatchObject({ status: 202, body: { runs: 2 } });
  expect(await client.end(one)).toMatchObject({ status: 'completed' });
  expect([await resultOf(one), (await client.end(two)).status, await resultOf(two)]).toEqual([{ amount: 5 }, 'completed', { amount: 5 }]);
  expect((await client.ask('GET', `/runs/${other}`)).body.status).toBe('waiting');
  await client.ask('POST', `/runs/${other}/cancel`);
});

test('an event that nobody waits for is kept for the first who does', async () => {
  expect(await send('early', { payload: 'first' })).toMatchObject({ body: { runs: 0 } });
  const id = await begin({ a: event('early') }, { output });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toBe('first');
  const later = await begin({ a: event('early') });
  await waiting(later);
  await client.ask('POST', `/runs/${later}/cancel`);
});

test('the same event sent again is the same event; another one under its id is refused', async () => {
  const id = randomUUID();
  const sent = await send('again', { payload: 1, id });
  expect(await send('again', { payload: 1, id })).toMatchObject({ status: 202, body: { at: sent.body.at } });
  expect(await send('again', { payload: 2, id })).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  const run = await begin({ a: event('again'), b: event('again', {}, { dependsOn: ['a'] }) });
  await client.until(run, ({ counts }) => (counts as JsonObject).completed === 1 && (counts as JsonObject).waiting === 1);
  await client.ask('POST', `/runs/${run}/cancel`);
});

test('a payload that does not match is refused, and one that came before fails who waits for it', async () => {
  const schema = { type: 'object', required: ['amount'] };
  const id = await begin({ a: event('schema', { schema }) }, { output });
  await waiting(id);
  expect(await send('schema', { payload: {} })).toMatchObject({
    status: 422,
    body: { code: 'event_mismatch', issues: [{ pointer: '/payload' }] },
  });
  expect(await send('schema', { payload: { amount: 1 } })).toMatchObject({ body: { runs: 1 } });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  await send('schema', { payload: 'text' });
  const late = await begin({ a: event('schema', { schema }) });
  expect(await client.end(late)).toMatchObject({ status: 'failed', failure: { code: 'event_mismatch' } });
});

test('an event whose sender died before it was given is given by whoever sweeps', async () => {
  const id = await begin({ a: event('orphan') }, { output });
  await waiting(id);
  await db.rows({
    name: 'orphan',
    text: `insert into event (workspace, id, name, key, payload, sent_by, at, expires) values ($1, 'x', 'paid', 'orphan', '7', 'test', now() - interval '1 minute', now() + interval '1 day')`,
    values: [stack.workspace],
  });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toBe(7);
});

test('who waits for an event until a deadline goes on without it, if the definition says so', async () => {
  const id = await begin({ a: event('never', {}, { deadline: 'PT0.3S', onDeadline: 'continue' }) }, { output });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  const other = await begin({ a: event('never', {}, { deadline: 'PT0.3S' }) });
  expect(await client.end(other)).toMatchObject({ status: 'failed', failure: { code: 'deadline_exceeded' } });
});

test('three approvals at once are answered in any order, after a worker was killed and thirty days went by', async () => {
  const tasks = Object.fromEntries(['a', 'b', 'c'].map((id) => [id, approval({ message: `Is ${id} right?`, data: { id } })]));
  const id = await begin(tasks, { output: { value: ['${tasks.a.output.decision}', '${tasks.b.output.comment}', '${tasks.c.output.by}'] } });
  await waiting(id);
  const [worker] = stack.workers;
  await worker?.kill();
  await worker?.restart();
  await db.rows({ name: 'days', text: `update wait set since = since - interval '30 days' where run = $1`, values: [id] });
  const { body } = await client.ask('GET', '/approvals');
  expect(body.items).toMatchObject(
    ['a', 'b', 'c'].map((task) => ({ runId: id, task, message: `Is ${task} right?`, data: { id: task }, mine: true })),
  );
  for (const task of ['c', 'a', 'b']) expect(await decide(id, 'approve', { comment: task }, task)).toMatchObject({ status: 202 });
  expect(await decide(id, 'reject', {}, 'a')).toMatchObject({ status: 409 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toEqual(['approved', 'b', expect.stringMatching(/^key:/)]);
  const { events } = await client.story(id);
  expect(events.filter((type) => type.startsWith('command.'))).toEqual(['command.approve c', 'command.approve a', 'command.approve b']);
});

test('what came before an approval is not done again when it is answered, though the worker was killed meanwhile (LangGraph: a resumed node runs anew)', async () => {
  const http = (path: string, more: JsonObject = {}): JsonObject => ({ type: 'http', with: { url: `${receiver.url}${path}` }, ...more });
  const tasks = { before: http('/before'), a: approval({}, { dependsOn: ['before'] }), after: http('/after', { dependsOn: ['a'] }) };
  const id = await begin(tasks);
  await waiting(id);
  const [worker] = stack.workers;
  await worker?.kill();
  await worker?.restart();
  expect(await decide(id, 'approve')).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(receiver.calls.filter(({ key }) => key.startsWith(id)).map(({ path }) => path)).toEqual(['/before', '/after']);
  const { events } = await client.story(id);
  expect(events.filter((type) => type === 'task.waiting a')).toHaveLength(1);
});

test('two answers at the same instant: one counts, the other is told', async () => {
  const id = await begin({ a: approval({ onReject: 'continue' }) }, { output: { value: '${tasks.a.output.decision}' } });
  await waiting(id);
  const answers = await Promise.all([decide(id, 'approve'), decide(id, 'reject'), decide(id, 'approve'), decide(id, 'reject')]);
  expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409]);
  const winner = answers.find(({ status }) => status === 202);
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toBe(winner?.body.decision);
});

test('a rejection fails the task with its reason', async () => {
  const id = await begin({ a: approval() });
  await waiting(id);
  await decide(id, 'reject', { comment: 'too early' });
  expect(await client.end(id)).toMatchObject({
    status: 'failed',
    failure: { code: 'approval_rejected', message: expect.stringContaining('too early') as unknown },
  });
});

test('what is approved may be edited as far as the definition allows', async () => {
  const id = await begin({ a: approval({ edit: { type: 'string', maxLength: 3 } }) }, { output: { value: '${tasks.a.output.edited}' } });
  await waiting(id);
  expect(await decide(id, 'approve', { edited: 'long' })).toMatchObject({ status: 422, body: { issues: [{ pointer: '/edited' }] } });
  expect(await decide(id, 'approve', { edited: 'ok' })).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toBe('ok');
  const fixed = await begin({ a: approval() });
  await waiting(fixed);
  expect(await decide(fixed, 'approve', { edited: 1 })).toMatchObject({ status: 422 });
  await client.ask('POST', `/runs/${fixed}/cancel`);
  expect(await client.end(fixed)).toMatchObject({ status: 'cancelled' });
  expect(await decide(fixed, 'approve')).toMatchObject({ status: 409 });
});

test('only its approvers may decide, and from some time on those to whom it escalates', async () => {
  const id = await begin({ a: approval({ approvers: ['key:nobody'], escalate: { afterMs: 3_600_000, approvers: ['scope:runs:write'] } }) });
  await waiting(id);
  expect(await decide(id, 'approve')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  await db.rows({ name: 'hour', text: `update wait set since = since - interval '1 hour' where run = $1`, values: [id] });
  expect(await decide(id, 'approve')).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
});

/** Somebody with a role in the workspace, who has signed in. `ask`: posts for them. */
async function aMember(name: string, role: string) {
  const hash = await createPasswords({ memoryKiB: 1_024, passes: 2, lanes: 1, concurrent: 1, queued: 1 }).hash(PASSWORD);
  const known = normaliseName(name);
  if (!known) throw new Error('no name');
  const id = await createAccount(db, { name: known, password: { hash, short: false }, by: 'test', now: Date.now() });
  const text = `insert into membership (workspace, account, role, granted_by, granted) values ($1, $2, $3, 'test', now())`;
  await db.rows({ name: 'member', text, values: [stack.workspace, id, role] });
  const post = async (path: string, body: JsonObject, token?: string) => {
    const headers = { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(`${stack.url}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, body: (await answer.json()) as JsonObject };
  };
  const { body } = await post('/auth/login', { identifier: name, password: PASSWORD });
  return { id, ask: (path: string) => post(path, {}, body.accessToken as string) };
}

test('a person decides by the role that they have, or by their name; others of the workspace do not', async () => {
  const [manager, developer, named] = [
    await aMember('manager', 'project_manager'),
    await aMember('developer', 'developer'),
    await aMember('named', 'developer'),
  ];
  const id = await begin({
    a: approval({ approvers: ['role:project_manager'] }),
    b: approval({ approvers: ['user:Named'] }, { dependsOn: ['a'] }),
  });
  await waiting(id);
  for (const other of [developer, named])
    expect(await other.ask(`/runs/${id}/tasks/a/approve`)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  expect(await manager.ask(`/runs/${id}/tasks/a/approve`)).toMatchObject({ status: 202 });
  while ((await client.ask('GET', `/runs/${id}/tasks/b`)).body.status !== 'waiting');
  expect(await manager.ask(`/runs/${id}/tasks/b/approve`)).toMatchObject({ status: 403 });
  expect(await named.ask(`/runs/${id}/tasks/b/approve`)).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  const { data } = await client.story(id);
  expect(data('command.approve')).toMatchObject({ by: `user:${manager.id}` });
});

test.each([
  ['reject', 'failed', 'approval_rejected'],
  ['approve', 'completed', undefined],
  ['fail', 'failed', 'deadline_exceeded'],
])('nobody answers in time: the default of the definition counts (%s)', async (onDeadline, status, code) => {
  const id = await begin({ a: approval({}, { deadline: 'PT0.3S', onDeadline }) });
  expect(await client.end(id)).toMatchObject({ status, ...(code && { failure: { code } }) });
  expect(await decide(id, 'approve')).toMatchObject({ status: 409 });
});

test('what others post, signed, ends a wait of a run and starts another', async () => {
  const secret = Buffer.alloc(32, 3);
  await client.ask('PUT', '/secrets/signing', { value: secret.toString('base64') });
  const { body: hook } = await client.ask('PUT', '/hooks/pay', {
    ...{ event: { name: 'paid', key: '${payload.order}' }, secret: 'signing', scheme: 'standard-webhooks' },
  });
  const tasks = { a: { type: 'transform', with: { value: '${input.amount}' } } };
  await client.ask('POST', '/workflows', { ...{ dsl: 'tiu/1', name: 'charge', tasks, output }, triggers: [{ webhook: 'pay' }] });
  const id = await begin({ a: event('A17') }, { output });
  await waiting(id);
  const body = JSON.stringify({ order: 'A17', amount: 5 });
  const headers = signWebhook([{ id: 'k', secret }], { id: 'msg_1', at: Date.now(), body });
  const post = async () =>
    (await fetch(stack.url + (hook.links as { deliver: string }).deliver, {
      ...{ method: 'POST', body, headers: { ...headers, 'content-type': 'application/json' } },
    })).json() as Promise<{ runs: { runId: string }[] }>; // prettier-ignore
  const answers = await Promise.all([post(), post(), post()]);
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toEqual({ order: 'A17', amount: 5 });
  const started = answers[0].runs[0]?.runId ?? '';
  expect(await client.end(started)).toMatchObject({ status: 'completed' });
  expect(await resultOf(started)).toBe(5);
});

test('an approval reminds until it is decided, each time once, though the worker is killed in between', async () => {
  const remind = { every: 'PT1S', max: 3, channel: 'webhook', to: `${receiver.url}/remind` };
  const id = await begin({ a: approval({ remind }) });
  const reminded = async () => {
    const { items } = (await client.ask('GET', `/runs/${id}/events?after=0`)).body as {
      items: { type: string; data: { number: number } }[];
    };
    return items.filter(({ type }) => type === 'task.reminded').map(({ data }) => data);
  };
  await receiver.called('/remind');
  const [worker] = stack.workers;
  await worker?.kill();
  await worker?.restart();
  const numbers = () => receiver.calls.filter(({ path }) => path === '/remind').map(({ key }) => key.split('/').at(-1));
  await until(async () => (await reminded()).at(-1)?.number === 3 && numbers().includes('3'));
  expect(await decide(id, 'approve')).toMatchObject({ status: 202 });
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  const told = (await reminded()).map(({ number }) => String(number));
  expect(new Set(told).size).toBe(told.length);
  expect(new Set(numbers()).size).toBe(numbers().length);
  expect(told).toEqual(expect.arrayContaining(numbers()));
  expect((await client.story(id)).gapless).toBe(true);
});
