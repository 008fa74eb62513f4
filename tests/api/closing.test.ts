import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClosingCheck } from '../../src/db/closingCheck.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { ensureClosings } from '../../src/worker/systemRuns.ts';
import { silent } from '../worker/support/aWorker.ts';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { sql, TOKEN_KEYS } from './auth/aPerson.ts';

let api: TestApi;
let ahead = 0;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_CLOSING_GRACE: '3600000', TIU_FRESH: '60000' }, { clock: () => Date.now() + ahead });
});
afterAll(() => api.stop());

const definition = { dsl: 'tiu/1', name: 'small', tasks: { a: { type: 'transform', with: { value: 1 } } } };
const post = (path: string, body: object, { key = api.owner.key, id = randomUUID() }: { key?: string; id?: string } = {}) =>
  api.call('POST', `/api/v1${path}`, { key, body, headers: { 'idempotency-key': id } });
const close = ({ key }: { key: string }, name = 'own') => api.call('POST', '/api/v1/workspace/close', { key, body: { name } });
const reopen = ({ key }: { key: string }) => api.call('DELETE', '/api/v1/workspace/close', { key });
const owner = (): Promise<Person> => aPerson(api, { role: 'owner' });
const runsOf = (workspace: string) =>
  sql<{ id: string; status: string }>(
    api.deps.engine,
    `select r.id, coalesce(s.intent, s.status) as status from run r join run_state s on s.run = r.id where r.workspace = $1 and r.definition = 'tiu-workspace-close' and r.input->>'workspace' = $2 order by r.id`,
    [SYSTEM_WORKSPACE, workspace],
  );

test('only an owner who has just proved who they are closes a workspace, by its name; never the one of the product', async () => {
  const one = await owner();
  expect(await close(await aPerson(api, { role: 'admin' }))).toMatchObject({ status: 403 });
  expect(await close(one, 'other')).toMatchObject({ status: 422, body: { issues: [{ pointer: '/name' }] } });
  ahead = 61_000;
  expect(await close(one)).toMatchObject({ status: 403, body: { code: 'reauthentication_required' } });
  ahead = 0;
  const operator = await aPerson(api, { role: 'owner', workspace: SYSTEM_WORKSPACE });
  expect(await close(operator, 'tiu.system')).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  expect(await reopen(one)).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  expect(await runsOf(api.owner.workspace)).toEqual([]);
});

test('from that moment nothing new is started in it, until it is taken back; what was accepted is answered as then', async () => {
  const one = await owner();
  const before = await post('/runs', { definition }, { id: 'before' });
  await post('/workflows', { definition });
  const source = (before.body as { id: string }).id;
  await sql(api.deps.engine, `update run_state set status = 'failed', finished = now() where run = $1`, [source]);
  const closing = await close(one);
  expect(closing).toMatchObject({ status: 202 });
  const { closingSince, deletedFrom } = closing.body as { closingSince: string; deletedFrom: string };
  expect(Date.parse(deletedFrom) - Date.parse(closingSince)).toBe(3_600_000);
  expect((await close(one)).body).toEqual(closing.body);
  expect((await api.call('GET', '/api/v1/workspace', { key: one.key })).body).toMatchObject({
    closing: { since: closingSince, deletedFrom },
  });
  const starts: [path: string, body: object][] = [
    ['/runs', { definition }],
    ['/tasks', { name: 'one', type: 'transform', with: { value: 1 } }],
    ['/workflows/small/execute', {}],
    [`/runs/${source}/fork`, { from: ['a'] }],
  ];
  for (const [path, body] of starts)
    expect({ path, answer: await post(path, body) }).toMatchObject({ path, answer: { status: 409, body: { code: 'workspace_closing' } } });
  expect((await post('/runs/batch', { runs: [{ definition }] })).body).toMatchObject({
    results: [{ status: 409, problem: { code: 'workspace_closing' } }],
  });
  const again = await post('/runs', { definition }, { id: 'before' });
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([202, 'true']);
  expect(await post('/runs', { definition }, { key: api.stranger.key })).toMatchObject({ status: 202 });
  expect(await runsOf(api.owner.workspace)).toMatchObject([{ status: 'queued' }]);
  expect(await reopen(one)).toMatchObject({ status: 204 });
  expect(await post('/runs', { definition })).toMatchObject({ status: 202 });
  expect((await api.call('GET', '/api/v1/workspace', { key: one.key })).body).toMatchObject({ closing: null });
  expect(await runsOf(api.owner.workspace)).toMatchObject([{ status: 'cancel' }]);
  const said = await sql<{ action: string }>(api.deps.engine, `select action from audit where subject = $1 and actor = $2 order by id`, [
    `workspace:${api.owner.workspace}`,
    one.principal,
  ]);
  expect(said.map(({ action }) => action)).toEqual(['workspace.closing', 'workspace.reopened']);
});

test('another process notices within a second', async () => {
  let now = 0;
  const check = createClosingCheck(api.deps.engine, () => now);
  const set = (closing: string) =>
    sql(api.deps.engine, `update workspace set closing = ${closing} where id = $1`, [api.stranger.workspace]);
  await check.check(api.stranger.workspace);
  await set('now()');
  now = 999;
  await check.check(api.stranger.workspace);
  now = 1_000;
  await expect(check.check(api.stranger.workspace)).rejects.toMatchObject({ code: 'workspace_closing' });
  await set('null');
  check.forget();
  await check.check(api.stranger.workspace);
});

test('a worker submits what the api could not, also for who has left a workspace alone, and again what has ended without doing it', async () => {
  const workspace = randomUUID();
  await sql(api.deps.engine, `insert into workspace (id, name, created, closing) values ($1, $1::uuid::text, now(), now())`, [workspace]);
  const deps = { db: api.deps.engine, log: silent, closingMs: 7_200_000 };
  await Promise.all([ensureClosings(deps), ensureClosings(deps)]);
  const [first, ...rest] = await runsOf(workspace);
  expect([first?.status, rest]).toEqual(['queued', []]);
  const [row] = await sql<{ ms: number; run: string }>(
    api.deps.engine,
    `select extract(epoch from closing_until - closing)::float8 * 1000 as ms, closing_run as run from workspace where id = $1`,
    [workspace],
  );
  expect(row).toEqual({ ms: 7_200_000, run: first?.id });
  await sql(api.deps.engine, `update run_state set status = 'failed', finished = now() where run = $1`, [first?.id]);
  await ensureClosings(deps); // not yet
  expect(await runsOf(workspace)).toHaveLength(1);
  await sql(api.deps.engine, `update workspace set closing_submitted = now() - interval '61 minutes' where id = $1`, [workspace]);
  await ensureClosings(deps);
  expect(await runsOf(workspace)).toHaveLength(2);
});
