import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { io } from 'socket.io-client';
import { createRunQuota } from '../../src/api/quota/runQuota.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { foldUsage } from '../../src/db/repositories/quotas.ts';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
let operator: string;
beforeAll(async () => {
  api = await anApi({
    TIU_QUOTA_API_KEYS: '3',
    TIU_QUOTA_ARTIFACT_BYTES: '1000',
    TIU_QUOTA_MEMBERS: '2',
    TIU_QUOTA_SOCKETS: '2',
    TIU_QUOTA_OPEN_RUNS: '5',
  });
  const system = {
    name: 'system',
    text: `insert into workspace (id, name, created) values ($1, 'system', now()) on conflict do nothing`,
    values: [SYSTEM_WORKSPACE],
  };
  await api.deps.engine.rows(system);
  operator = (await createApiKey(api.deps.engine, { workspace: SYSTEM_WORKSPACE, name: 'op', scopes: ['system:manage'], by: 'test' })).key;
});
afterAll(() => api.stop());

type Usage = { items: { name: string; used: number; max: number }[] };
const usage = async (key = api.owner.key) => {
  const { items } = (await api.call('GET', '/api/v1/usage', { key })).body as Usage;
  return Object.fromEntries(items.map(({ name, used, max }) => [name, `${used}/${max}`]));
};
const set = (name: string, max: number | null, options: { key?: string; workspace?: string } = {}) =>
  api.call('PUT', `/api/v1/workspaces/${options.workspace ?? api.owner.workspace}/quotas/${name}`, {
    key: options.key ?? operator,
    body: { max },
  });
const definition = { dsl: 'tiu/1', name: 'held', tasks: { a: { type: 'wait', with: { for: 'PT1H' } } } };
const start = (key: string = randomUUID(), as?: string) =>
  api.call('POST', '/api/v1/runs', { body: { definition }, headers: { 'idempotency-key': key }, ...(as !== undefined && { key: as }) });
const close = async (n: number) => {
  const text = `update run_state set finished = now(), status = 'completed' where run in (select run from run_state where workspace = $1 and finished is null limit $2)`;
  await api.deps.engine.rows({ name: 'close', text, values: [api.owner.workspace, n] });
};

test('as many runs may be open as the quota says, and not one more; what was accepted is answered as then', async () => {
  for (let i = 1; i <= 5; i++) expect([i, (await start(`r${i}`)).status]).toEqual([i, 202]);
  const refused = await start('r6');
  expect(refused).toMatchObject({ status: 409, body: { code: 'quota_exceeded', detail: 'The workspace has 5 of 5 open runs' } });
  const again = await start('r5');
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([202, 'true']);
  expect((await start('other', api.stranger.key)).status).toBe(202); // another workspace has its own
  expect(await usage()).toMatchObject({ open_runs: '5/5' });
  await close(1);
  expect((await start('r6')).status).toBe(202);
  expect((await start('r7')).status).toBe(409);
  await close(4);
  const together = await Promise.all(Array.from({ length: 12 }, () => start()));
  expect(together.filter(({ status }) => status === 202).length).toBeLessThanOrEqual(4);
  expect((await usage()).open_runs).toMatch(/^[345]\/5$/);
});

test('a batch is told of each run that found no room', async () => {
  await close(100);
  const runs = Array.from({ length: 8 }, () => ({ definition, idempotencyKey: randomUUID() }));
  const { results } = (await api.call('POST', '/api/v1/runs/batch', { body: { runs }, headers: { 'idempotency-key': randomUUID() } }))
    .body as { results: { status: number }[] };
  expect(results.filter(({ status }) => status === 202).length).toBeLessThanOrEqual(5);
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set([202, 409]));
});

test('far from its quota a workspace is counted once, near it each time', async () => {
  let counts = 0;
  let open = 0;
  const quota = createRunQuota({ now: () => 0, maxOf: () => Promise.resolve(1_000), count: () => Promise.resolve((counts += 1) && open) });
  const begin = async () => {
    (await quota.hold('w'))(true);
    open += 1;
  };
  for (let i = 0; i < 200; i++) await begin();
  expect(counts).toBe(1);
  for (let i = 200; i < 1_000; i++) await begin();
  await expect(quota.hold('w')).rejects.toMatchObject({ code: 'quota_exceeded', data: { quota: 'open_runs', used: 1_000, max: 1_000 } });
  expect(counts).toBeLessThan(50);
  open -= 1;
  const settle = await quota.hold('w');
  await expect(quota.hold('w')).rejects.toMatchObject({ code: 'quota_exceeded' });
  settle(false);
  await quota.hold('w');
});

test('bytes of artifacts count once for each content, and come back when it is collected', async () => {
  const upload = (text: string) => api.call('POST', '/api/v1/artifacts', { raw: text, headers: { 'content-type': 'text/plain' } });
  expect((await upload('a'.repeat(600))).status).toBe(201);
  expect((await upload('a'.repeat(400))).status).toBe(201); // to the byte
  expect(await usage()).toMatchObject({ artifact_bytes: '1000/1000' });
  expect(await upload('b')).toMatchObject({
    status: 409,
    body: { code: 'quota_exceeded', detail: 'The workspace has 1000 of 1000 bytes of artifacts and stored outputs' },
  });
  await foldUsage(api.deps.engine);
  expect(await usage()).toMatchObject({ artifact_bytes: '1000/1000' });
  const gone = createHash('sha256').update('a'.repeat(400)).digest();
  await api.deps.engine.rows({ name: 'collect', text: 'delete from artifact where sha256 = $1', values: [gone] });
  expect(await usage()).toMatchObject({ artifact_bytes: '600/1000' });
  expect((await upload('c'.repeat(401))).status).toBe(409);
  expect((await upload('c'.repeat(400))).status).toBe(201);
  expect(await usage(api.stranger.key)).toMatchObject({ artifact_bytes: '0/1000' });
});

