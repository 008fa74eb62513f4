import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { routes } from '../../src/api/routes.ts';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
/** Names of statements that went past the wall, by the engine's own pool. */
const past: string[] = [];

beforeAll(async () => {
  api = await anApi();
  const rows = api.deps.engine.rows;
  api.deps.engine.rows = (statement) => {
    past.push(statement.name);
    return rows(statement);
  };
});
afterAll(() => api.stop());

/** What a handler sees that asks for everything there is. */
const all = async ({ deps }: Pick<TestApi, 'deps'>): Promise<string[]> => {
  const rows = await deps.db.rows<{ workspace: string }>({ name: 'all', text: 'select distinct workspace from api_key', values: [] });
  return rows.map((row) => row.workspace);
};

test('a handler that forgets the workspace sees nothing foreign', async () => {
  const route = routes.find(({ path }) => path === '/api/v1/queue');
  if (!route) throw new Error('no route');
  const handler = route.handler;
  route.handler = async () => ({ status: 200, body: { items: (await all(api)).map((id) => ({ id })), nextCursor: null } });
  try {
    for (const { key, workspace } of [api.owner, api.stranger, api.owner]) {
      const answer = await fetch(`${api.url}/api/v1/queue`, { headers: { authorization: `Bearer ${key}` } });
      expect(await answer.json()).toEqual({ items: [{ id: workspace }], nextCursor: null });
    }
  } finally {
    route.handler = handler;
  }
  expect((await all(api)).sort()).toEqual([api.owner.workspace, api.stranger.workspace].sort());
});

test('what of ordinary routes goes past the wall is known by name', async () => {
  past.length = 0;
  const definition = { dsl: 'tiu/1', name: 'walled', tasks: { a: { type: 'wait', with: { for: 'PT1H' } } } };
  expect((await api.call('POST', '/api/v1/workflows', { body: definition })).status).toBe(201);
  const started = await api.call('POST', '/api/v1/runs', { body: { workflow: { name: 'walled' } }, headers: { 'idempotency-key': 'one' } });
  expect(started.status).toBe(202);
  const { id } = started.body as { id: string };
  const reads = ['', '/tasks', '/events', '/progress', '/explain'].map((part) => `/api/v1/runs/${id}${part}`);
  const lists = ['runs', 'tasks', 'workflows', 'queue', 'schedules', 'hooks', 'approvals', 'secrets', 'api-keys', 'bulk'].map(
    (name) => `/api/v1/${name}`,
  );
  for (const path of [...reads, ...lists, '/api/v1/reports/workflows', '/api/v1/reports/tasks', '/api/v1/reports/history'])
    expect([path, (await api.call('GET', path)).status]).toEqual([path, 200]);
  expect((await api.call('POST', `/api/v1/runs/${id}/cancel`, { body: {}, headers: { 'idempotency-key': 'two' } })).status).toBe(202);
  expect(
    (await api.call('POST', '/api/v1/events', { body: { name: 'e', key: 'k', payload: 1 }, headers: { 'idempotency-key': 'three' } }))
      .status,
  ).toBeLessThan(300);
  // who asks, how often, how much there may be, what is closing, and how many workers there are
  const known = ['key_holder', 'key_touch', 'rate_take', 'quota_read', 'usage_fold', 'used_open_runs', 'workers_now', 'workspace_closing'];
  expect(known).toEqual(expect.arrayContaining([...new Set(past)]));
});
