import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { writeAudit } from '../../src/db/audit.ts';
import type { OrmDatabase } from '../../src/db/database.ts';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { createRefusals } from '../../src/api/auth/refusals.ts';
import { keyActor } from '../../src/domain/access/can.ts';
import { Problem } from '../../src/domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { tiu as inProcess } from '../cli/aTerminal.ts';
import { sealAll } from '../support/anAuditChain.ts';
import { anAccount, signIn, TOKEN_KEYS } from './auth/aPerson.ts';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
let reader: string;
let system: string;
let owner: OrmDatabase;
let clock: () => number;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_AUDIT_SCAN: '50', TIU_AUDIT_KEYS: `k1:${Buffer.alloc(32, 3).toString('base64')}` });
  owner = await api.base.open('tiu_owner', 2);
  ({ clock } = api.deps);
  const aKey = async (workspace: string, scopes: Parameters<typeof createApiKey>[1]['scopes']) =>
    (await createApiKey(api.deps.db, { workspace, name: 'k', scopes, by: 'test' })).key;
  reader = await aKey(api.owner.workspace, ['runs:read']);
  await owner.pool.query(`insert into workspace (id, name, created) values ($1, 'tiu.system', now()) on conflict do nothing`, [
    SYSTEM_WORKSPACE,
  ]);
  system = await aKey(SYSTEM_WORKSPACE, ['audit:read']);
});
afterAll(() => api.stop());

type Row = {
  workspace: string;
  actor: string;
  action: string;
  subject: string;
  code: string;
  request: string;
  address: string;
  data: object | null;
};
const refused = async () => {
  await api.deps.refusals.flush();
  const text = `select * from audit where result = 'refused' or action = 'audit.dropped' order by at, id`;
  return api.deps.db.rows<Row>({ name: 'refused', text, values: [] });
};
beforeEach(async () => {
  api.deps.clock = clock;
  await api.deps.refusals.flush();
  await owner.pool
    .query(`truncate audit, audit_seal, audit_checkpoint; update audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex'),
    xid = '0', id = '00000000-0000-0000-0000-000000000000', at = null, key = null, signature = null`);
});
const seal = () => sealAll(api.deps.db, api.deps.auditKeys);
const CANCEL = '/api/v1/runs/01890000-0000-7000-8000-000000000001/cancel';

test('what a key may not is refused, and the audit says who, what, to what, from where and in which request', async () => {
  const answer = await api.call('POST', CANCEL, { key: reader, body: {}, headers: { 'x-request-id': 'my-request' } });
  expect(answer.status).toBe(403);
  expect(await refused()).toMatchObject([
    {
      ...{ workspace: api.owner.workspace, actor: expect.stringMatching(/^key:/), action: 'run.cancel', code: 'forbidden' },
      ...{ subject: 'run:01890000-0000-7000-8000-000000000001', request: 'my-request', address: '127.0.0.1', data: null },
    },
  ]);
});

test('what is done says the same of its request', async () => {
  await api.call('POST', '/api/v1/runs', {
    body: { definition: { dsl: 'tiu/1', name: 'a', tasks: { a: { type: 'transform', with: { value: 1 } } } } },
    headers: { 'idempotency-key': 'k', 'x-request-id': 'start' },
  });
  await api.call('POST', '/api/v1/api-keys', { body: { name: 'n', scopes: ['runs:read'] }, headers: { 'x-request-id': 'key' } });
  await api.call('POST', '/api/v1/workflows', {
    body: { dsl: 'tiu/1', name: 'b', tasks: { a: { type: 'transform', with: { value: 1 } } } },
    headers: { 'x-request-id': 'store' },
  });
  const run = (await api.deps.db.pool.query<{ id: string }>('select id from run limit 1')).rows[0]?.id;
  await api.call('POST', `/api/v1/runs/${run}/cancel`, { body: {}, headers: { 'x-request-id': 'cancel' } });
  const { rows } = await api.deps.db.pool.query('select action, request, address, result from audit order by at, id');
  const from = { address: '127.0.0.1', result: 'done' };
  expect(rows).toEqual(
    expect.arrayContaining([
      { action: 'run.start', request: 'start', ...from },
      { action: 'key.create', request: 'key', ...from },
      { action: 'workflow.store', request: 'store', ...from },
      { action: 'run.cancel', request: 'cancel', ...from },
    ]),
  );
});

