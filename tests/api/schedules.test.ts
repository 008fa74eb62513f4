import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { tiu as inProcess } from '../cli/aTerminal.ts';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi();
  await api.call('POST', '/api/v1/workflows', { body: definition() });
});
afterAll(() => api.stop());

const definition = (triggers?: object[]) => ({
  ...{ dsl: 'tiu/1', name: 'tick', input: { schema: { type: 'object', properties: { n: { type: 'integer' } } } } },
  tasks: { a: { type: 'transform', with: { value: 1 } } },
  ...(triggers && { triggers }),
});
const path = '/api/v1/schedules';
const daily = { workflow: { name: 'tick' }, spec: { cron: '0 9 * * *', timeZone: 'Europe/Berlin' } };
type Body = { id: string; name: string; items: { name: string }[]; issues: { pointer: string; code: string }[]; runId: string };
const post = async (target: string, body?: object) => {
  const { status, body: answer, headers } = await api.call('POST', target, body === undefined ? {} : { body });
  return { status, headers, body: answer as Body };
};

test('a schedule is made, read by id and name, changed under its revision, and deleted', async () => {
  const made = await post(path, { name: 'nightly', ...daily });
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ name: 'nightly', overlap: 'skip', paused: false, synced: false, ofDefinition: false });
  expect((await api.call('GET', `${path}/nightly`)).body).toEqual((await api.call('GET', `${path}/${made.body.id}`)).body);
  const changed = await api.call('PATCH', `${path}/nightly`, {
    body: { overlap: 'bufferOne', spec: { jitter: 'PT10S' } },
    headers: { 'if-match': '"1"' },
  });
  expect(changed.body).toMatchObject({ overlap: 'bufferOne', spec: { cron: '0 9 * * *', timeZone: 'Europe/Berlin', jitter: 'PT10S' } });
  expect((await api.call('PATCH', `${path}/nightly`, { body: {}, headers: { 'if-match': '"1"' } })).status).toBe(412);
  expect((await post(path, { name: 'nightly', ...daily })).body).toMatchObject({ code: 'schedule_exists' });
  expect((await api.call('DELETE', `${path}/nightly`)).status).toBe(204);
  expect((await api.call('GET', `${path}/nightly`)).status).toBe(404);
});

const REFUSED: [object, string, string][] = [
  [{ spec: { cron: '0 25 * * *' } }, '/spec/cron', 'invalid_cron'],
  [{ spec: { cron: '0 0 30 2 *' } }, '/spec', 'never_fires'],
  [{ spec: { cron: '@daily', endAt: '2020-01-01T00:00:00Z' } }, '/spec', 'never_fires'],
  [{ spec: { interval: 'PT0.1S' } }, '/spec/interval', 'invalid_interval'],
  [{ catchupWindow: 'PT1S' }, '/catchupWindow', 'invalid_value'],
  [{ workflow: { name: 'nobody' } }, '/workflow', 'unknown_workflow'],
  [{ input: { n: 'text' } }, '/input/n', 'invalid_type'],
];
test.each(REFUSED)('%j is refused with its place', async (more, pointer, code) => {
  const { status, body } = await post(path, { name: 'refused', ...daily, ...more });
  expect(status).toBe(422);
  expect(body.issues).toContainEqual(expect.objectContaining({ pointer, code }));
});

test('another workspace sees nothing of it', async () => {
  await post(path, { name: 'mine', ...daily });
  expect((await api.call('GET', `${path}/mine`, { key: api.stranger.key })).status).toBe(404);
  expect((await api.call('POST', `${path}/mine/trigger`, { key: api.stranger.key })).status).toBe(404);
});

