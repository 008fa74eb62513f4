import { randomUUIDv7 } from 'node:crypto';
import os from 'node:os';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PoolClient } from 'pg';
import { readHead, readLinks } from '../../src/db/auditChain.ts';
import type { Database, OrmDatabase } from '../../src/db/database.ts';
import { leafOf, linkOf, type Checkpoint, type SealedEntry } from '../../src/domain/audit/entry.ts';
import type { Verdict } from '../../src/domain/audit/verify.ts';
import { openAuditKeys, sha256 } from '../../src/providers/auditKeys/auditKeys.ts';
import { aRandom } from '../support/aGraph.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { sealAll, verifyDatabase } from '../support/anAuditChain.ts';

const keys = openAuditKeys({ TIU_AUDIT_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` });
const ATTACKS = 1_000;
const ENTRIES = 120;
/** A checkpoint stays in the database after so many. */
const BATCH = 16;

let base: TestDatabase;
let superuser: OrmDatabase;
/** What was kept apart from the database. */
let apart: Checkpoint;
beforeAll(async () => {
  base = await aDatabase();
  superuser = await base.open('tiu_owner', 2);
  await fill(ENTRIES);
  await sealAll(superuser, keys, { keep: true, limit: BATCH });
  apart = await readHead(superuser);
});
afterAll(() => base.drop());

const fill = (n: number) =>
  superuser.pool.query(
    `insert into audit (id, workspace, actor, action, subject, data, before, after, request, address, at)
      select uuidv7_of(g), gen_random_uuid(), 'user:' || g % 7, 'role.changed', 'account:' || g, '{"why":"because"}', '{"role":"viewer"}', '{"role":"admin"}', 'r' || g, '10.0.0.1', now()
      from generate_series(1, $1) g`.replace(
      'uuidv7_of(g)',
      `(lpad(to_hex(1700000000000 + g), 12, '0') || '7abc8' || lpad(to_hex(g), 15, '0'))::uuid`,
    ),
    [n],
  );

/** Sees what the attack of a transaction has left. */
const seenBy = (client: PoolClient): Pick<Database, 'rows'> => ({
  rows: async (statement) => (await client.query({ text: statement.text, values: [...statement.values] })).rows as never,
});

type Attack = { name: string; act: (client: PoolClient, seq: number, random: () => number) => Promise<unknown>; at?: 'seq' | 'some' };
const run = (client: PoolClient, text: string, ...values: unknown[]) => client.query(text, values);
const idOf = '(select id from audit_seal where seq = $1)';

/** Makes the hashes from here to the end right again, as somebody does who knows how they are made but has no key. */
async function rehash(client: PoolClient, from: number): Promise<void> {
  const links = await readLinks(seenBy(client), { after: from - 2, through: 1e9, limit: 1e6 });
  let previous = from === 1 ? '0'.repeat(64) : (links[0]?.hash ?? '');
  for (const link of links.filter(({ seq }) => seq >= from)) {
    previous = linkOf(sha256, { seq: link.seq, previous, leaf: leafOf(sha256, link.entry as SealedEntry) });
    await run(client, `update audit_seal set hash = decode($2, 'hex') where seq = $1`, link.seq, previous);
  }
  await run(
    client,
    `update audit_head set hash = (select hash from audit_seal order by seq desc limit 1), seq = (select max(seq) from audit_seal)`,
  );
}
const renumber = async (client: PoolClient, from: number, by: number) => {
  await run(client, 'update audit_seal set seq = -seq where seq >= $1', from);
  await run(client, 'update audit_seal set seq = -seq + $1 where seq < 0', by);
};
const drop = async (client: PoolClient, seq: number) => {
  await run(client, `delete from audit where id = ${idOf}`, seq);
  await run(client, 'delete from audit_seal where seq = $1', seq);
};
const insert = `insert into audit (id, workspace, actor, action, subject, at, xid) values ($1, gen_random_uuid(), 'user:1', 'role.changed', 'account:x', now(), '1')`;

const COLUMNS = {
  ...{
    id: 'gen_random_uuid()',
    workspace: 'gen_random_uuid()',
    actor: `actor || ' '`,
    action: `'role.granted'`,
    subject: `upper(subject)`,
  },
  ...{ data: `'{"why": "because"}'`, before: 'null', after: `'{"role":"owner"}'`, result: `'refused'`, code: `'forbidden'`, request: `''` },
  ...{ address: `'10.0.0.2'`, at: `at + interval '1 ms'` },
};
const ATTACK_LIST: Attack[] = [
  ...Object.entries(COLUMNS).map(([column, value]): Attack => ({
    name: `edit of ${column}`,
    act: (client, seq) => run(client, `update audit set ${column} = ${value} where id = ${idOf}`, seq),
    at: column === 'id' ? 'some' : 'seq', // an id by chance may stand before all others
  })),
  { name: 'edit of a hash', act: (client, seq) => run(client, `update audit_seal set hash = sha256(hash) where seq = $1`, seq), at: 'seq' },
  {
    name: 'edit with all hashes after it',
    act: async (client, seq) => {
      await run(client, `update audit set actor = 'user:x' where id = ${idOf}`, seq);
      await rehash(client, seq);
    },
  },
  {
    name: 'edit with all hashes, and no checkpoints any more',
    act: async (client, seq) => {
      await run(client, `update audit set actor = 'user:x' where id = ${idOf}`, seq);
      await rehash(client, seq);
      await run(client, 'delete from audit_checkpoint');
    },
  },
  { name: 'cut of a row', act: (client, seq) => run(client, `delete from audit where id = ${idOf}`, seq), at: 'seq' },
  { name: 'cut of a place', act: (client, seq) => run(client, 'delete from audit_seal where seq = $1', seq), at: 'some' },
  { name: 'cut of both', act: drop, at: 'seq' },
  {
    name: 'cut, the rest moved up',
    act: async (client, seq) => {
      await drop(client, seq);
      await renumber(client, seq, -1);
    },
    at: 'seq',
  },
  {
    name: 'cut, the rest moved up and made anew',
    act: async (client, seq) => {
      await drop(client, seq);
      await renumber(client, seq, -1);
      await rehash(client, seq);
      await run(client, 'delete from audit_checkpoint');
    },
  },
  {
    name: 'cut of the tail',
    act: async (client, seq) => {
      await run(client, 'delete from audit where id in (select id from audit_seal where seq >= $1)', seq);
      await run(client, 'delete from audit_seal where seq >= $1', seq);
    },
    at: 'seq',
  },
  {
    name: 'cut of the tail, with a head of its own',
    act: async (client, any) => {
      const seq = Math.min(any, ENTRIES - 1);
      await run(client, 'delete from audit where id in (select id from audit_seal where seq > $1)', seq);
      await run(client, 'delete from audit_seal where seq > $1', seq);
      await run(client, 'delete from audit_checkpoint where seq > $1', seq);
      await run(client, 'update audit_head set seq = $1, hash = coalesce((select hash from audit_seal where seq = $1), hash)', seq);
    },
  },
  {
    name: 'cut of the tail back to a checkpoint that was signed',
    act: async (client) => {
      await run(client, 'delete from audit where id in (select id from audit_seal where seq > 32)');
      await run(client, 'delete from audit_seal where seq > 32');
      await run(client, 'delete from audit_checkpoint where seq > 32');
      await run(
        client,
        'update audit_head h set (seq, hash, at, key, signature) = (select c.seq, c.hash, c.at, c.key, c.signature from audit_checkpoint c where c.seq = 32)',
      );
    },
  },
  {
    name: 'cut of everything',
    act: async (client) => {
      await run(client, `truncate audit, audit_seal, audit_checkpoint`);
      await run(client, `update audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex'), signature = null, key = null`);
    },
  },
  {
    name: 'cut of the beginning, as retention does it',
    act: async (client, seq) => {
      const kept = Math.ceil(seq / BATCH) * BATCH;
      await run(client, 'delete from audit where id in (select id from audit_seal where seq <= $1)', kept);
      await run(
        client,
        `insert into audit_checkpoint (seq, kind, hash, at, key, signature) select c.seq, 'cut', c.hash, c.at, c.key, c.signature from audit_checkpoint c where c.seq = $1`,
        Math.min(kept, Math.floor(ENTRIES / BATCH) * BATCH),
      );
      await run(client, 'delete from audit_seal where seq <= $1', kept);
    },
  },
  {
    name: 'swap of two places',
    act: async (client, seq, random) => {
      const other = 1 + ((seq + Math.floor(random() * (ENTRIES - 1))) % ENTRIES);
      await run(client, 'update audit_seal set seq = -$1::bigint where seq = $1', seq);
      await run(client, 'update audit_seal set seq = $1 where seq = $2', seq, other);
      await run(client, 'update audit_seal set seq = $1 where seq = -$2::bigint', other, seq);
    },
    at: 'some',
  },
  {
    name: 'swap of what two rows say',
    act: (client, seq) =>
      run(
        client,
        `update audit a set actor = b.actor, subject = b.subject, request = b.request from audit b where a.id = ${idOf} and b.id = (select id from audit_seal where seq = $1 % ${ENTRIES} + 1)`,
        seq,
      ),
    at: 'seq',
  },
  { name: 'insertion of a row without a place', act: (client) => run(client, insert, randomUUIDv7()) },
  {
    name: 'insertion in between',
    act: async (client, seq) => {
      const id = randomUUIDv7();
      await run(client, insert, id);
      await renumber(client, seq, 1);
      await run(
        client,
        `insert into audit_seal (seq, workspace, id, hash) select $1, workspace, id, sha256('x') from audit where id = $2`,
        seq,
        id,
      );
      await rehash(client, seq);
    },
  },
  {
    name: 'insertion at the end, with a head of its own',
    act: async (client) => {
      const id = randomUUIDv7();
      await run(client, insert, id);
      await run(
        client,
        `insert into audit_seal (seq, workspace, id, hash) select $1, workspace, id, sha256('x') from audit where id = $2`,
        ENTRIES + 1,
        id,
      );
      await rehash(client, ENTRIES + 1);
    },
  },
  {
    name: 'insertion at the end, behind the head',
    act: async (client) => {
      const id = randomUUIDv7();
      await run(client, insert, id);
      await run(
        client,
        `insert into audit_seal (seq, workspace, id, hash) select $1, workspace, id, sha256('x') from audit where id = $2`,
        ENTRIES + 1,
        id,
      );
    },
  },
  { name: 'a head without its signature', act: (client) => run(client, 'update audit_head set signature = null, key = null') },
  {
    name: 'a head signed by nobody',
    act: (client) => run(client, `update audit_head set signature = set_byte(signature, 3, get_byte(signature, 3) # 1)`),
  },
];

