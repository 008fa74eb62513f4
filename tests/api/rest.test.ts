import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi();
});
afterAll(() => api.stop());

test('an artifact is its content: uploaded once, read by its hash, only by its workspace', async () => {
  const upload = (raw: string | Buffer, query = '') =>
    api.call('POST', `/api/v1/artifacts${query}`, { raw, headers: { 'content-type': 'text/markdown; charset=utf-8' } });
  const first = await upload('# Report', '?name=r%C3%A9port%20(1).md');
  expect(first).toMatchObject({ status: 201, body: { size: 8, mediaType: 'text/markdown', name: 'réport (1).md' } });
  expect(await upload('# Report')).toMatchObject({ status: 200, body: { name: 'réport (1).md' } });
  const at = first.headers.get('location') ?? '';
  const read = await api.call('GET', at);
  expect(read).toMatchObject({ status: 200, text: '# Report' });
  expect(read.headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''r%C3%A9port%20%281%29.md");
  expect(read.headers.get('content-type')).toMatch(/^text\/markdown/);
  expect(await api.call('GET', at, { headers: { 'if-none-match': read.headers.get('etag') ?? '' } })).toMatchObject({ status: 304 });
  expect(await api.call('GET', at, { key: api.stranger.key })).toMatchObject({ status: 404 });
});

test('a key is shown once, acts within its scopes, and is refused when revoked', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const body = { name: 'reader', scopes: ['runs:read'] };
  const made = await api.call('POST', '/api/v1/api-keys', { body, headers });
  const { key, id } = made.body as { key: string; id: string };
  expect(made.status).toBe(201);
  const again = await api.call('POST', '/api/v1/api-keys', { body, headers });
  expect(again).toMatchObject({ status: 201, body: { id, key: null } });
  const listed = (await api.call('GET', '/api/v1/api-keys?limit=1')).body as { items: object[]; nextCursor: string };
  expect(listed.items).toMatchObject([{ id, name: 'reader' }]);
  expect(JSON.stringify(listed)).not.toContain(key);
  expect((await api.call('GET', `/api/v1/api-keys?cursor=${listed.nextCursor}`)).body).toMatchObject({
    items: [{ name: 'owner' }],
    nextCursor: null,
  });
  expect(await api.call('GET', '/api/v1/runs', { key })).toMatchObject({ status: 200 });
  expect(await api.call('POST', '/api/v1/artifacts', { key, raw: 'x' })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  expect(await api.call('GET', '/api/v1/api-keys', { key })).toMatchObject({ status: 403 });
  expect(await api.call('DELETE', `/api/v1/api-keys/${id}`, { key: api.stranger.key })).toMatchObject({ status: 404 });
  expect(await api.call('DELETE', `/api/v1/api-keys/${id}`)).toMatchObject({ status: 204 });
  expect(await api.call('GET', '/api/v1/runs', { key })).toMatchObject({ status: 401 });
  expect(await api.call('DELETE', `/api/v1/api-keys/${id}`)).toMatchObject({ status: 404 });
});

test('nobody gives more than he has', async () => {
  const { key } = (await api.call('POST', '/api/v1/api-keys', { body: { name: 'keys', scopes: ['keys:manage'] } })).body as { key: string };
  const beyond = await api.call('POST', '/api/v1/api-keys', { key, body: { name: 'more', scopes: ['runs:read'] } });
  expect(beyond).toMatchObject({ status: 403, body: { detail: 'The key has not: runs:read' } });
});

test('health tells of live workers, and its public part of nothing', async () => {
  await api.deps.db.rows({
    name: 'a_worker',
    text: `insert into worker (id, name, version, started, seen, temporal, reconciled, data) values
      ($1, 'w1', '1', clock_timestamp(), clock_timestamp(), true, clock_timestamp(), '{}'), ($2, 'old', '1', clock_timestamp(), clock_timestamp() - interval '1 minute', true, null, '{}')`,
    values: [randomUUID(), randomUUID()],
  });
  expect((await api.call('GET', '/health')).body).toMatchObject({ status: 'ok', temporal: true, workers: [{ name: 'w1' }] });
  expect(await api.call('GET', '/health', { key: null })).toMatchObject({ status: 401 });
  expect((await api.call('GET', '/health/live', { key: null })).body).toEqual({ status: 'ok' });
  expect((await api.call('GET', '/metrics')).text).toContain('tiu_http_request_seconds_bucket');
});

test('every answer carries its id and the security headers', async () => {
  const answer = await api.call('GET', '/health/live', { key: null, headers: { 'x-request-id': 'mine-1' } });
  expect(answer.headers.get('x-request-id')).toBe('mine-1');
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  const odd = await api.call('GET', '/health/live', { key: null, headers: { 'x-request-id': 'a b' } });
  expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
});

test('the API page needs nothing from outside', async () => {
  const page = await api.call('GET', '/api/docs', { key: null });
  expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
  const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part = '']) => part);
  expect(parts.length).toBeGreaterThan(3);
  for (const part of parts) expect(await api.call('GET', part, { key: null })).toMatchObject({ status: 200 });
  expect((await api.call('GET', '/api/openapi.json', { key: null })).body).toMatchObject({ openapi: '3.1.1' });
});