test('two that store objects of the same workspaces do not wait for each other', async () => {
  const clients = await Promise.all([api.deps.engine.pool.connect(), api.deps.engine.pool.connect()]);
  const [a, b] = [api.owner.workspace, api.stranger.workspace];
  const put = (i: number, workspace: string) =>
    clients[i]?.query(
      `insert into artifact (workspace, sha256, size, media_type, created, created_by) values ($1, sha256($2::bytea), 1, 'x', now(), 'x')`,
      [workspace, `${i}${workspace}`],
    );
  await Promise.all(clients.map((client) => client.query('begin')));
  await Promise.all([put(0, a), put(1, b)]);
  await Promise.all([put(0, b), put(1, a)]);
  await Promise.all(clients.map((client) => client.query('rollback')));
  for (const client of clients) client.release();
});

test('keys that are revoked make room', async () => {
  const make = () => api.call('POST', '/api/v1/api-keys', { body: { name: 'k', scopes: ['runs:read'] } });
  const [one, two, three] = [await make(), await make(), await make()]; // the owner's is the first
  expect([one.status, two.status]).toEqual([201, 201]);
  expect(three).toMatchObject({ status: 409, body: { code: 'quota_exceeded', detail: 'The workspace has 3 of 3 API keys' } });
  expect((await api.call('DELETE', `/api/v1/api-keys/${(one.body as { id: string }).id}`)).status).toBe(204);
  expect((await make()).status).toBe(201);
  expect(await usage()).toMatchObject({ api_keys: '3/3' });
});

test('members and sockets are counted, too', async () => {
  const add = async (name: string) => {
    await api.deps.quotas.check(api.owner.workspace, 'members');
    const account = randomUUID();
    const text = `with a as (insert into account (id, name, name_key, created, created_by) values ($1, $2, $2, now(), 'test') returning id) select 1 from a`;
    await api.deps.engine.rows({ name: 'account', text, values: [account, name] });
    await api.deps.engine.rows({
      name: 'member',
      text: `insert into membership (workspace, account, role, granted_by, granted) values ($1, $2, 'viewer', 'test', now())`,
      values: [api.owner.workspace, account],
    });
  };
  await add('ann');
  await add('bob');
  await expect(add('cid')).rejects.toMatchObject({ code: 'quota_exceeded', detail: 'The workspace has 2 of 2 members' });
  const connect = () => {
    const socket = io(api.url, { auth: { token: api.owner.key }, transports: ['websocket'], reconnection: false, forceNew: true });
    return new Promise<{ socket: typeof socket; code?: string }>((resolve) => {
      socket
        .on('connect', () => {
          resolve({ socket });
        })
        .on('connect_error', (error) => {
          resolve({ socket, code: (error as Error & { data: { code: string } }).data.code });
        });
    });
  };
  const sockets = [await connect(), await connect(), await connect()];
  expect(sockets.map(({ code }) => code)).toEqual([undefined, undefined, 'quota_exceeded']);
  expect(await usage()).toMatchObject({ sockets: '2/2', members: '2/2' });
  for (const { socket } of sockets) socket.disconnect();
});

test('operators set quotas, of any workspace and in the audit; nobody else does', async () => {
  const path = `/api/v1/workspaces/${api.owner.workspace}/usage`;
  expect((await set('api_keys', 7)).body).toMatchObject({ items: expect.arrayContaining([{ name: 'api_keys', used: 3, max: 7 }]) });
  expect(await usage()).toMatchObject({ api_keys: '3/7' });
  expect(await usage(api.stranger.key)).toMatchObject({ api_keys: '1/3' });
  expect((await api.call('GET', path, { key: operator })).body).toMatchObject({
    items: expect.arrayContaining([{ name: 'api_keys', used: 3, max: 7 }]),
  });
  await set('api_keys', 0); // what is there stays
  expect(await usage()).toMatchObject({ api_keys: '3/0' });
  await set('api_keys', null);
  expect(await usage()).toMatchObject({ api_keys: '3/3' });
  expect((await set('api_keys', 9, { key: api.owner.key })).status).toBe(403);
  expect((await api.call('GET', path)).status).toBe(403);
  expect((await set('api_keys', 9, { workspace: randomUUID() })).status).toBe(404);
  expect((await set('api_keys', 9, { workspace: 'mine' })).status).toBe(404);
  expect((await set('unheard_of', 9)).status).toBe(422);
  expect((await set('api_keys', -1)).status).toBe(422);
  const audit = await api.deps.engine.rows<{ data: object; before: object; after: object }>({
    name: 'audit',
    text: `select data, before, after from audit where action = 'quota.set' and result = 'done' order by id`,
    values: [],
  });
  const maxima = [null, 7, 0, null];
  expect(audit).toEqual([1, 2, 3].map((i) => ({ data: { name: 'api_keys' }, before: { max: maxima[i - 1] }, after: { max: maxima[i] } })));
});
