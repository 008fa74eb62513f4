import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../../src/db/database.ts';
import { listPersonEvents } from '../../src/db/repositories/audit.ts';
import { newKey } from '../../src/dev/keptIn.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { anApi, type TestApi } from './anApi.ts';
import { anAccount, signIn, sql } from './auth/aPerson.ts';

let api: TestApi;
let owner: string;
let operator: string;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: newKey() });
  const { engine } = api.deps;
  await sql(engine, `insert into workspace (id, name, created) values ($1, 'tiu.system', now()) on conflict do nothing`, [
    SYSTEM_WORKSPACE,
  ]);
  const tokenOf = async (workspace: string) => (await signIn(api.deps, await anAccount(engine, { [workspace]: 'owner' }))).accessToken;
  [owner, operator] = [await tokenOf(api.owner.workspace), await tokenOf(SYSTEM_WORKSPACE)];
  const definition = { dsl: 'tiu/1', name: 'job', tasks: { a: { type: 'transform', with: { value: 1 } } } };
  await api.call('POST', '/api/v1/workflows', { body: { definition } });
});
afterAll(() => api.stop());

type Row = { action: string; object: string; data: unknown; before: unknown; after: unknown };

/** What a request has written. */
async function written(method: string, path: string, options: { body?: object; key?: string }): Promise<Row[]> {
  const requestId = randomUUID();
  const answer = await api.call(method, `/api/v1${path}`, { key: owner, ...options, headers: { 'x-request-id': requestId } });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.text}`);
  return sql<Row>(api.deps.engine, 'select action, subject as object, data, before, after from audit where request = $1 order by at, id', [
    requestId,
  ]);
}

test('a schedule is written down as it was and as it is, without what may hold a secret', async () => {
  const spec = { cron: '0 6 * * *' };
  const body = {
    ...{ name: 'daily', workflow: { name: 'job' }, spec, paused: true, priority: 'high' },
    ...{ input: { password: 'canary' }, labels: { who: 'canary' }, note: 'canary' },
  };
  const hidden = { input: '[not recorded]', labels: '[not recorded]', note: '[not recorded]' };
  const made = { name: 'daily', workflow: 'job', version: null, spec, overlap: 'skip', remaining: null, priority: 'high', paused: true };
  const all = [
    await written('POST', '/schedules', { body }),
    await written('PATCH', '/schedules/daily', { body: { spec: { cron: '0 7 * * *' }, priority: null } }),
    await written('POST', '/schedules/daily/unpause', {}),
    await written('DELETE', '/schedules/daily', {}),
  ];
  expect(all).toMatchObject([
    [{ action: 'schedule.create', before: null, after: { ...made, ...hidden } }],
    [{ action: 'schedule.update', before: { ...made, ...hidden }, after: { ...made, spec: { cron: '0 7 * * *' }, priority: null } }],
    [{ action: 'schedule.unpause', before: { paused: true }, after: { paused: false } }],
    [{ action: 'schedule.delete', before: { name: 'daily', paused: false, spec: { cron: '0 7 * * *' } }, after: null }],
  ]);
  expect(JSON.stringify(all)).not.toContain('canary');
});

test('triggers of a definition are written down as they were and as they are', async () => {
  const definition = (cron: string) => ({
    ...{ dsl: 'tiu/1', name: 'timed', tasks: { a: { type: 'transform', with: { value: 1 } } } },
    triggers: [{ cron }],
  });
  const [first, second] = [
    await written('POST', '/workflows', { body: { definition: definition('0 6 * * *') } }),
    await written('POST', '/workflows', { body: { definition: definition('0 7 * * *') } }),
  ];
  const put = (rows: Row[] | undefined) => rows?.find(({ action }) => action === 'schedule.put');
  expect(put(first)).toMatchObject({ before: null, after: { workflow: 'timed', paused: false } });
  expect(put(second)).toMatchObject({ before: put(first)?.after, after: { workflow: 'timed' } });
  expect(put(second)?.after).not.toEqual(put(second)?.before);
});

test('who triggers a schedule or fills up its past is written down', async () => {
  await written('POST', '/schedules', { body: { name: 'now', workflow: { name: 'job' }, spec: { cron: '0 6 * * *' } } });
  expect((await written('POST', '/schedules/now/trigger', { body: { overlap: 'bufferAll' } }))[0]).toMatchObject({
    action: 'schedule.trigger',
    data: { overlap: 'bufferAll', status: 'pending' },
  });
  const range = { startAt: '2026-01-01T00:00:00Z', endAt: '2026-01-03T00:00:00Z' };
  const [backfill] = await written('POST', '/schedules/now/backfill', { body: range });
  expect(backfill).toMatchObject({ action: 'schedule.backfill', data: { times: 2, overlap: 'bufferAll', runs: 2 } });
  const { since, until } = backfill?.data as { since: string; until: string };
  expect([since, until].map((at) => new Date(at).toISOString())).toEqual(['2026-01-01T06:00:00.000Z', '2026-01-02T06:00:00.000Z']);
});

test('quotas, roles and the state of accounts are written down as they were and as they are', async () => {
  const quota = `/workspaces/${api.owner.workspace}/quotas/members`;
  const user = await anAccount(api.deps.engine);
  const rows = [
    ...(await written('PUT', quota, { key: operator, body: { max: 5 } })),
    ...(await written('PUT', quota, { key: operator, body: { max: null } })),
    ...(await written('PUT', '/roles/watcher', { body: { title: 'Watcher', actions: ['run.read'] } })),
    ...(await written('PUT', '/roles/watcher', { body: { title: 'Reader', actions: ['workflow.read'] } })),
    ...(await written('POST', `/users/${user}/disable`, { key: operator })),
  ];
  const [one, two] = [
    { title: 'Watcher', actions: ['run.read'] },
    { title: 'Reader', actions: ['workflow.read'] },
  ];
  expect(rows).toMatchObject([
    {
      action: 'quota.set',
      object: `workspace:${api.owner.workspace}`,
      data: { name: 'members' },
      before: { max: null },
      after: { max: 5 },
    },
    { action: 'quota.set', before: { max: 5 }, after: { max: null } },
    { action: 'role.created', before: null, after: one },
    { action: 'role.redefined', before: one, after: two },
    { action: 'account.disabled', object: `user:${user}`, before: { status: 'active' }, after: { status: 'disabled' } },
  ]);
});

test('what a session does is written down with the request that it was', async () => {
  const account = await anAccount(api.deps.engine, { [api.owner.workspace]: 'viewer' });
  const { accessToken } = await signIn(api.deps, account);
  expect(await written('POST', '/auth/logout', { key: accessToken })).toMatchObject([
    { action: 'session.ended', object: `user:${account}` },
  ]);
});

test('events of a person are found by an index among 10,000 entries of others', async () => {
  const { engine } = api.deps;
  const db = await api.base.open('tiu_owner', 1);
  const me = `user:${randomUUID()}`;
  await sql(
    db,
    `with a as (insert into audit (id, workspace, actor, action, subject, at)
        select gen_random_uuid(), $1, case when i % 2000 = 0 then $2 else 'user:' || i end, 'auth.login', case when i % 2000 = 1 then $2 else 'session:' || i end, now()
        from generate_series(1, 10000) i returning id, workspace)
      insert into audit_seal (seq, workspace, id, hash) select 1000000 + row_number() over (), workspace, id, '' from a`,
    [SYSTEM_WORKSPACE, me],
  );
  await sql(db, 'analyze audit, audit_seal');
  const of = { principal: me, object: me, actions: ['auth'] };
  expect(await listPersonEvents(engine, of, { before: undefined, limit: 100 })).toHaveLength(10);
  const plan: string[] = [];
  const explaining = {
    rows: async (statement: Parameters<Database['rows']>[0]) => {
      const lines = await sql<{ 'QUERY PLAN': string }>(engine, `explain ${statement.text}`, statement.values);
      plan.push(...lines.map((line) => line['QUERY PLAN']));
      return [];
    },
  };
  await listPersonEvents(explaining, of, { before: undefined, limit: 100 });
  expect(plan.join('\n')).toContain('audit_of_actor');
  expect(plan.join('\n')).toContain('audit_of_subject');
  expect(plan.join('\n')).not.toContain('Seq Scan');
});
