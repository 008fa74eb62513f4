import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPersonExport } from '../../../src/activities/kinds/personExport.ts';
import { createApiKey } from '../../../src/db/repositories/apiKeys.ts';
import { deleteGarbage, markGarbage } from '../../../src/db/garbage.ts';
import { personData } from '../../../src/db/personData.ts';
import { forgetExports } from '../../../src/db/personRequests.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { ensureRequests } from '../../../src/worker/systemRuns.ts';
import { silent } from '../../worker/support/aWorker.ts';
import { anExecution } from '../../activities/kinds/anExecution.ts';
import { grant, sql } from '../auth/aPerson.ts';
import { aPerson, PASSWORD, signedIn, someAccounts, type Accounts, type Person } from './aPerson.ts';

let api: Accounts;
let ahead = 0;
beforeAll(async () => {
  api = await someAccounts();
  api.deps.clock = () => Date.now() + ahead;
});
afterAll(() => api.stop());

type Somebody = Person & { key: string };
async function somebody(): Promise<Somebody> {
  const person = await aPerson(api);
  await grant(api.deps.engine, { account: person.id, workspace: api.owner.workspace, role: 'admin' });
  return { ...person, key: (await signedIn(api, person)).accessToken };
}
type Shown = { id: string; status: string; size: number | null; expiresAt: string | null };
const ask = async ({ key }: Somebody) => api.call('POST', '/api/v1/users/me/export', { key });
const get = (path: string, key: string) => api.call('GET', `/api/v1/users/me/exports${path}`, { key });
const runOf = async (id: string) =>
  (
    await sql<{ run: string; input: object; definition: string; workspace: string }>(
      api.deps.engine,
      'select q.run, r.input, r.definition, r.workspace from person_request q join run r on r.id = q.run where q.id = $1',
      [id],
    )
  )[0];
const WEEK_MS = 7 * 86_400_000;
/** Does what the run does, without a worker. */
const write = (request: string, deps: Partial<Parameters<typeof createPersonExport>[0]> = {}) =>
  createPersonExport({ db: api.deps.engine, objects: api.deps.objects, exportMs: WEEK_MS, ...deps })(
    { request },
    anExecution({ workspace: SYSTEM_WORKSPACE }),
  );

test('who asks for an export gets one run of the system workspace, and the document when it is written; nobody else does', async () => {
  const [person, other] = [await somebody(), await somebody()];
  const accepted = (await ask(person)).body as Shown;
  expect(accepted).toMatchObject({ status: 'accepted', size: null, expiresAt: null });
  expect(((await ask(person)).body as Shown).id).toBe(accepted.id);
  expect(await runOf(accepted.id)).toMatchObject({
    ...{ input: { request: accepted.id }, definition: 'tiu-person-export', workspace: SYSTEM_WORKSPACE },
  });
  expect(await sql(api.deps.engine, `select 1 from run where input->>'request' = $1`, [accepted.id])).toHaveLength(1);
  expect(await get(`/${accepted.id}`, person.key)).toMatchObject({ status: 404 });
  const { bytes } = (await write(accepted.id)) as { bytes: number };
  const { items } = (await get('', person.key)).body as { items: Shown[] };
  expect(items).toMatchObject([{ id: accepted.id, status: 'ready', size: bytes }]);
  const fetched = await get(`/${accepted.id}`, person.key);
  expect(fetched.headers.get('cache-control')).toBe('no-store');
  expect(fetched.body).toMatchObject({ format: 'tiu.person/1', profile: [{ id: person.id, name: person.name, email: person.email }] });
  // nobody else, whoever they are; nor by the hash of its content
  expect(await get(`/${accepted.id}`, other.key)).toMatchObject({ status: 404 });
  expect(((await get('', other.key)).body as { items: Shown[] }).items).toEqual([]);
  const [{ sha } = { sha: '' }] = await sql<{ sha: string }>(
    api.deps.engine,
    `select encode(sha256, 'hex') as sha from person_request where id = $1`,
    [accepted.id],
  );
  const operator = await createApiKey(api.deps.engine, { workspace: SYSTEM_WORKSPACE, name: 'op', scopes: ['artifacts:read'], by: 'test' });
  for (const key of [operator.key, api.owner.key])
    expect(await api.call('GET', `/api/v1/artifacts/${sha}`, { key })).toMatchObject({ status: 404 });
});

test('it holds every part, and no secret', async () => {
  const person = await somebody();
  const made = await api.call('POST', '/api/v1/api-keys', { key: person.key, body: { name: 'mine', scopes: ['runs:read'] } });
  await sql(
    api.deps.engine,
    `insert into account_identity (issuer, subject, id, account, provider, email, created, last_used) values ('https://i.test', $1::text, gen_random_uuid(), $1::uuid, 'work', 'me@i.test', now(), now())`,
    [person.id],
  );
  const definition = { dsl: 'tiu/1', name: 'mine', tasks: { a: { type: 'transform', with: { value: 'canary of a run' } } } };
  const run = await api.call('POST', '/api/v1/runs', { key: person.key, body: { definition }, headers: { 'idempotency-key': person.id } });
  const { id } = (await ask(person)).body as Shown;
  await write(id);
  const { text, body } = await get(`/${id}`, person.key);
  expect(body).toMatchObject({
    memberships: [{ workspace: api.owner.workspace, role: 'admin' }],
    sessions: [{ method: 'password', userAgent: 'node', endedAt: null }],
    identities: [{ provider: 'work', email: 'me@i.test' }],
    keys: [{ name: 'mine', scopes: ['runs:read'], revokedAt: null }],
    runs: [{ id: (run.body as { id: string }).id, workspace: api.owner.workspace, definition: 'mine', status: 'queued' }],
  });
  const { audit } = body as { audit: { action: string; actor: string }[] };
  expect(audit.map(({ action }) => action)).toEqual(expect.arrayContaining(['auth.login', 'account.export_requested']));
  const hashes = await sql<{ hash: string }>(
    api.deps.engine,
    `select encode(hash, 'hex') as hash from api_key where account = $1 union all select password from account where id = $1`,
    [person.id],
  );
  for (const secret of [(made.body as { key: string }).key, PASSWORD, 'canary of a run', ...hashes.map(({ hash }) => hash)])
    expect(text.includes(secret)).toBe(false);
});

