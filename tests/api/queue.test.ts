import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClaims } from '../../src/db/claims.ts';
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
