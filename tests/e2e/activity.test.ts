import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { parse } from 'yaml';
import { getPython } from '../../tools/setup/python.mjs';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { createPayloadCipher } from '../../src/providers/payloadCipher/payloadCipher.ts';
import { createDataConverter } from '../../src/temporal/dataConverter.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';
import { someActivities } from './someActivities.ts';
import { until } from '../support/until.ts';

const EXAMPLE = path.join(process.cwd(), 'examples/activity');
const CANARY = 'canary-81c2';
const key = { id: 'k1', secret: randomBytes(32) };
const codecToken = randomBytes(24).toString('base64url');
const address = process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '';
const python = await getPython().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));

let stack: TestStack;
let connection: Connection;
let temporal: Client;
let client: ReturnType<typeof aClient>;
let users: Awaited<ReturnType<typeof someActivities>>;
let lonely: string;
beforeAll(async () => {
  const env = {
    ...{ TIU_PAYLOAD_KEYS: `${key.id}:${key.secret.toString('base64')}`, TIU_CODEC_TOKEN: codecToken },
    ...{ TIU_ACTIVITY_START_TIMEOUT: '12000', TIU_SHUTDOWN_GRACE: '500' },
  };
  stack = await aStack({ workers: 1, env });
  connection = await Connection.connect({ address });
  const dataConverter = createDataConverter(createPayloadCipher([key]));
  temporal = new Client({ connection, dataConverter });
  client = aClient(stack, connection);
  users = await someActivities({ address, dataConverter, taskQueue: `${stack.taskQueue}-users` });
  lonely = await begin({ a: call('tell', [], {}, { taskQueue: `${stack.taskQueue}-nobody` }) });
});
afterAll(async () => {
  await users.stop();
  await connection.close();
  await stack.stop();
});

const call = (activity: string, args: Json, task: JsonObject = {}, fields: JsonObject = {}): JsonObject => ({
  ...{ type: 'activity', with: { taskQueue: `${stack.taskQueue}-users`, activity, args, ...fields } },
  ...task,
});
const begin = async (tasks: JsonObject, definition?: JsonObject) =>
  (await client.start(tasks, { wait: false, ...(definition && { definition }) })).id;
const detailOf = async (id: string, task = 'a') => (await client.ask('GET', `/runs/${id}/tasks/${task}`)).body;
const execution = (id: string) => temporal.workflow.getHandle(`activity/${id}/0/0`);

test('arguments with expressions reach the worker of a user, its result comes back, and Temporal holds both sealed', async () => {
  const run = await client.start(
    {
      a: call('tell', ['${input.n + 1}', { who: '${input.who}' }]),
      b: { type: 'transform', with: { value: '${tasks.a.output.args[0] * 2}' } },
    },
    { input: { n: 20, who: CANARY }, definition: { output: { value: ['${tasks.b.output}', '${tasks.a.output}'] } } },
  );
  expect(run).toMatchObject({ status: 'completed', output: [42, { args: [21, { who: CANARY }], workflowId: `activity/${run.id}/0/0` }] });
  const { events: story, gapless } = await client.story(run.id);
  expect([story.filter((event) => event.endsWith(' a')), gapless]).toEqual([['task.waiting a', 'task.completed a'], true]);
  expect(await (await execution(run.id).describe()).staticSummary()).toBe(`activity of task a, run ${run.id}`);
  const { events = [] } = await execution(run.id).fetchHistory();
  const payloads = [events?.find((e) => e.activityTaskScheduledEventAttributes)?.activityTaskScheduledEventAttributes?.input?.payloads]
    .concat([events?.find((e) => e.activityTaskCompletedEventAttributes)?.activityTaskCompletedEventAttributes?.result?.payloads])
    .flatMap((some) => some ?? []);
  expect(payloads.map(({ metadata }) => Buffer.from(metadata?.encoding ?? []).toString())).toEqual(Array(3).fill('binary/tiu-sealed-1'));
});

