import { createHash, randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPersonErase } from '../../../src/activities/kinds/personErase.ts';
import type { Database } from '../../../src/db/database.ts';
import { acceptErasure } from '../../../src/db/erasure.ts';
import { createInvitation } from '../../../src/db/repositories/invitations.ts';
import { takeTry } from '../../../src/db/tries.ts';
import { keptOfPerson, PERSONAL_DATA } from '../../../src/domain/account/personalData.ts';
import { deviceSubject, factorSubjects, loginSubject, selfSubject } from '../../../src/domain/account/trySubjects.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { aDatabase, type TestDatabase } from '../../support/aDatabase.ts';
import { anExecution } from './anExecution.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const sql = <R extends object = object>(text: string, ...values: unknown[]) => db.rows<R>({ name: '', text, values });

/** What may hold an id of a person or a text of theirs. */
const HOLDING = ['uuid', 'text', 'json', 'jsonb', 'text[]', 'bytea', 'character varying'];
const columns = () =>
  sql<{ t: string; c: string }>(
    `select c.relname as t, a.attname as c from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and split_part(format_type(a.atttypid, a.atttypmod), '(', 1) = any($1) order by 1, 2`,
    HOLDING,
  );

test('every column that may hold the id of a person or a text of theirs is named, once', async () => {
  const named = Object.entries(PERSONAL_DATA).flatMap(([table, { removed = '', kept = {}, neither = '' }]) =>
    [removed, ...Object.values(kept), neither]
      .flatMap((list) => list.split(' ').filter((name) => name !== ''))
      .map((name) => `${table}.${name}`),
  );
  expect(named.sort()).toEqual((await columns()).map(({ t, c }) => `${t}.${c}`).sort());
});

const CANARY = 'canary';
const bytes = () => createHash('sha256').update(randomUUID()).digest();
type Who = { account: string; workspace: string; name: string; email: string };

/** Sessions, keys, and places: also a workspace that nobody else is in. */
async function placesOf({ account, workspace }: Who): Promise<void> {
  const [lone, other, project, session] = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7(), randomUUIDv7()];
  await sql(`insert into workspace (id, name, created) select i, i::text, now() from unnest($1::uuid[]) i`, [workspace, lone]);
  await sql(`insert into account (id, name, name_key, created, created_by) values ($1, 'o', 'o' || $1::uuid, now(), 'test')`, other);
  await sql(
    `insert into membership (workspace, account, role, granted_by, granted)
      select w, a, 'owner', 'test', now() from unnest($1::uuid[], $2::uuid[]) x(w, a)`,
    ...[
      [workspace, workspace, lone],
      [other, account, account],
    ],
  );
  await sql(
    `insert into project (workspace, id, name, created, created_by) values ($1, $2, 'p', now(), 'user:' || $3::uuid)`,
    ...[workspace, project, account],
  );
  await sql(
    `insert into project_member (workspace, project, account, role, granted_by, granted) values ($1, $2, $3, 'viewer', 'test', now())`,
    ...[workspace, project, account],
  );
  await sql(
    `update workspace set transfer_to = $2, transfer_by = $2, transfer_until = now() + interval '1 day' where id = $1`,
    ...[workspace, account],
  );
  await sql(
    `insert into session (id, workspace, account, method, mfa, remember, device, ip, user_agent, created, proved, active, idle, expires, ended_by)
      values ($1, $2, $3, 'password', false, false, 'canary', 'canary', 'canary', now(), now(), now(), '1 day', now(), 'canary')`,
    ...[session, workspace, account],
  );
  await sql(`insert into refresh_token (hash, session, created) values ($1, $2, now())`, bytes(), session);
  await sql(`insert into socket_ticket (hash, session, expires) values ($1, $2, now())`, bytes(), session);
  await sql(
    `insert into api_key (id, workspace, name, hash, scopes, created, version, account) values ($1, $2, 'canary', $3, '{}', now(), 1, $4)`,
    ...[randomUUIDv7(), workspace, bytes(), account],
  );
}

