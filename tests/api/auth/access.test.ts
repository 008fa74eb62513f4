import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { until } from '../../support/until.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, grant, signIn, sql, TOKEN_KEYS } from './aPerson.ts';

let api: TestApi;
let ahead = 0;
let stopped: number | undefined;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS }, { clock: () => (stopped ?? Date.now()) + ahead });
});
afterEach(() => {
  ahead = 0;
  stopped = undefined;
});
afterAll(() => api.stop());

const mayRead = async (token: string) => (await api.call('GET', '/api/v1/runs', { key: token })).status;
const me = async (token: string) =>
  (await api.call('GET', '/api/v1/auth/me', { key: token })).body as { role: string | null; permissions: string[] };
const member = async (role: string) => {
  const account = await anAccount(api.deps.db, { [api.owner.workspace]: role });
  const { accessToken, sessionId } = await signIn(api.deps, account);
  return { account, workspace: api.owner.workspace, accessToken, sessionId };
};
/** Statements that the pool is asked for meanwhile. */
async function statements(act: () => Promise<unknown>): Promise<string[]> {
  const { db, engine, walls } = api.deps;
  const seen: string[] = [];
  // who asks is found out as the engine, the rest is asked for behind the wall
  const counted = [db, engine].map((view) => {
    const { rows } = view;
    view.rows = (statement: Parameters<typeof rows>[0]) => {
      // nobody waits for the count of requests: it is taken behind them
      if (statement.name !== 'rate_take' && (view === engine || walls.current() !== undefined)) seen.push(statement.name);
      return rows(statement);
    };
    return () => {
      view.rows = rows;
    };
  });
  try {
    await act();
  } finally {
    for (const restore of counted) restore();
  }
  return seen;
}

test('a request with a token costs one statement more than its own, and none while it is believed', async () => {
  stopped = Date.now();
  const { accessToken } = await member('viewer');
  const ask = () => mayRead(accessToken);
  const own = (await statements(() => mayRead(api.owner.key))).filter((name) => !name.startsWith('key_'));
  expect(await statements(ask)).toEqual(['session_holder', ...own]);
  expect(await statements(ask)).toEqual(own);
  ahead = 1_001;
  expect(await statements(ask)).toEqual(['session_holder', ...own]);
  ahead = 2_002;
  const atOnce = await statements(() => Promise.all([ask(), ask(), ask()]));
  expect(atOnce.filter((name) => name === 'session_holder')).toHaveLength(1);
});

test('a key costs no more than before', async () => {
  stopped = Date.now() + 3_600_000;
  const ask = () => mayRead(api.owner.key);
  const [first, second] = [await statements(ask), await statements(ask)];
  expect(first).toEqual(['key_holder', 'key_touch', ...second]);
  expect(second.some((name) => name.startsWith('key_'))).toBe(false);
});

test('another role counts at once, and none lets nobody in', async () => {
  stopped = Date.now(); // what is believed would be believed for ever
  const { account, workspace, accessToken } = await member('viewer');
  expect((await me(accessToken)).permissions).not.toContain('run.start');
  await grant(api.deps.db, { account, workspace, role: 'developer' });
  await until(async () => (await me(accessToken)).permissions.includes('run.start'));
  await sql(api.deps.db, 'delete from membership where account = $1', [account]);
  await until(async () => (await mayRead(accessToken)) === 403);
  expect(await me(accessToken)).toMatchObject({ role: null, permissions: [], workspace: null });
});

test('a role granted until a time ends at that time, without a notice', async () => {
  stopped = Date.now();
  const { account, workspace, accessToken } = await member('viewer');
  await grant(api.deps.db, { account, workspace, role: 'developer', expires: new Date(stopped + 500) });
  await until(async () => (await me(accessToken)).role === 'developer');
  ahead = 499;
  expect(await mayRead(accessToken)).toBe(200);
  ahead = 500;
  expect(await mayRead(accessToken)).toBe(403);
});

test('a role that the workspace has made gives what it says, and what it says now', async () => {
  stopped = Date.now();
  const { db } = api.deps;
  const { workspace } = api.owner;
  await sql(
    db,
    `insert into role (workspace, name, actions, created, created_by) values ($1, 'reader', '{run.read,no.such}', now(), 'test')`,
    [workspace],
  );
  const { accessToken } = await member('reader');
  expect(await me(accessToken)).toMatchObject({ role: 'reader', permissions: ['run.read'] });
  await sql(db, `update role set actions = '{workflow.read}' where name = 'reader'`);
  await until(async () => (await mayRead(accessToken)) === 403);
});

test('a role in a project counts there, for as long as the person is a member of the workspace', async () => {
  stopped = Date.now();
  const { db } = api.deps;
  const { account, workspace, accessToken } = await member('viewer');
  const project = '018f0000-0000-7000-8000-000000000001';
  await sql(db, `insert into project (workspace, id, name, created, created_by) values ($1, $2, 'p', now(), 'test')`, [workspace, project]);
  await sql(
    db,
    `insert into project_member (workspace, project, account, role, granted_by, granted) values ($1, $2, $3, 'developer', 'test', now())`,
    [workspace, project, account],
  );
  const inProject = async () => (await api.deps.authenticate(accessToken)).actor.projects.get(project)?.actions.has('run.start') === true;
  await until(inProject);
  await sql(db, 'delete from membership where account = $1', [account]);
  await until(async () => !(await inProject()));
});

