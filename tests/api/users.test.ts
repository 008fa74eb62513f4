import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { TOKEN_KEYS } from './auth/aPerson.ts';

let api: TestApi;
let operator: Person;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS });
  operator = await aPerson(api, { role: 'admin', workspace: SYSTEM_WORKSPACE, name: 'the_operator' });
});
afterAll(() => api.stop());

const get = (path: string, by = operator) => api.call('GET', path, { key: by.key });
const post = (path: string, by = operator, body?: object) =>
  api.call('POST', `/api/v1/users/${path}`, { key: by.key, headers: { 'idempotency-key': randomUUID() }, ...(body && { body }) });

test('operators find people page by page and by what they are called; nobody else does', async () => {
  const people = [await aPerson(api, { name: 'find_me_1' }), await aPerson(api, { name: 'find_me_2' })];
  const first = (await get('/api/v1/users?search=FIND_ME&limit=1')).body as { items: object[]; nextCursor: string };
  expect(first.items).toMatchObject([{ id: people[1]?.account, name: 'find_me_2', status: 'active', workspaces: 1 }]);
  expect((await get(`/api/v1/users?search=find_me&cursor=${first.nextCursor}`)).body).toMatchObject({
    items: [{ name: 'find_me_1' }],
    nextCursor: null,
  });
  expect((await get('/api/v1/users?search=find_me_1@example')).body).toMatchObject({ items: [{ name: 'find_me_1' }] });
  expect(await get(`/api/v1/users/${people[0]?.account ?? ''}`)).toMatchObject({ status: 200, body: { name: 'find_me_1' } });
  const owner = await aPerson(api, { role: 'owner' });
  for (const path of ['/api/v1/users', `/api/v1/users/${owner.account}`]) expect(await get(path, owner)).toMatchObject({ status: 404 });
  expect(await get('/api/v1/users', await aPerson(api, { workspace: SYSTEM_WORKSPACE, role: 'viewer' }))).toMatchObject({ status: 403 });
});

test('who is disabled is out at once, and may come back', async () => {
  const person = await aPerson(api);
  expect(await get('/api/v1/runs', person)).toMatchObject({ status: 200 });
  expect(await post(`${person.account}/disable`)).toMatchObject({ status: 200, body: { status: 'disabled' } });
  expect(await get('/api/v1/runs', person)).toMatchObject({ status: 401 });
  expect((await get('/api/v1/users?status=disabled')).body).toMatchObject({ items: [{ id: person.account }] });
  expect(await post(`${person.account}/activate`)).toMatchObject({ status: 200, body: { status: 'active' } });
  expect(await get('/api/v1/runs', person)).toMatchObject({ status: 401 }); // the session has ended
  expect(await post(`${operator.account}/disable`)).toMatchObject({ status: 409 });
  expect(await post(`${randomUUID()}/disable`)).toMatchObject({ status: 404 });
});

test('what somebody disabled has invited to ends', async () => {
  const admin = await aPerson(api, { role: 'admin' });
  const made = await api.call('POST', '/api/v1/invitations', { key: admin.key, body: { role: 'viewer' } });
  await post(`${admin.account}/disable`);
  const { token } = made.body as { token: string };
  const body = { token, name: 'too_late', password: 'a horse on a bicycle' };
  expect(await api.call('POST', '/api/v1/invitations/accept', { key: null, body })).toMatchObject({
    status: 422,
    body: { code: 'link_invalid' },
  });
});

test('many at once: each has its result, oneself is refused, 100 at most', async () => {
  const [one, two] = [await aPerson(api), await aPerson(api)];
  const ids = [one.account, operator.account, randomUUID(), two.account];
  const answer = await post('bulk', operator, { ids, action: 'disable' });
  expect(answer).toMatchObject({ status: 207, body: { summary: { total: 4, succeeded: 2, failed: 2 } } });
  expect((answer.body as { results: { status: number }[] }).results.map(({ status }) => status)).toEqual([200, 409, 404, 200]);
  for (const n of [0, 101])
    expect(await post('bulk', operator, { ids: Array.from({ length: n }, () => randomUUID()), action: 'disable' })).toMatchObject({
      status: 422,
    });
});

test('of two operators who disable each other one stays', async () => {
  for (let round = 0; round < 10; round++) {
    const [one, two] = await Promise.all([1, 2].map(() => aPerson(api, { role: 'owner', workspace: SYSTEM_WORKSPACE })));
    if (!one || !two) throw new Error('nobody');
    const answers = await Promise.all([post(`${two.account}/disable`, one), post(`${one.account}/disable`, two)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
  }
});