test('it is paused with a note, triggered meanwhile, backfilled and asked for its times', async () => {
  await post(path, { name: 'by-hand', ...daily, input: { n: 4 } });
  expect((await post(`${path}/by-hand/pause`, { note: 'holiday' })).body).toMatchObject({
    paused: true,
    note: 'holiday',
    nextFireAt: null,
  });
  const fired = await post(`${path}/by-hand/trigger`);
  expect(fired).toMatchObject({ status: 202, body: { kind: 'trigger', status: 'started' } });
  const run = await api.call('GET', `/api/v1/runs/${fired.body.runId}`);
  expect(run.body).toMatchObject({
    status: 'queued',
    workflow: { name: 'tick' },
    createdBy: expect.stringMatching(/^schedule:/) as unknown,
  });
  expect((await post(`${path}/by-hand/unpause`)).body).toMatchObject({ paused: false, note: null });
  const range = { startAt: '2026-03-28T00:00:00Z', endAt: '2026-03-30T00:00:00Z' };
  expect((await post(`${path}/by-hand/backfill`, range)).body).toEqual({ times: 2, accepted: 2 });
  expect((await post(`${path}/by-hand/backfill`, { ...range, startAt: '2020-01-01T00:00:00Z' })).body.issues).toMatchObject([
    { code: 'too_large' },
  ]);
  expect((await api.call('GET', `${path}/by-hand/next?count=2`)).body).toMatchObject({
    items: [expect.stringMatching(/T0[78]:00:00.000Z$/), expect.any(String)],
  });
  expect((await post(`${path}/check`, { spec: { cron: '@daily' }, count: 1 })).body.items).toHaveLength(1);
});

test('triggers of a stored definition are its schedules, and go with it', async () => {
  await post(
    '/api/v1/workflows',
    definition([
      { cron: '@hourly', input: { n: 1 } },
      { name: 'often', interval: 'PT5M', overlap: 'allowAll' },
    ]),
  );
  const names = async () =>
    ((await api.call('GET', `${path}?workflow=tick`)).body as Body).items.map(({ name }) => name).filter((name) => name.includes('.'));
  expect(await names()).toEqual(['tick.1', 'tick.often']);
  expect((await api.call('DELETE', `${path}/tick.often`)).body).toMatchObject({ code: 'schedule_of_definition' });
  await post('/api/v1/workflows', definition([{ name: 'often', cron: '0 9 * * MON-FRI' }]));
  expect(await names()).toEqual(['tick.often']);
  expect((await api.call('GET', `${path}/tick.often`)).body).toMatchObject({
    ofDefinition: true,
    spec: { cron: ['0 9 * * 1-5'] },
    overlap: 'skip',
  });
  const bad = await post('/api/v1/workflows', definition([{ cron: '@hourly', input: { n: 'x' } }, { cron: 'never' }]));
  expect(bad.body.issues).toMatchObject([{ pointer: '/triggers/1/cron', code: 'invalid_cron' }]);
});

test('a delayed run is accepted now and says when it may begin', async () => {
  const start = (more: object) =>
    api.call('POST', '/api/v1/runs', {
      headers: { 'idempotency-key': JSON.stringify(more) },
      body: { workflow: { name: 'tick' }, ...more },
    });
  const before = Date.now();
  const { status, body } = await start({ delay: 'PT1H' });
  expect(status).toBe(202);
  const { notBefore } = body as { notBefore: string };
  expect(Date.parse(notBefore)).toBeGreaterThanOrEqual(before + 3_600_000);
  expect((await start({ startAt: '2020-01-01T00:00:00Z' })).body).toMatchObject({ status: 'queued', notBefore: null });
  expect((await start({ delay: 'soon' })).body).toMatchObject({ issues: [{ pointer: '/delay' }] });
  expect((await start({ delay: 'P400D' })).status).toBe(422);
  expect((await start({ delay: 'PT1S', startAt: '2030-01-01T00:00:00Z' })).status).toBe(422);
});

test('the command line makes, lists, pauses, triggers and deletes them', async () => {
  const tiu = (...args: string[]) => inProcess(args, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key }, cwd: api.folder });
  expect((await tiu('schedules', 'create', 'from-cli', 'tick', '--every', 'PT1H')).out).toMatch(/^from-cli {2}tick {2}next 20/);
  expect((await tiu('schedules', 'pause', 'from-cli', '--note', 'why')).out).toContain('paused (why)');
  expect((await tiu('schedules', 'list')).out).toContain('from-cli');
  expect((await tiu('schedules', 'trigger', 'from-cli')).out).toMatch(/^run [0-9a-f-]{36}\n$/);
  expect((await tiu('schedules', 'fires', 'from-cli')).out).toMatch(/started {3}trigger/);
  expect((await tiu('schedules', 'next', 'from-cli', '--count', '3')).out.trim().split('\n')).toHaveLength(3);
  expect((await tiu('schedules', 'create', 'bad', 'tick', '--cron', 'x')).err).toContain('/spec/cron');
  expect((await tiu('schedules', 'delete', 'from-cli')).code).toBe(0);
});
