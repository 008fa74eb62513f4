import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { writeAudit } from '../../src/db/audit.ts';
import { adoptEntries, readHead, readUnsealed } from '../../src/db/auditChain.ts';
import type { OrmDatabase } from '../../src/db/database.ts';
import { openAuditKeys } from '../../src/providers/auditKeys/auditKeys.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { sealBatch, startAuditSealer } from '../../src/worker/auditSealer.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aSealer, isPending, sealAll, verifyDatabase } from '../support/anAuditChain.ts';
import { until } from '../support/until.ts';

const keys = openAuditKeys({ TIU_AUDIT_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` });
const others = openAuditKeys({ TIU_AUDIT_KEYS: `k1:${Buffer.alloc(32, 2).toString('base64')}` });

let base: TestDatabase;
let db: OrmDatabase;
let owner: OrmDatabase;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  owner = await base.open('tiu_owner', 2);
});
afterAll(() => base.drop());
afterEach(async () => {
  await owner.pool
    .query(`truncate audit, audit_seal, audit_checkpoint; update audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex'),
    xid = '0', id = '00000000-0000-0000-0000-000000000000', at = null, key = null, signature = null`);
});

const workspace = randomUUID();
const some = (n: number) =>
  writeAudit(
    db,
    Array.from({ length: n }, (_, i) => ({ workspace, actor: 'key:1', action: 'test.done', object: `thing:${i}`, after: { version: i } })),
  );
const sealed = async () =>
  (
    await db.pool.query<{ seq: string; subject: string }>(
      'select s.seq, a.subject from audit_seal s join audit a using (id) order by s.seq',
    )
  ).rows;
const verdict = () => verifyDatabase(db, keys.publicKeys);

test('rows get numbers without a gap, in batches, and the chain holds', async () => {
  await some(25);
  await sealAll(db, keys, { keep: true, limit: 10 });
  expect((await sealed()).map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
  expect(await verdict()).toEqual({ entries: 25, from: 1, through: 25, fault: null, signed: true });
});

test('a row of a transaction that is still open holds up those after it, and none is left out', async () => {
  const client = await owner.pool.connect();
  await client.query('begin');
  const insert = `insert into audit (id, workspace, actor, action, subject, at) values ($1, $2, 'a', 'b', 'thing:early', now())`;
  await client.query(insert, [randomUUIDv7(), workspace]);
  await some(3);
  expect(await sealBatch(aSealer(db, keys), { keep: false, limit: 10 })).toBe(0);
  await client.query('commit');
  client.release();
  await sealAll(db, keys);
  const [first, ...rest] = (await sealed()).map(({ subject }) => subject);
  expect([first, ...rest.sort()]).toEqual(['thing:early', 'thing:0', 'thing:1', 'thing:2']);
  expect(await verdict()).toMatchObject({ entries: 4, fault: null });
});

test('two sealers: of each batch one writes, and the chain is the same as of one', async () => {
  await some(400);
  const seal = async (): Promise<number> => {
    let lost = 0;
    for (;;) {
      const n = await sealBatch(aSealer(db, keys), { keep: false, limit: 5 });
      if (n === 0 && !(await isPending(db))) return lost;
      if (n === undefined) lost += 1;
    }
  };
  const lost = await Promise.all([seal(), seal(), seal()]);
  expect(lost.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0);
  expect(await verdict()).toMatchObject({ entries: 400, fault: null });
});

test('a sealer that found an older head writes nothing', async () => {
  await some(2);
  const held = await readHead(db);
  let rows = await readUnsealed(db, 1);
  while (rows.length === 0) rows = await readUnsealed(db, 1); // transactions of other suites hold them up
  const stale = { rows: (statement: { name: string }) => Promise.resolve(statement.name === 'audit_head' ? [held] : rows) };
  await sealAll(db, keys);
  const slow = aSealer({ rows: ((given) => (given.name === 'audit_seal' ? db.rows(given) : stale.rows(given))) as typeof db.rows }, keys);
  expect(await sealBatch(slow, { keep: true, limit: 1 })).toBeUndefined();
  expect(await verdict()).toMatchObject({ entries: 2, fault: null });
});

test('nobody but the owner changes or takes away what was written', async () => {
  await some(3);
  await sealAll(db, keys);
  for (const table of ['audit', 'audit_seal', 'audit_checkpoint', 'audit_head']) {
    for (const sql of [`update ${table} set workspace = workspace`, `delete from ${table}`, `truncate ${table}`]) {
      await expect(db.pool.query(sql)).rejects.toMatchObject({ code: '42501' });
      await owner.pool.query(`grant update, delete, truncate on ${table} to tiu_engine`);
      await expect(db.pool.query(sql)).rejects.toMatchObject({ code: '42501', message: expect.stringContaining('append-only') });
      await owner.pool.query(`revoke update, delete, truncate on ${table} from tiu_engine`);
    }
  }
  await expect(
    db.pool.query(`insert into audit_seal select seq + 100, workspace, gen_random_uuid(), hash from audit_seal`),
  ).rejects.toMatchObject({
    code: '42501',
  });
});

test('the owner of the function alone cuts, and only what is old and sealed', async () => {
  await some(3);
  await sealAll(db, keys);
  const { seq, hash } = await readHead(db);
  const cut = (before: string, at = seq, of = hash) =>
    db.pool.query(`select audit_cut_v1($1, decode($2, 'hex'), ${before}, now(), null, null)`, [at, of]);
  await expect(cut('now()')).rejects.toMatchObject({ code: 'TU403' });
  await expect(cut(`now() - interval '2 days'`)).rejects.toMatchObject({ code: 'TU403' });
  await expect(cut(`now() - interval '2 days'`, 2, 'ab'.repeat(32))).rejects.toMatchObject({ code: 'TU403' });
  expect(await verdict()).toMatchObject({ entries: 3, fault: null });
});

test('signed by another key, or not at all, it does not hold', async () => {
  await some(3);
  await sealAll(db, others);
  expect(await verdict()).toMatchObject({ fault: { seq: 3, reason: 'not_signed' } });
  await some(1);
  await sealAll(db, openAuditKeys({}), { keep: false, limit: 10 });
  expect((await verdict()).fault?.reason).toBe('not_signed');
  expect(await verifyDatabase(db, [])).toMatchObject({ entries: 4, fault: null, signed: false });
});

test('one worker has the duty; another goes on when it has gone', async () => {
  const start = () => startAuditSealer({ ...aSealer(db, keys), clock: systemClock, worker: randomUUID() }, 60_000);
  const [first, second] = [start(), start()];
  await some(5);
  await until(async () => (await readHead(db)).seq === 5);
  await first.stop();
  await some(5);
  await until(async () => (await readHead(db)).seq === 10);
  await second.stop();
  expect(await verdict()).toMatchObject({ entries: 10, fault: null });
});

test('after a restore, where numbers of transactions begin anew, what was not sealed is sealed and new rows follow', async () => {
  await some(4);
  await sealAll(db, keys, { keep: true, limit: 3 });
  await some(2);
  // as if dump and restore had brought them here: numbers far beyond those of this cluster
  await owner.pool.query(`update audit set xid = (xid::text::bigint + 1000000000)::text::xid8;
    update audit_head set xid = (xid::text::bigint + 1000000000)::text::xid8`);
  await some(3);
  expect(await sealBatch(aSealer(db, keys), { keep: false, limit: 10 })).toBe(0);
  expect(await adoptEntries(db)).toBe(2);
  expect(await adoptEntries(db)).toBeNull();
  await sealAll(db, keys);
  expect(await verdict()).toMatchObject({ entries: 9, fault: null });
});
