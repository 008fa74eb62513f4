import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { listen } from '../../src/db/listen.ts';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { anApi, type Options, type TestApi } from './anApi.ts';

type Job = { id: string; status: string; count: number; more: boolean; links: { self: string; abort: string } };

let api: TestApi;
beforeAll(async () => {
  api = await anApi({ TIU_MAX_BULK_COUNT: '3', TIU_MAX_BULK_JOBS: '2' });
  for (const [i, team] of ['a', 'a', 'a', 'b', 'b', 'b', 'b'].entries()) await aRun(team, i);
});
afterAll(() => api.stop());

const definition = { dsl: 'tiu/1', name: 'one', tasks: { only: { type: 'transform', with: { value: 1 } } } };
const aRun = (team: string, i: number) =>
  api.call('POST', '/api/v1/runs', { body: { definition, labels: { team } }, headers: { 'idempotency-key': `run-${i}` } });
const post = (filter: object, more: object = {}, options: Options = {}) =>
  api.call('POST', '/api/v1/runs/bulk', { body: { filter, command: { type: 'cancel', reason: 'over' }, ...more }, ...options });
const abort = (job: Job) => api.call('POST', job.links.abort);

test('a preview counts as far as it may, and makes no job', async () => {
  const preview = async (filter: object) => (await post(filter, { preview: true })).body;
  expect(await preview({ label: 'team:a' })).toEqual({ count: 3, more: false });
  expect(await preview({ label: 'team:b' })).toEqual({ count: 3, more: true });
  expect(await preview({ label: ['team:a', 'team:b'] })).toEqual({ count: 0, more: false });
  expect(await preview({ status: 'running' })).toEqual({ count: 0, more: false });
  expect(await preview({ status: ['running', 'queued'], workflow: 'one', since: new Date(0).toISOString() })).toMatchObject({ count: 3 });
  expect(await preview({ since: new Date(Date.now() + 60_000).toISOString() })).toMatchObject({ count: 0 });
  expect((await api.call('GET', '/api/v1/bulk')).body).toEqual({ items: [], nextCursor: null });
});

test('a job is durable, is shown with its filter, listed, and ended once', async () => {
  const made = await post({ label: 'team:b', status: ['queued'] });
  const job = made.body as Job;
  expect(made).toMatchObject({ status: 202 });
  expect(made.headers.get('location')).toBe(job.links.self);
  expect(job).toMatchObject({
    ...{ status: 'running', count: 3, more: true, done: 0, applied: 0, refused: {}, finishedAt: null },
    command: { type: 'cancel', force: false, reason: 'over' },
    filter: { status: ['queued'], workflow: null, label: ['team:b'], since: null },
  });
  expect((await api.call('GET', job.links.self)).body).toEqual(job);
  expect(await abort(job)).toMatchObject({ status: 200, body: { status: 'aborted' } });
  expect(await abort(job)).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  const audit = await api.deps.db.rows<{ action: string }>({
    name: 'audit',
    text: 'select action from audit where subject = $1 order by at, id',
    values: [`bulk:${job.id}`],
  });
  expect(audit.map(({ action }) => action)).toEqual(['run.bulk', 'run.bulk.abort']);
});

test('workers are told of a job, and not of a preview', async () => {
  const heard: string[] = [];
  const [listening, told] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const listener = listen({
    url: api.base.url,
    channels: ['kick'],
    onListen: () => {
      listening.resolve(undefined);
    },
    onNotice: (_, payload) => {
      heard.push(payload);
      if (payload.includes('bulk')) told.resolve(undefined);
    },
  });
  await listening.promise;
  await post({ label: 'team:a' }, { preview: true });
  const { body } = await post({ label: 'team:a' });
  await told.promise;
  await listener.close();
  expect(heard.flatMap((payload) => payload.split(',')).filter((what) => what === 'bulk')).toEqual(['bulk']);
  await abort(body as Job);
});

test('a request that is sent again makes one job', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const [first, again] = [await post({ label: 'team:a' }, {}, { headers }), await post({ label: 'team:a' }, {}, { headers })];
  expect((again.body as Job).id).toBe((first.body as Job).id);
  await abort(first.body as Job);
});

test('as many jobs as may be are under way at once, and pages follow each other', async () => {
  const jobs = [(await post({ label: 'team:a' })).body as Job, (await post({ label: 'team:a' })).body as Job];
  expect(await post({ label: 'team:a' })).toMatchObject({ status: 409, body: { code: 'too_many_bulk_jobs', detail: 'At most 2' } });
  const { items, nextCursor } = (await api.call('GET', '/api/v1/bulk?limit=1')).body as { items: Job[]; nextCursor: string };
  expect(items.map(({ id }) => id)).toEqual([jobs[1]?.id]);
  const next = (await api.call('GET', `/api/v1/bulk?limit=1&cursor=${nextCursor}`)).body as { items: Job[] };
  expect(next.items.map(({ id }) => id)).toEqual([jobs[0]?.id]);
  for (const job of jobs) await abort(job);
});

test('a filter that names nothing, and what does not go together, is refused with its place', async () => {
  const pointers = async (body: object) => {
    const { status, body: problem } = await api.call('POST', '/api/v1/runs/bulk', { body });
    return [status, ...(problem as { issues: { pointer: string }[] }).issues.map(({ pointer }) => pointer)];
  };
  const command = { type: 'cancel' };
  expect(await pointers({ filter: {}, command })).toEqual([422, '/filter']);
  expect(await pointers({ filter: { status: [] }, command })).toEqual([422, '/filter']);
  expect(await pointers({ filter: { status: 'gone' }, command })).toEqual([422, '/filter/status']);
  expect(await pointers({ filter: { label: 'team' }, command })).toEqual([422, '/filter/label']);
  for (const label of ['team:\u0000', 'team:\ud800'])
    expect(await pointers({ filter: { label }, command })).toEqual([422, '/filter/label']);
  expect(await pointers({ filter: { workflow: 'one' }, command: { type: 'pause', force: true } })).toEqual([422, '/command']);
  expect(await pointers({ filter: { workflow: 'one' }, command: { type: 'skip' } })).toEqual([422, '/command/type']);
});

test('a job belongs to its workspace, and needs the right to write runs', async () => {
  const job = (await post({ label: 'team:a' })).body as Job;
  const stranger = { key: api.stranger.key };
  expect(await api.call('GET', job.links.self, stranger)).toMatchObject({ status: 404 });
  expect(await api.call('POST', job.links.abort, stranger)).toMatchObject({ status: 404 });
  expect((await post({ workflow: 'one' }, { preview: true }, stranger)).body).toEqual({ count: 0, more: false });
  const { workspace } = api.owner;
  const { key } = await createApiKey(api.deps.db, { workspace, name: 'reads', scopes: ['runs:read'], by: 'test' });
  expect(await post({ label: 'team:a' }, {}, { key })).toMatchObject({ status: 403 });
  expect(await api.call('GET', job.links.self, { key })).toMatchObject({ status: 200 });
  expect(await api.call('GET', '/api/v1/bulk/none')).toMatchObject({ status: 404 });
  await abort(job);
});