test('what is large comes in pieces, and none of it is missing or comes twice', async () => {
  const person = await somebody();
  for (let i = 0; i < 7; i++) await api.call('PATCH', '/api/v1/users/me', { key: person.key, body: { bio: `b${i}` } });
  const audit: { id: string }[] = [];
  let pieces = 0;
  for await (const { part, items } of personData(api.deps.engine, person.id, 2)) {
    if (part !== 'audit') continue;
    pieces += 1;
    audit.push(...(items as { id: string }[]));
  }
  const all = await sql<{ id: string }>(api.deps.engine, 'select id from audit where actor = $1 or subject = $1 order by id', [
    `user:${person.id}`,
  ]);
  expect(audit.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
  expect(pieces).toBeGreaterThan(3);
});

test('an attempt that is lost at any statement is gone on with, and writes one document', async () => {
  const { engine } = api.deps;
  for (let fail = 1, lost = true; lost; fail++) {
    const { id } = (await ask(await somebody())).body as Shown;
    let calls = 0;
    const rows: typeof engine.rows = (statement) => {
      calls += 1;
      return calls === fail ? Promise.reject(new Error('lost')) : engine.rows(statement);
    };
    lost = await write(id, { db: { pool: engine.pool, rows } }).then(
      () => false,
      () => true,
    );
    if (lost && fail % 4 === 0) {
      // also behind the last statement: the object is there, and nobody knows of it
      const pool = { connect: () => Promise.reject(new Error('lost')) } as unknown as typeof engine.pool;
      await expect(write(id, { db: { pool, rows: engine.rows } })).rejects.toThrow('lost');
    }
    const first = await write(id);
    expect(await write(id)).toEqual(first);
    expect(await sql(engine, `select 1 from artifact_ref where holder = 'person_request:' || $1::text`, [id])).toHaveLength(1);
  }
});

test('it can be fetched until its time is over, and is collected then', async () => {
  const person = await somebody();
  const { id } = (await ask(person)).body as Shown;
  await write(id);
  const [{ expiresAt } = { expiresAt: null }] = ((await get('', person.key)).body as { items: Shown[] }).items;
  const left = Date.parse(expiresAt ?? '') - Date.now();
  expect(left).toBeGreaterThan(WEEK_MS - 60_000);
  await sql(api.deps.engine, `update person_request set expires = clock_timestamp() where id = $1`, [id]);
  expect(await get(`/${id}`, person.key)).toMatchObject({ status: 404 });
  expect(((await get('', person.key)).body as { items: Shown[] }).items).toEqual([]);
  expect(await forgetExports(api.deps.engine, { account: null, limit: 100 })).toBe(1);
  await sql(api.deps.engine, `update artifact set touched = now() - interval '1 day' where workspace = $1`, [id]);
  await markGarbage(api.deps.engine, { after: null, graceMs: 1_000, limit: 10_000 });
  const removed: string[] = [];
  await deleteGarbage(api.deps.engine, { graceMs: 1_000, settleMs: -60_000, limit: 10_000 }, ({ workspace }) =>
    Promise.resolve(void removed.push(workspace)),
  );
  expect(removed).toContain(id);
});

test('a worker submits what the api could not, and again what has ended without doing it', async () => {
  const { engine } = api.deps;
  const person = await somebody();
  const { submitRun } = api.deps;
  api.deps.submitRun = () => Promise.reject(new Error('away'));
  const { id } = (await ask(person)).body as Shown;
  api.deps.submitRun = submitRun;
  expect(await runOf(id)).toBeUndefined();
  const deps = { db: engine, log: silent };
  await Promise.all([ensureRequests(deps), ensureRequests(deps)]);
  const first = await runOf(id);
  expect(await sql(engine, `select 1 from run where input->>'request' = $1`, [id])).toHaveLength(1);
  await sql(engine, `update run_state set finished = now(), status = 'failed' where run = $1`, [first?.run]);
  await ensureRequests(deps); // not yet
  expect((await runOf(id))?.run).toBe(first?.run);
  await sql(engine, `update person_request set submitted = now() - interval '61 minutes' where id = $1`, [id]);
  await ensureRequests(deps);
  expect((await runOf(id))?.run).not.toBe(first?.run);
  await write(id);
  await sql(engine, `update person_request set submitted = now() - interval '61 minutes' where id = $1`, [id]);
  await ensureRequests(deps);
  expect(await sql(engine, `select 1 from run where input->>'request' = $1`, [id])).toHaveLength(2);
});

test('it wants a proof of who one is from the last minutes', async () => {
  const person = await somebody();
  ahead = 901_000;
  const { accessToken } = await signedIn(api, person);
  ahead += 901_000;
  const answer = await api.call('POST', '/api/v1/users/me/export', { key: accessToken });
  ahead = 0;
  expect(answer).toMatchObject({ status: 403, body: { code: 'reauthentication_required' } });
});