test('one who shows a bad key is one row with a count, one who shows nothing none, and what nobody has none either', async () => {
  for (let i = 0; i < 20; i++) await api.call('GET', '/api/v1/runs', { key: `tiu_bad${i}` });
  await api.call('GET', '/api/v1/runs', { key: null });
  await api.call('GET', '/api/v1/runs/01890000-0000-7000-8000-000000000001');
  const rows = await refused();
  expect(rows).toMatchObject([
    { workspace: SYSTEM_WORKSPACE, actor: 'unknown', action: 'auth.token_refused', subject: 'address:127.0.0.1', code: 'unauthenticated' },
  ]);
  expect(rows[0]?.data).toMatchObject({ count: 20 });
});

test('of more refusals than may be written in a minute there is a number, and strangers take nothing from others', async () => {
  const actor = { ...keyActor({ id: '1', workspace: api.owner.workspace, scopes: [] }) };
  let time = Date.UTC(2026, 10, 29);
  const refusals = createRefusals({ ...api.deps, clock: () => time }, 5);
  const origin = { request: null, address: '10.0.0.1' };
  const note = (i: number, who: typeof actor | undefined) => {
    refusals.note(
      { actor: who, action: 'secret.delete', object: `secret:${i}`, origin: { ...origin, address: `10.0.0.${i}` } },
      new Problem(who ? 'forbidden' : 'unauthenticated'),
    );
  };
  for (let i = 0; i < 50; i++) note(i, undefined);
  for (let i = 0; i < 7; i++) note(i, actor);
  await refusals.flush();
  const rows = await refused();
  expect(rows.filter(({ action }) => action === 'secret.delete')).toHaveLength(5);
  expect(rows.filter(({ action }) => action === 'auth.token_refused')).toHaveLength(5);
  expect(rows.find(({ action }) => action === 'audit.dropped')?.data).toMatchObject({ count: 47 });
  expect(await api.deps.metrics.registry.getSingleMetricAsString('tiu_audit_dropped_total')).toMatch(/tiu_audit_dropped_total 47$/m);
  time += 60_000;
  note(9, actor);
  await refusals.close();
  expect((await refused()).filter(({ subject }) => subject === 'secret:9')).toHaveLength(1);
});

const some = (n: number, more: object = {}) =>
  writeAudit(
    api.deps.db,
    Array.from({ length: n }, (_, i) => ({
      workspace: api.owner.workspace,
      actor: 'key:1',
      action: 'role.changed',
      object: `account:${i}`,
      ...more,
    })),
  );
type Page = { items: { seq: number; object: { id: string }; action: string }[]; nextCursor: string | null };
const get = async (query = '', options: object = {}) => (await api.call('GET', `/api/v1/audit${query}`, options)).body as Page;

test('entries are listed newest first, a page after the other, of the own workspace alone', async () => {
  await some(7);
  await some(2, { workspace: api.stranger.workspace });
  await seal();
  const first = await get('?limit=5');
  const second = await get(`?limit=5&cursor=${first.nextCursor}`);
  expect([...first.items, ...second.items].map(({ seq }) => seq)).toEqual([7, 6, 5, 4, 3, 2, 1]);
  expect(second.nextCursor).toBeNull();
  expect((await get('', { key: api.stranger.key })).items).toHaveLength(2);
  expect((await api.call('GET', '/api/v1/audit', { key: reader })).status).toBe(403);
  expect((await api.call('GET', '/api/v1/audit?cursor=x')).body).toMatchObject({ code: 'invalid_request' });
});

test('filters, also of what is rare: a page looks through so many and says where to go on', async () => {
  await some(1, { action: 'session.ended', object: 'session:s', actor: 'user:7' });
  await some(60);
  await some(1, { action: 'role.changed_again', refused: 'forbidden' });
  await seal();
  const rare = await get('?action=session');
  expect(rare.items).toEqual([]);
  expect(await get(`?action=session&cursor=${rare.nextCursor}`)).toMatchObject({ items: [{ action: 'session.ended' }], nextCursor: null });
  const all = async (query: string) => (await get(`${query}&limit=200`)).items.length;
  expect(await all('?action=role.changed')).toBe(60);
  expect(await all('?result=refused')).toBe(1);
  expect(await all('?object=account:3')).toBe(1);
  expect(await all('?object=account')).toBe(61);
  expect(await all('?actor=user:8')).toBe(0);
  expect(await get('?since=2999-01-01T00:00:00Z')).toEqual({ items: [], nextCursor: null });
  expect(await all('?until=2999-01-01T00:00:00Z')).toBe(62);
});