test('what was read before a notice is not believed after it', async () => {
  stopped = Date.now();
  const { accessToken, sessionId } = await member('viewer');
  const { engine: db } = api.deps;
  const rows = db.rows;
  const held = Promise.withResolvers<undefined>();
  const answered = Promise.withResolvers<undefined>();
  db.rows = (async (statement: Parameters<typeof rows>[0]) => {
    const found = await rows(statement);
    if (statement.name !== 'session_holder') return found;
    answered.resolve(undefined);
    await held.promise;
    return found;
  }) as typeof rows;
  const early = api.deps.authenticate(accessToken);
  await answered.promise;
  db.rows = rows;
  await sql(db, `update session set ended = now() where id = $1`, [sessionId]);
  api.deps.authenticate.forget(`session:${sessionId}`);
  held.resolve(undefined);
  await early;
  await expect(api.deps.authenticate(accessToken)).rejects.toMatchObject({ code: 'unauthenticated' });
});

const makeKey = (token: string, body: object) => api.call('POST', '/api/v1/api-keys', { key: token, body });

test('a key of a person has what they have, and no more when they have less', async () => {
  stopped = Date.now();
  const { account, workspace, accessToken } = await member('developer');
  const made = await makeKey(accessToken, { name: 'ci', scopes: ['runs:read', 'runs:write'] });
  const { id, key } = made.body as { id: string; key: string };
  expect(made.body).toMatchObject({ account, prefix: `tiu_${id.replaceAll('-', '')}_`, expiresAt: null });
  expect(key.startsWith((made.body as { prefix: string }).prefix)).toBe(true);
  const send = () =>
    api.call('POST', '/api/v1/events', { key, body: { name: 'e', payload: 1 }, headers: { 'idempotency-key': String(Math.random()) } });
  expect((await send()).status).not.toBe(403);
  await grant(api.deps.db, { account, workspace, role: 'viewer' });
  await until(async () => (await send()).status === 403);
  expect(await mayRead(key)).toBe(200);
  await sql(api.deps.db, `update account set status = 'disabled' where id = $1`, [account]);
  await until(async () => (await mayRead(key)) === 401);
  expect(await mayRead(accessToken)).toBe(401);
});

test('a key of a person makes no keys, is no person, and its maker has just proved who they are', async () => {
  const { accessToken, sessionId } = await member('owner');
  expect((await makeKey(accessToken, { name: 'x', scopes: ['keys:manage'] })).body).toMatchObject({
    code: 'invalid_request',
    issues: [{ pointer: '/scopes' }],
  });
  const { key, id } = (await makeKey(accessToken, { name: 'x', scopes: ['runs:read'] })).body as { key: string; id: string };
  await sql(api.deps.db, `update api_key set scopes = '{keys:manage,runs:read}' where id = $1`, [id]);
  expect((await makeKey(key, { name: 'y', scopes: ['runs:read'] })).body).toMatchObject({ code: 'forbidden' });
  expect((await api.call('GET', '/api/v1/auth/me', { key })).body).toMatchObject({ code: 'forbidden' });
  await sql(api.deps.db, `update session set proved = now() - interval '16 minutes' where id = $1`, [sessionId]);
  await until(
    async () =>
      ((await makeKey(accessToken, { name: 'z', scopes: ['runs:read'] })).body as { code?: string }).code === 'reauthentication_required',
  );
});

test('a key ends at its time, which is not past when it is made', async () => {
  stopped = Date.now();
  const { accessToken } = await member('developer');
  const at = (ms: number) => new Date(Number(stopped) + ms).toISOString();
  expect((await makeKey(accessToken, { name: 'x', scopes: ['runs:read'], expiresAt: at(0) })).body).toMatchObject({
    issues: [{ pointer: '/expiresAt' }],
  });
  const { key } = (await makeKey(accessToken, { name: 'x', scopes: ['runs:read'], expiresAt: at(700) })).body as { key: string };
  ahead = 699;
  expect(await mayRead(key)).toBe(200);
  ahead = 700;
  expect(await mayRead(key)).toBe(401);
});

test('developers see and revoke their own keys, admins all', async () => {
  const [one, two, admin] = [await member('developer'), await member('developer'), await member('admin')];
  const [mine, theirs] = [one, two].map(
    async ({ accessToken }) => (await makeKey(accessToken, { name: 'k', scopes: ['runs:read'] })).body as { id: string },
  );
  const ids = { mine: (await mine)?.id ?? '', theirs: (await theirs)?.id ?? '' };
  const list = async (token: string) =>
    ((await api.call('GET', '/api/v1/api-keys', { key: token })).body as { items: { id: string }[] }).items.map(({ id }) => id);
  expect(await list(one.accessToken)).toEqual([ids.mine]);
  expect(await list(admin.accessToken)).toEqual(expect.arrayContaining([ids.mine, ids.theirs]));
  const revoke = async (token: string, id: string) => (await api.call('DELETE', `/api/v1/api-keys/${id}`, { key: token })).status;
  expect(await revoke(one.accessToken, ids.theirs)).toBe(403);
  expect(await revoke(one.accessToken, ids.mine)).toBe(204);
  expect(await revoke(one.accessToken, ids.mine)).toBe(404);
  expect(await revoke(admin.accessToken, ids.theirs)).toBe(204);
  expect(await revoke((await member('viewer')).accessToken, ids.theirs)).toBe(403);
});