test('a failure is tried again by Temporal; one that is final is the task', async () => {
  const retry = { limit: 3, delay: 'PT0.05S' };
  const [flaky, refused, once] = await Promise.all([
    begin({ a: call('flaky', 3, { retry }) }),
    begin({ a: call('refuse', [], { retry }) }),
    begin({ a: call('flaky', 2) }),
  ]);
  expect(await client.end(flaky)).toMatchObject({ status: 'completed' });
  expect(await detailOf(flaky)).toMatchObject({ output: 3 });
  for (const id of [refused, once]) expect(await client.end(id)).toMatchObject({ status: 'failed' });
  expect((await detailOf(refused)).failure).toEqual({ code: 'activity_failed', message: 'there is no money', data: { type: 'NoMoney' } });
  expect((await detailOf(once)).failure).toEqual({ code: 'activity_failed', message: 'not yet', data: { type: 'Busy' } });
  await expect(execution(refused).result()).rejects.toThrow('Workflow execution failed');
});

test('a result beyond 64 KB goes to the object store', async () => {
  const run = await client.start({ a: call('large', 100_000) }, { definition: { output: { value: '${size(tasks.a.output)}' } } });
  expect(run).toMatchObject({ status: 'completed', output: 100_000 });
});

test('a cancel reaches an activity that beats, the task ends with it, and the run cleans up after that, with another', async () => {
  const id = await begin({ a: call('beat', 'cancel') }, { finally: { f: call('tell', '${run.status}') } });
  await users.begun('cancel');
  await client.ask('POST', `/runs/${id}/cancel`);
  await users.stopped('cancel');
  expect(await client.end(id)).toMatchObject({ status: 'cancelled' });
  expect(await client.statuses(id)).toEqual({ a: 'cancelled', f: 'completed' });
  expect(await detailOf(id)).toMatchObject({ failure: { code: 'task_cancelled' } });
  expect(await detailOf(id, 'f')).toMatchObject({ output: { args: ['cancelled'] } });
});

test('a forced cancel does not wait for one that does not listen', async () => {
  const id = await begin({ a: call('hold', 'deaf') });
  await users.begun('deaf');
  await client.ask('POST', `/runs/${id}/cancel`, { force: true });
  expect(await client.end(id)).toMatchObject({ status: 'cancelled' });
  users.open('deaf');
});

test('the deadline of the task ends the activity, too', async () => {
  const id = await begin({ a: call('beat', 'deadline', { deadline: 'PT5S' }) });
  await users.stopped('deadline');
  expect(await client.end(id)).toMatchObject({ status: 'failed' });
  expect(await detailOf(id)).toMatchObject({ status: 'timed_out', failure: { code: 'deadline_exceeded' } });
});

test('an attempt that takes longer than its timeout, or sends no heartbeat for too long, has timed out', async () => {
  const slow = await begin({ a: call('hold', 'slow', { timeout: 'PT0.3S' }) });
  const silent = await begin({ a: call('hold', 'silent', {}, { heartbeat: 'PT0.3S' }) });
  for (const id of [slow, silent]) expect(await client.end(id)).toMatchObject({ status: 'failed' });
  expect(await detailOf(slow)).toMatchObject({ status: 'timed_out', failure: { code: 'task_timed_out' } });
  const failure = { code: 'task_timed_out', message: 'No heartbeat came in time' };
  expect(await detailOf(silent)).toMatchObject({ status: 'timed_out', failure });
  for (const name of ['slow', 'silent']) users.open(name);
});

test('where no worker is, the task says that it waits for one, then fails with no_worker', async () => {
  const untaken = expect.objectContaining({ kind: 'no_activity_worker', task: 'a', key: `${stack.taskQueue}-nobody` }) as unknown;
  const other = await begin({ a: call('tell', [], {}, { taskQueue: `${stack.taskQueue}-nobody` }) });
  const explained = await until(async () => {
    const { waitsFor } = (await client.ask('GET', `/runs/${other}/explain`)).body as { waitsFor: { kind: string }[] };
    return waitsFor.some(({ kind }) => kind === 'no_activity_worker') && waitsFor;
  });
  expect(explained).toContainEqual(untaken);
  expect(await client.end(lonely)).toMatchObject({ status: 'failed' });
  expect(await detailOf(lonely)).toMatchObject({ status: 'failed', failure: { code: 'no_worker' } });
});

