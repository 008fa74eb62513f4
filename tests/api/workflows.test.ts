import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi();
});
afterAll(() => api.stop());

const aDefinition = (value: number, name = 'stored') => ({
  dsl: 'tiu/1',
  name,
  version: `1.0.${value}`,
  tasks: { a: { type: 'transform', with: { value } } },
});
const store = (body: object, headers = {}) => api.call('POST', '/api/v1/workflows', { body, headers });

test('a definition is stored once per content, and each change is a new version', async () => {
  expect(await store(aDefinition(1))).toMatchObject({ status: 201, body: { name: 'stored', number: 1, version: '1.0.1' } });
  expect(await store({ definition: aDefinition(1) })).toMatchObject({ status: 200, body: { number: 1 } });
  expect(await store(aDefinition(2))).toMatchObject({ status: 201, body: { number: 2 } });
  expect((await api.call('GET', '/api/v1/workflows')).body).toMatchObject({ items: [{ name: 'stored', number: 2 }], nextCursor: null });
  expect((await api.call('GET', '/api/v1/workflows/stored/versions?limit=1')).body).toMatchObject({ items: [{ number: 2 }] });
  expect((await api.call('GET', '/api/v1/workflows/stored')).body).toMatchObject({ number: 2, mediaType: 'application/json' });
  expect((await api.call('GET', '/api/v1/workflows/stored?version=1.0.1')).body).toMatchObject({ number: 1 });
  expect((await api.call('GET', '/api/v1/workflows/stored?version=2')).body).toMatchObject({ number: 2 });
  expect(await api.call('GET', '/api/v1/workflows/stored?version=9')).toMatchObject({ status: 404 });
  expect(await api.call('GET', '/api/v1/workflows/other')).toMatchObject({ status: 404 });
  expect(await api.call('GET', '/api/v1/workflows/stored', { key: api.stranger.key })).toMatchObject({ status: 404 });
});

test('many stores at once number the versions without a hole', async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => store(aDefinition(i % 6, 'raced'))));
  const numbers = answers.filter((answer) => answer.status === 201).map((answer) => (answer.body as { number: number }).number);
  expect(numbers.sort()).toEqual([1, 2, 3, 4, 5, 6]);
});

test('a stored answer is replayed under its key', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  expect((await store(aDefinition(1, 'keyed'), headers)).status).toBe(201);
  const again = await store(aDefinition(1, 'keyed'), headers);
  expect(again).toMatchObject({ status: 201, body: { number: 1 } });
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(again.headers.get('location')).toBe('/api/v1/workflows/keyed');
  expect(await store(aDefinition(2, 'keyed'), headers)).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  const broken = { 'idempotency-key': randomUUID() };
  expect((await store({ dsl: 'tiu/1' }, broken)).status).toBe(422);
  expect((await store(aDefinition(3, 'keyed'), broken)).status).toBe(201);
});

test('the order of tasks is content where the strategy looks at it: in versions, plans and requests', async () => {
  const [a, b] = [
    { type: 'transform', with: { value: 1 } },
    { type: 'transform', with: { value: 2 } },
  ];
  const of = (tasks: object, strategy?: string) => ({ dsl: 'tiu/1', name: 'ordered', tasks, ...(strategy && { strategy }) });
  const numbers = async (strategy?: string) => {
    const stored = [await store(of({ a, b }, strategy)), await store(of({ b, a }, strategy))];
    return stored.map(({ body }) => (body as { number: number }).number);
  };
  expect([await numbers(), await numbers('parallel'), await numbers('sequential')]).toEqual([
    [1, 1],
    [2, 2],
    [3, 4],
  ]);
  const check = async (body: object) => (await api.call('POST', '/api/v1/workflows/check', { body })).body;
  expect(await check(of({ b, a }, 'sequential'))).toMatchObject({
    plan: { strategyUsed: 'sequential', strategyReason: 'it was asked for', tasks: [{ id: 'b' }, { id: 'a' }] },
  });
  expect(await check(of({ b, a }))).toMatchObject({ plan: { strategyUsed: 'parallel', tasks: [{ id: 'a' }, { id: 'b' }] } });
  const start = (definition: object, headers: Record<string, string>) =>
    api.call('POST', '/api/v1/runs', { body: { definition }, headers });
  for (const [strategy, status] of [
    ['parallel', 202],
    ['sequential', 422],
  ] as const) {
    const headers = { 'idempotency-key': randomUUID() };
    expect((await start(of({ a, b }, strategy), headers)).status).toBe(202);
    expect((await start(of({ b, a }, strategy), headers)).status).toBe(status);
  }
});

test('a check tells all issues and stores nothing', async () => {
  const bad = await api.call('POST', '/api/v1/workflows/check', {
    body: { dsl: 'tiu/1', name: 'X', tasks: { a: { type: 'nothing' } }, extra: 1 },
  });
  expect(bad).toMatchObject({ status: 200, body: { valid: false, plan: null } });
  expect((bad.body as { issues: object[] }).issues.length).toBeGreaterThan(2);
  const good = await api.call('POST', '/api/v1/workflows/check', {
    raw: 'dsl: tiu/1\nname: checked\ntasks: { a: { type: transform, with: { value: 1 } } }',
    headers: { 'content-type': 'application/yaml' },
  });
  expect(good.body).toMatchObject({
    valid: true,
    issues: [],
    plan: { tasks: [{ id: 'a', class: 'inline' }] },
    prediction: { tasks: 1, width: 1 },
  });
  expect((await api.call('GET', '/api/v1/workflows/checked')).status).toBe(404);
});

test('a stored workflow runs by name, by version and by execute', async () => {
  await store(aDefinition(1, 'runs'));
  await store(aDefinition(2, 'runs'));
  const headers = () => ({ 'idempotency-key': randomUUID() });
  const start = (workflow: object) => api.call('POST', '/api/v1/runs', { body: { workflow }, headers: headers() });
  expect(await start({ name: 'runs' })).toMatchObject({ status: 202, body: { workflow: { name: 'runs', number: 2 } } });
  expect(await start({ name: 'runs', version: 1 })).toMatchObject({ body: { workflow: { number: 1 } } });
  expect(await start({ name: 'runs', version: '1.0.1' })).toMatchObject({ body: { workflow: { number: 1 } } });
  expect(await start({ name: 'runs', version: 7 })).toMatchObject({ status: 404 });
  const execute = (body?: object) => api.call('POST', '/api/v1/workflows/runs/execute', { body, headers: headers() });
  expect(await execute()).toMatchObject({ status: 202, body: { workflow: { number: 2 } } });
  expect(await execute({ version: 1, priority: 'high' })).toMatchObject({
    status: 202,
    body: { workflow: { number: 1 }, priority: 'high' },
  });
  expect(await api.call('POST', '/api/v1/workflows/runs/execute', {})).toMatchObject({ status: 428 });
});
