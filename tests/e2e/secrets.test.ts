import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { freePort } from '../../src/dev/freePort.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { follow } from '../realtime/aSubscriber.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';
import { anEcho } from './anEcho.ts';
import { canaries, type Canary } from './canaries.ts';

const KEYS = `k1:${Buffer.alloc(32, 1).toString('base64')}`;
const LIMIT_MS = 120_000;

let stack: TestStack;
let connection: Connection;
let echo: Awaited<ReturnType<typeof anEcho>>;
let client: ReturnType<typeof aClient>;
let planted: Canary[];
let metricsPort: number;
beforeAll(async () => {
  echo = await anEcho();
  metricsPort = await freePort();
  const env = { TIU_SECRET_KEYS: KEYS, TIU_HTTP_ALLOW: '127.0.0.0/8', TIU_LOG_LEVEL: 'trace', TIU_METRICS_PORT: String(metricsPort) };
  stack = await aStack({ workers: 1, env });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
  planted = canaries(echo.url);
  for (const { name, value } of planted) await set(name, value);
}, LIMIT_MS);
afterAll(async () => {
  await connection.close();
  await stack.stop();
  echo.close();
}, LIMIT_MS);

const headers = () => ({ authorization: `Bearer ${stack.key}`, 'content-type': 'application/json' });
const read = async (target: string, more: Record<string, string> = {}): Promise<string> =>
  (await fetch(`${stack.url}${target}`, { headers: { ...headers(), ...more } })).text();
const parse = async <T>(target: string): Promise<T> => JSON.parse(await read(target)) as T;

async function set(name: string, value: string): Promise<void> {
  const response = await fetch(`${stack.url}/api/v1/secrets/${name}`, {
    method: 'PUT',
    headers: headers(),
    body: JSON.stringify({ value }),
  });
  expect([name, response.status]).toEqual([name, 200]);
}

/** Those canaries of which something is in the text. */
const found = (text: string): string[] =>
  planted.filter(({ needles }) => needles.some((needle) => text.includes(needle))).map(({ name }) => name);

async function everyRow(): Promise<Record<string, string>> {
  const db = await stack.base.open('tiu_owner', 1);
  const tables = await db.rows<{ name: string }>({
    name: 'tables',
    text: `select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`,
    values: [],
  });
  const texts: Record<string, string> = {};
  for (const { name } of tables) {
    const rows = await db.rows<{ row: string }>({ name: `all_${name}`, text: `select t::text as row from ${name} t`, values: [] });
    texts[name] = rows.map(({ row }) => row).join('\n');
  }
  return texts;
}

function everyFile(folder: string): Record<string, string> {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(files.map((entry) => [entry.name, fs.readFileSync(path.join(entry.parentPath, entry.name)).toString()]));
}

/** Everything of every execution, with the bytes of its payloads. */
async function everyHistory(runs: readonly string[]): Promise<string[]> {
  const { workflow } = new Client({ connection });
  const histories: string[] = [];
  for await (const { workflowId, runId, raw } of workflow.list({ query: `TaskQueue = '${stack.taskQueue}'` })) {
    const history = historyToJSON(await workflow.getHandle(workflowId, runId).fetchHistory());
    const payloads = [...history.matchAll(/"([A-Za-z0-9+/]{8,}={0,2})"/g)].map(([, base64 = '']) =>
      Buffer.from(base64, 'base64').toString(),
    );
    histories.push([workflowId, JSON.stringify(raw), history, ...payloads].join('\n'));
  }
  for (const run of runs) expect(histories.some((history) => history.startsWith(`run/${run}`))).toBe(true);
  return histories;
}

/** Every answer that shows something of a run. */
async function everyAnswer(id: string): Promise<Record<string, string>> {
  const run = `/api/v1/runs/${id}`;
  const { items: tasks } = await parse<{ items: { id: string; items: unknown }[] }>(`${run}/tasks`);
  const targets = [run, `${run}/tasks`, `${run}/events?limit=500`, `${run}/output`, `${run}/explain`, '/api/v1/runs', '/api/v1/secrets'];
  for (const { id: task, items } of tasks)
    targets.push(...['', '/output', ...(items ? ['/items'] : [])].map((end) => `${run}/tasks/${task}${end}`));
  const answers: Record<string, string> = {};
  for (const target of targets) answers[target] = await read(target);
  answers.stream = await read(`${run}/events?after=0`, { accept: 'text/event-stream' });
  return answers;
}

