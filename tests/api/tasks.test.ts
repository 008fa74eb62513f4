import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient } from '../../src/client/createClient.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { anApi, type TestApi } from './anApi.ts';
import { begin, close, tell } from './aStory.ts';

let api: TestApi;
let journal: Journal;
beforeAll(async () => {
  api = await anApi({ TIU_MAX_RUN_BATCH: '30' });
  journal = createJournal({ url: api.base.url });
});
afterAll(async () => {
  await journal.close();
  await api.stop();
});

type Task = { id: string; name: string; status: string; links: { task: string } };
type Result = {
  index: number;
  status: number;
  replayed?: boolean;
  data?: Task;
  problem?: { code: string; issues?: { pointer: string }[] };
};
type Batch = { results: Result[]; summary: { total: number; succeeded: number; failed: number } };

const keyed = () => ({ 'idempotency-key': randomUUID() });
const one = { name: 'Add up', type: 'transform', with: { value: 7 } };
const call = { name: 'Ask', type: 'http', with: { url: 'https://example.org/' } };
const create = (body: object, headers: Record<string, string> = keyed()) => api.call('POST', '/api/v1/tasks', { body, headers });
const createMany = async (tasks: unknown[], headers: Record<string, string> = keyed()) =>
  (await api.call('POST', '/api/v1/tasks/batch', { body: { tasks }, headers })).body as Batch;
const count = async () =>
  (await api.deps.db.rows<{ n: number }>({ name: 'count', text: 'select count(*)::int as n from run', values: [] }))[0]?.n;

test('a task is a run of one task: created, read, ended, listed', async () => {
  const answer = await create({ ...one, description: 'Seven', priority: 'high', labels: { team: 'blue' } });
  expect(answer).toMatchObject({
    status: 202,
    body: {
      ...{ name: 'Add up', description: 'Seven', type: 'transform', status: 'queued', priority: 'high', percent: 0 },
      ...{ labels: { team: 'blue', 'tiu.form': 'task' }, workflow: { name: 'task-transform', number: null } },
    },
  });
  const { id, links } = answer.body as Task;
  expect(answer.headers.get('location')).toBe(links.task);
  expect(links.task).toBe(`/api/v1/tasks/${id}`);
  await begin(api.deps.db, id);
  expect((await api.call('GET', links.task)).body).toMatchObject({ status: 'running', output: null, counts: { total: 1 } });
  await tell(journal, id, { output: '7' });
  await close(journal, id, { status: 'completed', output: '7' });
  const read = await api.call('GET', links.task);
  expect(read.body).toMatchObject({ status: 'completed', output: 7, percent: 100, name: 'Add up', description: 'Seven' });
  const unchanged = await api.call('GET', links.task, { headers: { 'if-none-match': read.headers.get('etag') ?? '' } });
  expect(unchanged.status).toBe(304);
  expect((await api.call('GET', `/api/v1/runs/${id}`)).body).toMatchObject({ id, status: 'completed' });
  expect((await api.call('GET', '/api/v1/tasks')).body).toMatchObject({
    items: [{ id, name: 'Add up', type: 'transform' }],
    nextCursor: null,
  });
});

test('a task takes a strategy, and says which is used', async () => {
  expect((await create({ ...one, strategy: 'adaptive' })).body).toMatchObject({
    strategyUsed: 'sequential',
    strategyReason: 'adaptive: at most 3 tasks',
  });
  expect((await create(one)).body).toMatchObject({ strategyUsed: 'parallel', strategyReason: 'no strategy was asked for' });
  expect(await create({ ...one, strategy: 'fast' })).toMatchObject({ status: 422, body: { issues: [{ pointer: '/strategy' }] } });
  const headers = keyed();
  await create({ ...one, strategy: 'adaptive' }, headers);
  expect(await create({ ...one, strategy: 'parallel' }, headers)).toMatchObject({ body: { code: 'idempotency_mismatch' } });
});

test('who prefers to wait is answered with the output', async () => {
  const runId = randomUUIDv7();
  const waiting = create({ ...one, runId }, { prefer: 'wait=20' });
  while ((await api.call('GET', `/api/v1/tasks/${runId}`)).status !== 200);
  await begin(api.deps.db, runId);
  await tell(journal, runId, { output: '7' });
  await close(journal, runId, { status: 'completed', output: '7' });
  expect(await waiting).toMatchObject({ status: 200, body: { status: 'completed', output: 7, name: 'Add up' } });
});