async function attacked(attack: Attack, seq: number, random: () => number): Promise<Verdict> {
  const client = await superuser.pool.connect();
  try {
    await client.query('begin');
    await attack.act(client, seq, random);
    return await verifyDatabase(seenBy(client), keys.publicKeys, [apart]);
  } finally {
    await client.query('rollback');
    client.release();
  }
}

test('untouched, the chain holds', async () => {
  expect(await verifyDatabase(superuser, keys.publicKeys, [apart])).toEqual({
    entries: ENTRIES,
    from: 1,
    through: ENTRIES,
    fault: null,
    signed: true,
  });
});

test(`${ATTACKS} edits, cuts, swaps and insertions by a superuser are all found`, async () => {
  const random = aRandom(20_261_129);
  const missed: string[] = [];
  for (let i = 0; i < ATTACKS; i++) {
    const attack = ATTACK_LIST[i % ATTACK_LIST.length] as Attack;
    const seq = 1 + Math.floor(random() * ENTRIES);
    const { fault } = await attacked(attack, seq, random);
    const named = fault !== null && (attack.at !== 'seq' || fault.seq === seq);
    if (!named) missed.push(`${attack.name} at ${seq}: ${JSON.stringify(fault)}`);
  }
  expect(missed).toEqual([]);
}, 300_000);

test('100,000 entries are verified', async () => {
  await superuser.pool.query('truncate audit, audit_seal, audit_checkpoint');
  await superuser.pool.query(
    `update audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex'), xid = '0', id = '00000000-0000-0000-0000-000000000000'`,
  );
  await fill(100_000);
  const sealing = performance.now();
  await sealAll(superuser, keys, { keep: false, limit: 1_000 });
  const from = performance.now();
  const cpu = process.cpuUsage();
  expect(await verifyDatabase(superuser, keys.publicKeys)).toMatchObject({ entries: 100_000, fault: null });
  const [sealMs, ms] = [from - sealing, performance.now() - from].map(Math.round);
  const { user, system } = process.cpuUsage(cpu);
  process.stdout.write(
    `audit: 100,000 entries sealed in ${sealMs} ms, verified in ${ms} ms, of which this process worked ${Math.round((user + system) / 1_000)}; load ${os.loadavg()[0]?.toFixed(1)}\n`,
  );
});