async function proofsOf({ account, name, email }: Who): Promise<void> {
  const device = bytes();
  await sql(`insert into totp (account, key_id, sealed, created) values ($1, 'k', $2, now())`, account, bytes());
  await sql(`insert into recovery_code (hash, account, created) values ($1, $2, now())`, bytes(), account);
  await sql(
    `insert into passkey (id, account, public_key, counter, transports, name, synced, created)
      values ('canary' || $1::uuid, $1, $2, 0, '{canary}', 'canary', false, now())`,
    ...[account, bytes()],
  );
  await sql(
    `insert into device_grant (device_hash, user_hash, device, ip, user_agent, created, expires, pause, account) values ($1, $1, 'd', '::1', 'u', now(), now(), '5 s', $2)`,
    ...[bytes(), account],
  );
  await sql(
    `insert into known_device (hash, account, created, last_used, expires) values ($1, $2, now(), now(), now())`,
    ...[device, account],
  );
  await sql(
    `insert into account_identity (issuer, subject, id, account, provider, email, created, last_used)
      values ('canary', $1::uuid, $1, $1, 'canary', 'canary', now(), now())`,
    account,
  );
  for (const [kind, of, data] of [
    ['change_email', account, { shown: CANARY }],
    ['register', null, { email: { key: email } }],
    ['change_email', null, { key: email }],
  ] as const)
    await sql(
      `insert into one_time (hash, kind, account, data, created, expires) values ($1, $2, $3, $4, now(), now())`,
      ...[bytes(), kind, of, JSON.stringify(data)],
    );
  const subjects = [loginSubject(name), loginSubject(email), selfSubject(account), ...factorSubjects(account)];
  for (const subject of [...subjects, deviceSubject(device.toString('base64url'))])
    await takeTry(db, { subject, now: Date.now(), limits: { free: 1, delayMs: 1, maxDelayMs: 1, max: 100 } });
  const hashed = createHash('sha256').update(email).digest('base64url');
  for (const key of [`user:${account}`, `account:${hashed}`])
    await sql(`insert into rate_bucket (class, key, full_at) values ('read', $1, 0)`, key);
}

async function tracesOf({ account, workspace, email }: Who): Promise<void> {
  const invited = { workspace, mailed: true, role: 'viewer', projects: [], now: Date.now(), ttlMs: 60_000, max: 100 };
  await createInvitation(db, { ...invited, email, by: 'user:x' });
  await createInvitation(db, { ...invited, email: null, by: `user:${account}` });
  await sql(
    `insert into idempotency (workspace, principal, key, hash, status, response, expires)
      values ($1, 'user:' || $2::uuid, 'canary', $3, 200, '"canary"', now())`,
    ...[workspace, account, bytes()],
  );
  const exported = randomUUIDv7();
  await sql(
    `insert into person_request (id, kind, account, asked_by, created, done, sha256, size, expires)
      values ($1, 'export', $2, 'user:' || $2::uuid, now(), now(), $3, 1, now())`,
    ...[exported, account, bytes()],
  );
  await sql(
    `insert into artifact_ref (workspace, sha256, holder, created) values ($1, $2, 'person_request:' || $1::uuid, now())`,
    ...[exported, bytes()],
  );
}

/** Somebody who has left something of theirs in every table that something is removed of, and whose erasure is accepted. */
async function somebody(): Promise<{ account: string; request: string; workspace: string }> {
  const account = randomUUIDv7();
  const tail = account.slice(-12);
  const who = { account, workspace: randomUUIDv7(), name: `${CANARY}_${tail}`, email: `${CANARY}${tail}@e.test` };
  await sql(
    `insert into account (id, name, name_key, email, email_key, email_verified, full_name, password, password_at, created, created_by, last_login,
        bio, avatar_url, preferences, settings)
      values ($1, $2, $2, $3, $3, now(), 'canary', 'canary', now(), now(), 'public', now(), 'canary', 'canary', '{"a":"canary"}', '{"a":"canary"}')`,
    ...[account, who.name, who.email],
  );
  await placesOf(who);
  await proofsOf(who);
  await tracesOf(who);
  const accepted = await acceptErasure(db, { account, by: `user:${account}` });
  if (typeof accepted === 'string' || !('request' in accepted)) throw new Error(JSON.stringify(accepted));
  return { account, request: accepted.request.id, workspace: who.workspace };
}

/** Columns in which something of a person is found: their id, or what they have written. */
async function found(account: string): Promise<string[]> {
  const places: string[] = [];
  for (const { t, c } of await columns()) {
    const [row] = await sql<{ n: number }>(
      `select count(*)::int as n from ${t} where ${c}::text like '%' || $1 || '%' or ${c}::text ilike '%canary%'`,
      account,
    );
    if (row && row.n > 0) places.push(`${t}.${c}`);
  }
  return places;
}

const STEPS = ['access', 'proofs', 'traces', 'names'] as const;
type Output = { removed: Record<string, number>; kept?: unknown };
const system = (key: string, run = randomUUID()) => anExecution({ workspace: SYSTEM_WORKSPACE, runId: run, key });
const step = (of: { request: string; step: string }, execution = system(randomUUID())) =>
  createPersonErase({ db })(of, execution) as Promise<Output>;

