import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClaims } from '../../src/db/claims.ts';
import { CAUSES } from '../../src/api/features/queue/schemas.ts';
import { reportWorker } from '../../src/db/workers.ts';
import { anApi, type TestApi } from './anApi.ts';
import { tiu as inProcess } from '../cli/aTerminal.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_MAX_RUNS: '4' });
});
afterAll(() => api.stop());

type Run = { id: string };
type Explanation = { status: string; waitsFor: Record<string, unknown>[] };
const definition = (more: object = {}) => ({
  dsl: 'tiu/1',
  name: 'keyed',
  ...more,
  tasks: { call: { type: 'http', with: { url: 'https://example.org/' } } },
});
async function start(more: object = {}, input: object = {}): Promise<string> {
  const answer = await api.call('POST', '/api/v1/runs', {
    body: { definition: definition(more), input },
    headers: { 'idempotency-key': randomUUID() },
  });
  expect(answer.status).toBe(202);
  return (answer.body as Run).id;
}
const begin = async (): Promise<string[]> =>
  (await api.deps.db.pool.query<{ run: string }>('select run from admit_v3($1, 10, 5000, array[]::uuid[])', [worker])).rows.map(
    ({ run }) => run,
  );
const explain = async (run: string) => (await api.call('GET', `/api/v1/runs/${run}/explain`)).body as Explanation;
const worker = randomUUID();
const report = (temporal: boolean) =>
  reportWorker(api.deps.db, { id: worker, name: 'w', version: '0', temporal, reconciledMs: null, data: {} });
const tiu = (...args: string[]) => inProcess(args, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key }, cwd: api.folder });

test('the queue says of each run what it waits for, in the order in which they start', async () => {
  const concurrency = { key: '${input.tenant}' };
  const holder = await start({ concurrency }, { tenant: 'a/b' });
  expect(await explain(holder)).toMatchObject({ status: 'queued', waitsFor: [{ kind: 'no_worker', position: 1 }] });
  await report(false);
  expect(await explain(holder)).toMatchObject({ waitsFor: [{ kind: 'temporal_down' }] });
  await report(true);
  expect(await explain(holder)).toMatchObject({ waitsFor: [{ kind: 'turn', position: 1 }] });
  expect(await begin()).toEqual([holder]);
  const first = await start({ concurrency }, { tenant: 'a/b' });
  const second = await start({ concurrency, priority: 'low' }, { tenant: 'a/b' });
  const free = await start({ priority: 'high' });
  const { body } = await api.call('GET', '/api/v1/queue?limit=2');
  expect(body).toMatchObject({
    items: [
      { id: free, position: 1, priority: 'high', reason: 'turn', concurrency: null },
      { id: first, position: 2, reason: 'concurrency', concurrency: { key: 'a/b', limit: 1 } },
    ],
  });
  const { nextCursor } = body as { nextCursor: string };
  expect((await api.call('GET', `/api/v1/queue?limit=2&cursor=${nextCursor}`)).body).toMatchObject({
    items: [{ id: second, position: 3 }],
    nextCursor: null,
  });
  expect(await explain(second)).toMatchObject({
    waitsFor: [{ kind: 'concurrency', key: 'a/b', limit: 1, position: 3, holders: [holder] }],
  });
  expect((await api.call('GET', `/api/v1/limits/${encodeURIComponent('a/b')}`)).body).toMatchObject({
    runs: { holders: [holder], queued: 2 },
    holders: [],
  });
  expect((await tiu('queue')).out).toMatch(new RegExp(`1 {2}${free} {2}high.*turn.*keyed\n.*${first}.*concurrency.*a/b\n`));
  expect((await tiu('explain', second)).out).toMatch(/^queued\n {2}concurrency .*1 of the concurrency key a\/b may be open.*held by/);
  expect((await api.call('GET', '/api/v1/queue', { key: api.stranger.key })).body).toMatchObject({ items: [] });
  expect(await api.call('GET', `/api/v1/limits/${encodeURIComponent('a/b')}`, { key: api.stranger.key })).toMatchObject({ status: 404 });
  expect(await api.call('GET', `/api/v1/runs/${second}/explain`, { key: api.stranger.key })).toMatchObject({ status: 404 });
});

test('a full house is told as such', async () => {
  await begin();
  for (let i = 0; i < 4; i++) await start();
  await begin();
  expect(await explain(await start())).toMatchObject({ waitsFor: [{ kind: 'slot', limit: 4 }] });
});

test('of open runs it says at what they are at work, in which line they stand and until when', async () => {
  const run = await start({ concurrency: { key: 'mine' } });
  const other = await start();
  await begin();
  const claim = (of: string) =>
    createClaims({ db: api.deps.db })({
      ...{ run: of, task: 0, item: -1, generation: 0, epoch: 1, token: randomUUID() },
      limits: [{ key: 'host', concurrency: 1, rate: 10, perMs: 1_000 }],
    });
  await claim(other);
  await claim(run);
  expect(await explain(other)).toMatchObject({ waitsFor: [{ kind: 'effect', task: 'call', attempt: 1 }] });
  expect(await explain(run)).toMatchObject({ waitsFor: [{ kind: 'limit', task: 'call', key: 'host', position: 1, holders: [other] }] });
  expect((await api.call('GET', '/api/v1/limits/host')).body).toMatchObject({
    concurrency: 1,
    rate: { limit: 10, perMs: 1_000 },
    holders: [{ runId: other, task: 0, item: null, slot: 1, attempt: 1 }],
    waiting: [{ runId: run, position: 1 }],
  });
  await api.call('POST', `/api/v1/runs/${run}/cancel`);
  expect((await explain(run)).waitsFor[0]).toMatchObject({ kind: 'command' });
  expect(await api.call('GET', '/api/v1/limits/nothing')).toMatchObject({ status: 404 });
});