test('activities of other runs share a limit: one at a time, the next in line, where it can be cancelled', async () => {
  const limits = [{ key: 'till', concurrency: 1 }];
  const standsInLine = (id: string) =>
    until(async () => {
      const { waitsFor } = (await client.ask('GET', `/runs/${id}/explain`)).body as { waitsFor: { kind: string }[] };
      return waitsFor.some(({ kind }) => kind === 'limit');
    });
  const first = await begin({ a: call('hold', 'first', { limits }) });
  await users.begun('first');
  const second = await begin({ a: call('hold', 'second', { limits }) });
  await standsInLine(second);
  const third = await begin({ a: call('hold', 'third', { limits }) });
  await standsInLine(third);
  await client.ask('POST', `/runs/${third}/cancel`);
  expect(await client.end(third)).toMatchObject({ status: 'cancelled' });
  expect([users.callsOf('second'), users.callsOf('third')]).toEqual([0, 0]);
  users.open('first');
  await users.begun('second');
  users.open('second');
  for (const id of [first, second]) expect(await client.end(id)).toMatchObject({ status: 'completed' });
});

test('our worker is killed between the start and the result: the activity runs once, and the run goes on', async () => {
  const id = await begin({ a: call('hold', 'killed') });
  await users.begun('killed');
  const [worker] = stack.workers;
  await worker?.kill();
  users.open('killed');
  await worker?.restart();
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect([(await detailOf(id)).output, users.callsOf('killed')]).toEqual(['killed', 1]);
});

test('a cancel in Temporal itself ends the task', async () => {
  const id = await begin({ a: call('beat', 'ui') });
  await users.begun('ui');
  const { waitsFor } = (await client.ask('GET', `/runs/${id}/explain`)).body;
  expect(waitsFor).toContainEqual(expect.objectContaining({ kind: 'activity', task: 'a' }));
  await execution(id).cancel();
  await users.stopped('ui');
  await client.end(id);
  expect(await client.statuses(id)).toEqual({ a: 'cancelled' });
});

/** A worker of the example as a process of its own, once it says that it works. */
async function aWorkerOf(command: string, args: string[], env: Record<string, string> = {}): Promise<ChildProcess> {
  const place = { TEMPORAL_ADDRESS: address, TIU_CODEC: `${stack.url}/api/v1/codec/${codecToken}` };
  const child = spawn(command, args, { env: { ...process.env, ...place, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface(child.stdout)) if (line.startsWith('working on')) return child;
  throw new Error(`${args.join(' ')} ended`);
}

const reason = typeof python === 'string' ? ` (skipped: ${python.split('\n')[0] ?? ''})` : '';
// eslint-disable-next-line no-restricted-properties -- where there is no Python, the name of the test says so
const withPython = typeof python === 'string' ? test.skip : test;
withPython(`the example runs with its worker in Python and its worker in TypeScript${reason}`, async () => {
  const { python: interpreter, folder } = python as Exclude<typeof python, string>;
  const workers = await Promise.all([
    aWorkerOf(interpreter, [path.join(EXAMPLE, 'worker.py')], { PYTHONPATH: folder }),
    aWorkerOf(process.execPath, [path.join(EXAMPLE, 'worker.ts')]),
  ]);
  const definition = parse(fs.readFileSync(path.join(EXAMPLE, 'activity.yaml'), 'utf8')) as JsonObject & { tasks: JsonObject };
  const run = await client.start(definition.tasks, { definition, input: { numbers: [12.5, 7, 3], currency: 'EUR' } });
  expect(run).toMatchObject({ status: 'completed', output: { mean: '€7.50', largest: 12.5 } });
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.map(async (worker) => worker.exitCode ?? worker.signalCode ?? once(worker, 'exit')));
});