test('all that is named as removed goes, what is found afterwards is named as kept, and the report says both', async () => {
  const { account, request, workspace } = await somebody();
  const named = (which: 'removed' | 'kept') =>
    Object.entries(PERSONAL_DATA).flatMap(([table, said]) =>
      (which === 'removed' ? [said.removed ?? ''] : Object.values(said.kept ?? {}))
        .flatMap((list) => list.split(' '))
        .map((name) => `${table}.${name}`),
    );
  // something of them is in every table that something goes of
  const before = await found(account);
  expect(before).toEqual(
    expect.arrayContaining(['account.email', 'membership.account', 'passkey.name', 'idempotency.response', 'invitation.email']),
  );
  const run = randomUUID();
  const outputs: Output[] = [];
  for (const name of STEPS) outputs.push(await step({ request, step: name }, system(`${run}/${name}`, run)));
  const after = await found(account);
  // in place of the name stands that there was one, by its id
  expect(after.filter((place) => !named('kept').includes(place))).toEqual(['account.name_key']);
  expect(outputs.map(({ removed }) => removed)).toEqual([
    { api_key: 1, membership: 2, project_member: 1, refresh_token: 1, session: 1, workspace: 1 },
    {
      account_identity: 1,
      auth_try: 7,
      device_grant: 1,
      known_device: 1,
      one_time: 3,
      passkey: 1,
      rate_bucket: 2,
      recovery_code: 1,
      totp: 1,
    },
    { idempotency: 1, invitation: 1, person_request: 1 },
    { account: 1 },
  ]);
  expect(outputs.at(-1)?.kept).toEqual(keptOfPerson());
  expect(
    await sql(
      'select name, status, done is not null as done from account a join person_request q on q.account = a.id where a.id = $1',
      account,
    ),
  ).toEqual([{ name: 'erased', status: 'erased', done: true }]);
  expect(await sql(`select 1 from artifact_ref where holder like 'person_request:%'`)).toEqual([]);
  expect(await sql('select outcome from invitation where workspace = $1', workspace)).toEqual([
    { outcome: 'revoked' },
    { outcome: 'revoked' },
  ]);
  // of their workspaces the one that nobody else is in closes
  expect(await sql(`select count(*)::int as n from workspace where closing is not null`)).toEqual([{ n: 1 }]);
  expect(await sql(`select closing from workspace where id = $1`, workspace)).toEqual([{ closing: null }]);
});

test('a step that is cut off at any statement does all or nothing, and repeated it does nothing more', async () => {
  const { request } = await somebody();
  const run = randomUUID();
  const outputs: Output[] = [];
  for (const name of STEPS) {
    const execution = system(`${run}/${name}`, run);
    for (let fail = 1, lost = true; lost; fail++) {
      let calls = 0;
      const connect = async () => {
        const client = await db.pool.connect();
        const query = client.query.bind(client) as (...given: unknown[]) => unknown;
        return {
          query: (...given: unknown[]) => (++calls === fail ? Promise.reject(new Error('cut off')) : query(...given)),
          release: () => {
            client.release(true);
          },
        };
      };
      const pool = { connect } as unknown as typeof db.pool;
      lost = await (createPersonErase({ db: { rows: db.rows, pool } })({ request, step: name }, execution) as Promise<Output>).then(
        () => false,
        (error: unknown) => String(error).includes('cut off'),
      );
    }
    const once = await step({ request, step: name }, execution);
    outputs.push(once);
    expect(await step({ request, step: name }, execution)).toEqual(once);
  }
  expect(outputs.map(({ removed }) => removed)).toMatchObject([
    { membership: 2, session: 1 },
    { auth_try: 7 },
    { idempotency: 1 },
    { account: 1 },
  ]);
});

test('what nobody has asked for is not done, nor in another workspace', async () => {
  const { request } = await somebody();
  await expect(step({ request: randomUUID(), step: 'access' })).rejects.toMatchObject({ code: 'not_found' });
  await expect(step({ request, step: 'all' })).rejects.toMatchObject({ code: 'not_found' });
  await expect(async () => createPersonErase({ db })({ request, step: 'names' }, anExecution())).rejects.toMatchObject({
    code: 'forbidden',
  });
});

test('who has become the last owner since it was accepted keeps a place that lets nobody in', async () => {
  const { account, request, workspace } = await somebody();
  await sql(
    `update account set status = 'disabled' where id in (select account from membership where workspace = $1 and account <> $2)`,
    workspace,
    account,
  );
  expect((await step({ request, step: 'access' })).removed).toMatchObject({ membership: 1 });
  expect(await sql('select role from membership where account = $1', account)).toEqual([{ role: 'owner' }]);
});