const http = { type: 'http', with: { url: 'https://example.org/' } };
async function startOf(tasks: object, more: object = {}): Promise<string> {
  const answer = await api.call('POST', '/api/v1/runs', {
    body: { definition: { dsl: 'tiu/1', name: 'told', ...more, tasks } },
    headers: { 'idempotency-key': randomUUID() },
  });
  expect(answer.status).toBe(202);
  await begin();
  return (answer.body as Run).id;
}
const attempt = (run: string, task: number, item = -1) =>
  createClaims({ db: api.deps.db })({ run, task, item, generation: 0, epoch: 1, token: randomUUID() });

test('what may not begin for want of a place says so, in which order, and who has the places', async () => {
  const run = await startOf({ a: http, b: http, c: { ...http, priority: 'high' } }, { maxConcurrency: 1, strategy: 'priority_based' });
  await attempt(run, 0);
  expect((await explain(run)).waitsFor).toMatchObject([
    { kind: 'effect', task: 'a' },
    { kind: 'max_concurrency', task: 'c', position: 1, limit: 1, tasks: ['a'] },
    { kind: 'max_concurrency', task: 'b', position: 2, limit: 1, tasks: ['a'] },
  ]);
});

test('a run whose tasks go one at a time says whose turn it is; a paused branch is told as such', async () => {
  const run = await startOf({ a: http, b: http, c: { ...http, dependsOn: ['b'] } }, { strategy: 'sequential' });
  await attempt(run, 0);
  expect((await explain(run)).waitsFor).toMatchObject([
    { kind: 'effect', task: 'a' },
    { kind: 'strategy', task: 'b', position: 1, tasks: ['a'] },
  ]);
  const paused = await api.call('POST', `/api/v1/runs/${run}/pause`, { body: { tasks: ['b'], branch: true } });
  expect(paused.status).toBe(202);
  expect((await explain(run)).waitsFor).toMatchObject([
    { kind: 'effect', task: 'a' },
    { kind: 'paused', task: 'b' },
    { kind: 'paused', task: 'c' },
  ]);
});

test('items in the line of a limit, an open circuit, an activity that nobody takes are told', async () => {
  const run = await startOf({
    a: http,
    b: { type: 'activity', with: { taskQueue: 'theirs', activity: 'charge' } },
    m: { ...http, map: { items: [1, 2, 3] } },
  });
  const { pool } = api.deps.db;
  await attempt(run, 0);
  const failure = JSON.stringify({ code: 'circuit_open', message: 'x', data: { host: 'example.org' } });
  await pool.query(`update task set status = 'retrying', failure = $2, next_at = now() where run = $1 and task = 0`, [run, failure]);
  const wait = `insert into wait (run, task, item, generation, kind, workspace, limit_key, untaken) select $1, $2, $3, 0, $4, workspace, $5, $6 from run where id = $1`;
  await pool.query(wait, [run, 1, -1, 'external', null, 'theirs']);
  for (const item of [0, 1]) await pool.query(wait, [run, 2, item, 'limit', 'shop', null]);
  expect((await explain(run)).waitsFor).toMatchObject([
    { kind: 'circuit', task: 'a', host: 'example.org' },
    { kind: 'no_activity_worker', task: 'b', key: 'theirs' },
    { kind: 'limit', task: 'm', key: 'shop', items: 2, position: 1 },
  ]);
});

test('every code of a reason is documented', () => {
  const page = fs.readFileSync('docs/limits.md', 'utf8');
  for (const kind of CAUSES) expect(page).toContain(`| \`${kind}\``);
});

test('a run that its key refuses is answered with 409 and a code', async () => {
  const concurrency = { key: 'only-one', onConflict: 'reject' };
  await start({ concurrency });
  const answer = await api.call('POST', '/api/v1/runs', {
    body: { definition: definition({ concurrency }) },
    headers: { 'idempotency-key': randomUUID() },
  });
  expect(answer).toMatchObject({
    status: 409,
    body: { code: 'concurrency_limit', detail: '1 run with the concurrency key only-one may be open at once' },
  });
});

test.each([
  ['a number', 7, 202],
  ['256 characters', 'x'.repeat(256), 202],
  ['257 characters', 'x'.repeat(257), 422],
  ['nothing', '', 422],
  ['an object', {}, 422],
])('a key that is %s', async (_, tenant, status) => {
  const body = { definition: definition({ concurrency: { key: '${input.tenant}' } }), input: { tenant } };
  expect((await api.call('POST', '/api/v1/runs', { body, headers: { 'idempotency-key': randomUUID() } })).status).toBe(status);
});