test('a person sees what was done by and to them, and nothing else', async () => {
  const account = await anAccount(api.deps.db, { [api.owner.workspace]: 'viewer' });
  const other = await anAccount(api.deps.db, { [api.owner.workspace]: 'viewer' });
  const { accessToken } = await signIn(api.deps, account);
  await some(2, { workspace: SYSTEM_WORKSPACE, object: `user:${account}`, actor: 'user:1', action: 'password.changed' });
  await some(1, { workspace: SYSTEM_WORKSPACE, object: `user:${other}`, actor: 'user:1', action: 'password.changed' });
  await some(1, { workspace: SYSTEM_WORKSPACE, object: 'session:x', actor: `user:${account}`, action: 'session.ended' });
  await some(1, { workspace: SYSTEM_WORKSPACE, object: 'run:x', actor: `user:${account}`, action: 'run.start' });
  await seal();
  const answer = await api.call('GET', '/api/v1/auth/me/events', { key: accessToken });
  expect((answer.body as Page).items.map(({ action }) => action)).toEqual([
    'session.ended',
    'password.changed',
    'password.changed',
    'auth.login',
  ]);
  expect((await api.call('GET', '/api/v1/auth/me/events')).status).toBe(403);
});

test('nothing that a secret could stand in reaches the audit', async () => {
  const planted = ['hunter2-planted', 'tiu_planted', 'tiur_planted', '$argon2id$planted', 'planted@example.org'];
  const hidden = { password: planted[0], token: planted[1], refreshToken: [planted[2]], passwordHash: planted[3], email: planted[4] };
  const values = { role: 'admin', version: 3, nested: { ...hidden, scopes: ['runs:read'] }, ...hidden } as never;
  await some(1, { data: values, before: values, after: values });
  await api.call('POST', '/api/v1/api-keys', { body: { name: 'n', scopes: ['runs:read'] } });
  const { rows } = await api.deps.db.pool.query<{ text: string }>('select a::text as text from audit a');
  const all = rows.map(({ text }) => text).join('\n');
  for (const secret of [...planted, 'planted']) expect(all).not.toContain(secret);
  expect(all).toContain('runs:read');
  expect(all).toContain('[not recorded]');
});

test('CSV and NDJSON show no control characters, and CSV says where the chain ends', async () => {
  await some(1, { actor: 'key:\u001b[31m\u202ered\u0085\r\n=1+1', data: { name: '\u001b]0;title\u0007' } });
  await some(1, { workspace: api.stranger.workspace });
  await seal();
  const table = await api.call('GET', '/api/v1/audit/export?format=csv');
  expect(table.text.split('\r\n')).toHaveLength(3);
  expect(table.text).toContain('key:\\u001b[31m\\u202ered\\u0085\\u000d\\u000a=1+1');
  expect(table.headers.get('tiu-audit-head')).toMatch(/^2 [0-9a-f]{64} k1 [\w-]{86}$/);
  const lines = (await api.call('GET', '/api/v1/audit/export')).text;
  // eslint-disable-next-line no-control-regex -- these are what it is about
  for (const text of [table.text, lines]) expect(text).not.toMatch(/[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e]/);
  const entries = lines.split('\n').filter((line) => line.includes('"seq":2'));
  expect(entries.at(-1)).toContain('"leaf"');
});

test('tiu audit verify finds everything whole, then what was changed, and with a checkpoint kept apart what was cut', async () => {
  await some(5);
  await some(5, { workspace: api.stranger.workspace });
  await seal();
  const tiu = (key: string, ...args: string[]) => inProcess(['audit', ...args], { env: { TIU_URL: api.url, TIU_TOKEN: key } });
  for (const key of [api.owner.key, system])
    expect(await tiu(key, 'verify')).toMatchObject({ code: 0, out: 'entries 1 to 10: all 10 are as they were written\n' });
  const file = path.join(api.folder, 'checkpoint.json');
  fs.writeFileSync(file, (await tiu(system, 'checkpoint')).out);
  await some(3);
  await seal();
  expect(await tiu(system, 'verify', '--checkpoint', file)).toMatchObject({ code: 0 });
  await owner.pool.query(`update audit set actor = 'key:2' where id = (select id from audit_seal where seq = 7)`);
  for (const key of [api.owner.key, system])
    expect(await tiu(key, 'verify')).toMatchObject({ code: 1, out: 'entries 1 to 13: entry 7: entry_changed\n' });
  await owner.pool.query('truncate audit, audit_seal, audit_checkpoint');
  await owner.pool.query(
    `update audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex'), xid = '0', id = '00000000-0000-0000-0000-000000000000'`,
  );
  await some(10);
  await seal();
  expect(await tiu(system, 'verify')).toMatchObject({ code: 0 });
  expect(await tiu(system, 'verify', '--checkpoint', file)).toMatchObject({
    code: 1,
    out: 'entries 1 to 10: entry 1: checkpoint_differs\n',
  });
  expect((await tiu(system, 'verify', '--checkpoint', '/nowhere')).code).toBe(2);
});