const expression = (names: readonly string[], what: string): string[] => names.map((name) => `\${tasks.${name}.${what}}`);

/** Every canary in a task of its own, and two tasks that compute with what the others gave. */
function definition(): JsonObject {
  const names = planted.map(({ name }) => name);
  const small = names.filter((name) => !/large|pieces|artifact/.test(name));
  const after = names.map((task) => ({ task, when: ['completed', 'failed', 'timed_out'] }));
  return {
    dsl: 'tiu/1',
    name: 'canaries',
    tasks: {
      ...Object.fromEntries(planted.map(({ name, task }) => [name, task])),
      all: { type: 'transform', dependsOn: after, with: { value: [...expression(small, 'output'), ...expression(names, 'error')] } },
      look: { type: 'transform', dependsOn: after, with: { value: '${size(tasks.largeJson.output.body)}' } },
      further: { type: 'http', onError: 'continue', with: { method: 'POST', url: `${echo.url}/echo`, body: '${tasks.all.output}' } },
    },
    output: { value: { all: '${tasks.all.output}', large: expression(['largeJson', 'largeText', 'pieces'], 'output') } },
  } as Json as JsonObject;
}

async function start(body: JsonObject): Promise<string> {
  const response = await fetch(`${stack.url}/api/v1/runs`, {
    method: 'POST',
    headers: { ...headers(), 'idempotency-key': crypto.randomUUID() },
    body: JSON.stringify(body),
  });
  const { id } = (await response.json()) as { id?: string };
  if (id === undefined) throw new Error(JSON.stringify(body));
  return id;
}

test(
  'no secret that a task uses is in any table, object, event, answer, log, metric or history, though the other side says it back',
  async () => {
    const run = await start({ definition: definition() });
    const sockets = await follow({ urls: [stack.url], token: stack.key, run }, () => Infinity);
    // a run that fails shows the failure of its task
    const failing = planted.find(({ name }) => name === 'refused')?.task ?? {};
    const failed = await client.start({ fails: { ...failing, onError: 'fail' } });

    const { items } = await parse<{ items: { id: string; status: string }[] }>(`/api/v1/runs/${run}/tasks`);
    const statuses = new Map(items.map(({ id, status }) => [id, status]));
    expect(planted.map(({ name }) => [name, statuses.get(name)])).toEqual(planted.map(({ name, status }) => [name, status]));
    expect(statuses.get('all')).toBe('completed');
    expect(failed).toMatchObject({ status: 'failed', failure: { code: 'http_status' } });
    // all of them were really sent, but for one that no header can hold
    const heard = echo.heard.join('\n');
    expect(planted.filter(({ needles: [needle = ''] }) => !heard.includes(needle)).map(({ name }) => name)).toEqual(['noHeader']);
    expect(planted.length).toBeGreaterThanOrEqual(25);

    await Promise.allSettled([run, failed.id].map((id) => client.ended(id)));
    const answers = { ...(await everyAnswer(run)), ...(await everyAnswer(failed.id)) };
    const health = await Promise.all(['/health', '/metrics'].map((target) => read(target)));
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const rows = await everyRow();
    const files = everyFile(stack.folder);
    const histories = await everyHistory([run, failed.id]);
    const texts = { ...answers, ...rows, ...files, sockets: JSON.stringify(sockets.events), health: health.join(), metrics };
    expect(Object.entries(texts).flatMap(([where, text]) => found(text).map((name) => `${name} in ${where}`))).toEqual([]);
    expect(histories.flatMap(found)).toEqual([]);

    // and these were the places to look at: what stands instead of the secrets is there
    const label = (name: string) => `[secret:${name}]`;
    expect(answers[`/api/v1/runs/${run}/tasks/header`]).toContain(label('header'));
    expect(answers[`/api/v1/runs/${run}/tasks/largeJson/output`]).toContain(label('largeJson'));
    expect(answers[`/api/v1/runs/${run}/output`]).toContain(label('pieces'));
    expect(sockets.events.find(({ type, task }) => type === 'task.failed' && task === 'refused')).toMatchObject({
      data: { data: { headers: { 'x-echo': label('refused') }, body: expect.stringContaining(label('refused')) } },
    });
    expect(Object.values(files).filter((text) => text.includes(label('largeText')))).not.toEqual([]);
    expect(Object.keys(files)).toEqual(expect.arrayContaining(['api-0.log', 'worker-0.log']));
    expect(rows.secret?.split('\n')).toHaveLength(planted.length);
  },
  LIMIT_MS,
);