test('tasks are listed by kind and status, and runs of other forms are none', async () => {
  const made = (await create(call)).body as Task;
  const run = await api.call('POST', '/api/v1/runs', {
    body: { definition: { dsl: 'tiu/1', name: 'task-http', tasks: { a: { type: 'transform', with: { value: 1 } } } } },
    headers: keyed(),
  });
  const { id } = run.body as { id: string };
  const ids = async (query: string) =>
    ((await api.call('GET', `/api/v1/tasks${query}`)).body as { items: Task[] }).items.map((task) => task.id);
  expect(await ids('?type=http')).toEqual([made.id]);
  expect(await ids('?type=http&status=completed')).toEqual([]);
  expect(await ids('?status=queued&status=running')).toContain(made.id);
  expect(await ids('')).not.toContain(id);
  expect(await api.call('GET', `/api/v1/tasks/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  expect(await api.call('POST', `/api/v1/tasks/${id}/cancel`)).toMatchObject({ status: 404 });
  const first = (await api.call('GET', '/api/v1/tasks?limit=1')).body as { items: Task[]; nextCursor: string };
  expect(await ids(`?limit=50&cursor=${first.nextCursor}`)).not.toContain(first.items[0]?.id);
});

test("another workspace's task is neither told nor cancelled", async () => {
  const { id } = (await create(one)).body as Task;
  const asStranger = { key: api.stranger.key };
  expect(await api.call('GET', `/api/v1/tasks/${id}`, asStranger)).toMatchObject({ status: 404 });
  expect(await api.call('POST', `/api/v1/tasks/${id}/cancel`, asStranger)).toMatchObject({ status: 404 });
  expect((await api.call('GET', '/api/v1/tasks', asStranger)).body).toMatchObject({ items: [] });
});

test('a task is cancelled as its run is, once it is closed no more', async () => {
  const { id } = (await create(one)).body as Task;
  await begin(api.deps.db, id);
  const cancelled = await api.call('POST', `/api/v1/tasks/${id}/cancel`, { body: { reason: 'enough' }, headers: keyed() });
  expect(cancelled).toMatchObject({ status: 202, body: { id, intent: 'cancel', reason: 'enough', name: 'Add up' } });
  const closed = (await create(one)).body as Task;
  await begin(api.deps.db, closed.id);
  await tell(journal, closed.id, { output: '7' });
  await close(journal, closed.id, { status: 'completed', output: '7' });
  expect(await api.call('POST', `/api/v1/tasks/${closed.id}/cancel`)).toMatchObject({ status: 409, body: { code: 'run_already_closed' } });
});

const command = (id: string, what: string, body: object = {}, more: object = {}) =>
  api.call('POST', `/api/v1/tasks/${id}/${what}`, { body, headers: keyed(), ...more });

test('a task is paused and resumed, each once', async () => {
  const { id } = (await create(one)).body as Task;
  await begin(api.deps.db, id);
  expect(await command(id, 'resume')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  const paused = await command(id, 'pause', { reason: 'lunch' });
  expect(paused).toMatchObject({ status: 202, body: { id, paused: true, name: 'Add up', links: { task: `/api/v1/tasks/${id}` } } });
  expect(await command(id, 'pause')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  expect(await command(id, 'resume')).toMatchObject({ status: 202, body: { id, paused: false } });
  const { items } = (await api.call('GET', `/api/v1/runs/${id}/events`)).body as { items: { type: string; data?: object }[] };
  expect(items.filter(({ type }) => type.startsWith('command')).map(({ type, data }) => [type, data])).toMatchObject([
    ['command.pause', { reason: 'lunch' }],
    ['command.resume', {}],
  ]);
});

test('a task that has failed is run again, one that is open or has completed is not', async () => {
  const { id } = (await create(one)).body as Task;
  await begin(api.deps.db, id);
  expect(await command(id, 'retry')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  await tell(journal, id, { status: 'failed' });
  await close(journal, id, { status: 'failed' });
  expect(await command(id, 'retry', { reason: 'mended' })).toMatchObject({ status: 202, body: { id, status: 'queued', name: 'Add up' } });
  const done = (await create(one)).body as Task;
  await begin(api.deps.db, done.id);
  await tell(journal, done.id, { output: '7' });
  await close(journal, done.id, { status: 'completed', output: '7' });
  expect(await command(done.id, 'retry')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
});

test.each(['pause', 'resume', 'retry', 'cancel'])(
  '%s of what is no task of the workspace finds nothing, and takes no field that nobody knows',
  async (what) => {
    const { id } = (await create(one)).body as Task;
    expect(await command(id, what, {}, { key: api.stranger.key })).toMatchObject({ status: 404 });
    expect(await command(id, what, { tasks: ['task'] })).toMatchObject({ status: 422, body: { issues: [{ pointer: '/tasks' }] } });
    const run = await api.call('POST', '/api/v1/runs', {
      body: { definition: { dsl: 'tiu/1', name: 'no-task', tasks: { a: { type: 'transform', with: { value: 1 } } } } },
      headers: keyed(),
    });
    expect(await command((run.body as Task).id, what)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  },
);

test.each([
  ['a kind that does not exist', { ...one, type: 'transfrom' }, 'invalid_definition', '/type'],
  ['a field the kind has not', { ...call, with: { ...call.with, verb: 'GET' } }, 'invalid_definition', '/with/verb'],
  ['a field the kind wants', { ...one, with: {} }, 'invalid_definition', '/with'],
  ['a timeout where none can be', { ...one, timeout: 'PT1S' }, 'invalid_definition', '/timeout'],
  ['retries that are none', { ...call, retry: { limit: -1 } }, 'invalid_definition', '/retry/limit'],
  ['tasks that depend on others', { ...one, dependencies: [randomUUID()] }, 'invalid_request', '/dependencies'],
  ['a name of nothing', { ...one, name: '' }, 'invalid_request', '/name'],
  ['a name of 201 characters', { ...one, name: 'x'.repeat(201) }, 'invalid_request', '/name'],
  ['a field nobody knows', { ...one, ai_enabled: true }, 'invalid_request', '/ai_enabled'],
])('refused at its place: %s', async (_, body, code, pointer) => {
  const before = await count();
  expect(await create(body)).toMatchObject({ status: 422, body: { code, issues: [{ pointer }] } });
  const batch = await createMany([body]);
  expect(batch).toMatchObject({ results: [{ status: 422, problem: { code, issues: [{ pointer: `/tasks/0${pointer}` }] } }] });
  expect(await count()).toBe(before);
});

test('the same key and task give the same task, another task is refused; without a key there is none', async () => {
  const headers = keyed();
  const first = (await create(one, headers)).body as Task;
  const again = await create(one, headers);
  expect((again.body as Task).id).toBe(first.id);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await create({ ...one, name: 'Other' }, headers)).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  expect(await create(one, {})).toMatchObject({ status: 428, body: { code: 'idempotency_key_required' } });
});

test('a batch says of each task what became of it: those that are refused hide nothing and hold up nothing', async () => {
  const before = (await count()) ?? 0;
  const tasks = [one, { ...one, type: 'nothing' }, 'not a task', { ...call, name: 'Third' }, null, { ...one, with: { value: 8 } }];
  const { results, summary } = await createMany(tasks);
  expect(summary).toEqual({ total: 6, succeeded: 3, failed: 3 });
  expect(results.map(({ index, status, problem }) => [index, status, problem?.code])).toEqual([
    [0, 202, undefined],
    [1, 422, 'invalid_definition'],
    [2, 422, 'invalid_request'],
    [3, 202, undefined],
    [4, 422, 'invalid_request'],
    [5, 202, undefined],
  ]);
  expect(results[1]?.problem?.issues?.[0]?.pointer).toBe('/tasks/1/type');
  expect(results[3]?.data).toMatchObject({ name: 'Third', type: 'http', status: 'queued' });
  expect(await count()).toBe(before + 3);
});

test('a batch that is sent again makes nothing twice, and what was refused may be mended', async () => {
  const headers = keyed();
  const first = await createMany([one, { ...one, type: 'nothing' }], headers);
  const before = await count();
  const again = await createMany([one, one], headers);
  expect(again.results).toMatchObject([{ status: 202, replayed: true, data: { id: first.results[0]?.data?.id } }, { status: 202 }]);
  expect(again.results[1]?.replayed).toBeUndefined();
  expect(await count()).toBe((before ?? 0) + 1);
  const changed = await createMany([{ ...one, name: 'Other' }], headers);
  expect(changed.results).toMatchObject([{ status: 422, problem: { code: 'idempotency_mismatch' } }]);
});

test('an entry may have a key of its own, the same as that of a single request; without any it is refused', async () => {
  const idempotencyKey = randomUUID();
  const { results } = await createMany([{ ...one, idempotencyKey }, { ...one, idempotencyKey }, one], {});
  expect(results.map(({ status, replayed }) => [status, replayed])).toEqual([
    [202, undefined],
    [202, true],
    [428, undefined],
  ]);
  expect(results[1]?.data?.id).toBe(results[0]?.data?.id);
  expect(((await create(one, { 'idempotency-key': idempotencyKey })).body as Task).id).toBe(results[0]?.data?.id);
});

test('ten tasks and no more are taken in one batch', async () => {
  const many = (n: number) => Array.from({ length: n }, () => one);
  expect((await createMany(many(10))).summary).toEqual({ total: 10, succeeded: 10, failed: 0 });
  const before = await count();
  const beyond = await api.call('POST', '/api/v1/tasks/batch', { body: { tasks: many(11) }, headers: keyed() });
  expect(beyond).toMatchObject({
    status: 422,
    body: { code: 'invalid_request', detail: 'at most 10 in one request', issues: [{ pointer: '/tasks' }] },
  });
  expect(await api.call('POST', '/api/v1/tasks/batch', { body: { tasks: [] }, headers: keyed() })).toMatchObject({ status: 422 });
  expect(await count()).toBe(before);
});

test('runs come in batches too, by definition or by name', async () => {
  const definition = { dsl: 'tiu/1', name: 'stored', tasks: { a: { type: 'transform', with: { value: '${input.n}' } } } };
  await api.call('POST', '/api/v1/workflows', { body: { definition }, headers: keyed() });
  const start = async (runs: unknown[]) =>
    (await api.call('POST', '/api/v1/runs/batch', { body: { runs }, headers: keyed() })).body as Batch;
  const runs = [
    { definition, input: { n: 1 } },
    { workflow: { name: 'stored' } },
    { workflow: { name: 'missing' } },
    {},
    { definition, workflow: { name: 'stored' } },
  ];
  expect((await start(runs)).results.map(({ status, problem }) => [status, problem?.code])).toEqual([
    [202, undefined],
    [202, undefined],
    [404, 'not_found'],
    [422, 'invalid_request'],
    [422, 'invalid_request'],
  ]);
  expect((await start(Array.from({ length: 30 }, () => ({ definition })))).summary.succeeded).toBe(30);
  expect(
    await api.call('POST', '/api/v1/runs/batch', { body: { runs: Array.from({ length: 31 }, () => ({ definition })) }, headers: keyed() }),
  ).toMatchObject({
    status: 422,
    body: { detail: 'at most 30 in one request' },
  });
});

test('the client library has tasks and batches', async () => {
  const client = createClient({ baseUrl: api.url, token: api.owner.key });
  const made = await client.tasks.create(one);
  expect(await client.tasks.get(made.id)).toMatchObject({ name: 'Add up', status: 'queued' });
  expect((await client.tasks.createMany([one, call])).summary.succeeded).toBe(2);
  expect((await client.tasks.list({ type: 'http', limit: 1 })).items).toMatchObject([{ name: 'Ask' }]);
  expect(await client.tasks.cancel(made.id, { reason: 'enough' })).toMatchObject({ id: made.id });
  expect(
    (await client.runs.startMany([{ definition: { dsl: 'tiu/1', name: 'x', tasks: { a: { type: 'transform', with: { value: 1 } } } } }]))
      .summary.total,
  ).toBe(1);
  expect(await client.runs.progress(made.id)).toMatchObject({ percent: 0 });
});