test('a secret that is not there fails the task at once, one that is set later is found by the next run', async () => {
  const call = { type: 'http', retry: { limit: 5 }, with: { url: `${echo.url}/echo`, headers: { 'x-key': '${secrets.comesLater}' } } };
  const before = await client.start({ call });
  expect(before).toMatchObject({ status: 'failed', failure: { code: 'unknown_secret', message: expect.stringContaining('comesLater') } });
  expect((await client.story(before.id)).events.filter((event) => event === 'task.retrying call')).toEqual([]);
  await set('comesLater', 'a-value-that-came');
  expect(await client.start({ call })).toMatchObject({ status: 'completed' });
  expect(echo.heard).toContain('a-value-that-came');
  await set('comesLater', 'another-value');
  expect(await client.start({ call })).toMatchObject({ status: 'completed' });
  expect(echo.heard).toContain('another-value');
});

test('the example signs in and tells, and shows neither its secret nor what it marks', async () => {
  await set('apiKey', 'key-of-the-example');
  const definition = parseYaml(fs.readFileSync(path.join(import.meta.dirname, '../../examples/secrets.yaml'), 'utf8')) as JsonObject;
  const input = { url: echo.url, user: 'ada', password: 'password-of-ada' };
  const run = await client.start({}, { definition, input });
  const session = { token: '[redacted]', key: '[secret:apiKey]' };
  expect(run).toMatchObject({ status: 'completed', output: { session, status: 200 } });
  expect(echo.heard).toEqual(
    expect.arrayContaining(['{"password":"password-of-ada","user":"ada"}', 'Bearer token-of-the-session', '{"note":"hello"}']),
  );
  const answers = await everyAnswer(run.id);
  expect(JSON.parse(answers[`/api/v1/runs/${run.id}/tasks/signIn/output`] ?? '')).toEqual({
    status: 200,
    headers: '[redacted]',
    body: session,
  });
  expect(answers[`/api/v1/runs/${run.id}/tasks/tell`]).toContain('key [secret:apiKey]');
  for (const hidden of ['key-of-the-example', 'password-of-ada', 'token-of-the-session'])
    for (const [where, text] of Object.entries(answers)) expect([where, text.includes(hidden)]).toEqual([where, false]);
});

test('a task whose condition does not hold needs no secret', async () => {
  const skipped = { type: 'http', if: 'false', with: { url: echo.url, headers: { a: '${secrets.nowhere}' } } };
  expect(await client.start({ skipped })).toMatchObject({ status: 'completed' });
});

test(
  'secrets are read under an old key after a rotation',
  async () => {
    await set('rotated', 'kept-under-the-old-key');
    const db = await stack.base.open('tiu_engine', 1);
    const [row] = await db.rows<{ key_id: string }>({ name: 'one', text: `select key_id from secret where name = 'rotated'`, values: [] });
    expect(row?.key_id).toBe('k1');
    const [worker] = stack.workers;
    stack.env.TIU_SECRET_KEYS = `k2:${Buffer.alloc(32, 2).toString('base64')},${KEYS}`;
    await worker?.kill('SIGTERM');
    await worker?.restart();
    const call = { type: 'http', with: { url: `${echo.url}/echo`, headers: { 'x-key': '${secrets.rotated}' } } };
    expect(await client.start({ call })).toMatchObject({ status: 'completed' });
    expect(echo.heard).toContain('kept-under-the-old-key');
  },
  LIMIT_MS,
);
