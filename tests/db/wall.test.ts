import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { auditRow } from '../../src/db/audit.ts';
import { openDatabase, type Database, type OrmDatabase } from '../../src/db/database.ts';
import { ApiKey } from '../../src/db/entities/apiKey.entity.ts';
import { Audit } from '../../src/db/entities/audit.entity.ts';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { ensureOwner } from '../../src/db/repositories/owner.ts';
import { createWalls } from '../../src/db/wall.ts';
import { walledDatabase } from '../../src/db/walledDatabase.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';

const walls = createWalls();
let base: TestDatabase;
let engine: OrmDatabase;
let walled: OrmDatabase;
let db: OrmDatabase;
const workspaces: string[] = [];
const KEYS = 3;

beforeAll(async () => {
  base = await aDatabase();
  engine = await base.open();
  walled = await openDatabase({ url: base.url, role: 'tiu_api', max: 2, walls });
  db = walledDatabase(walls, { engine, walled });
  for (const name of ['one', 'two', 'three']) {
    const { workspace } = await ensureOwner(engine, { workspaceName: name });
    workspaces.push(workspace);
    for (let i = 1; i < KEYS; i++) await createApiKey(engine, { workspace, name: `k${i}`, scopes: ['runs:read'], by: 'test' });
  }
});
afterAll(async () => {
  await walled.close();
  await base.drop();
});

/** Statements without a condition on the workspace: what somebody has forgotten. */
const FORGOTTEN = { name: 'forgotten', text: 'select workspace from api_key', values: [] };
const own = (rows: { workspace: string }[], workspace: string) => rows.length === KEYS && rows.every((row) => row.workspace === workspace);

test('a statement that forgets the workspace sees that of the request alone', async () => {
  for (const workspace of workspaces)
    expect(own(await walls.within(workspace, () => db.rows<{ workspace: string }>(FORGOTTEN)), workspace)).toBe(true);
  expect(await db.rows(FORGOTTEN)).toHaveLength(3 * KEYS); // outside a request it is the engine's
  const [first = '', second = ''] = workspaces;
  const asked = { name: 'foreign', text: 'select id from api_key where workspace = $1', values: [second] };
  expect(await walls.within(first, () => db.rows(asked))).toEqual([]);
  const changed = { name: 'change', text: `update api_key set name = 'x' where workspace = $1 returning id`, values: [second] };
  expect(await walls.within(first, () => db.rows(changed))).toEqual([]);
  const made = {
    name: 'make',
    text: `insert into audit (id, workspace, actor, action, subject, at) values ($1, $2, 'a', 'b', 'c', now())`,
    values: [randomUUIDv7(), second],
  };
  await expect(walls.within(first, () => db.rows(made))).rejects.toThrow('row-level security');
  expect(
    (await walls.within(first, () => db.rows<{ id: string }>({ name: 'ws', text: 'select id from workspace', values: [] }))).map(
      (row) => row.id,
    ),
  ).toEqual([first]);
});

test('hundreds of requests of three workspaces on two connections never see each other, by prepared SQL and by the ORM', async () => {
  const turns = Array.from({ length: 600 }, (_, i) => ({ workspace: workspaces[(i * 7) % 3] ?? '', kind: i % 4 }));
  const results = await Promise.all(
    turns.map(({ workspace, kind }) =>
      walls.within(workspace, async () => {
        if (kind === 0) return own(await db.rows<{ workspace: string }>(FORGOTTEN), workspace);
        if (kind === 1) return own(await db.orm.em.fork().find(ApiKey, {}), workspace);
        if (kind === 2)
          return db.orm.em.fork().transactional(async (em) => {
            const before = await em.find(ApiKey, {});
            await em.insert(Audit, auditRow({ workspace, actor: 'a', action: 'b', object: 'c' }));
            const seen = await em.find(Audit, { action: 'b' });
            return own(before, workspace) && seen.every((row) => row.workspace === workspace) && seen.length > 0;
          });
        // through the pool itself, whose callbacks come from whoever gave a connection back
        const client = await db.pool.connect();
        try {
          const { rows } = await client.query<{ workspace: string }>('select workspace from api_key');
          await client.query('begin');
          await client.query('rollback');
          return own(rows, workspace);
        } finally {
          client.release();
        }
      }),
    ),
  );
  expect(results.filter((fine) => !fine)).toEqual([]);
  expect(walled.pool.totalCount).toBeLessThanOrEqual(2);
});

test('a transaction that fails, and a statement that does, leave nothing of their workspace behind', async () => {
  const [first = '', second = ''] = workspaces;
  for (let i = 0; i < 20; i++) {
    const failing = walls.within(first, () =>
      db.orm.em.fork().transactional(async (em) => {
        await em.find(ApiKey, {});
        throw new Error('no');
      }),
    );
    await expect(failing).rejects.toThrow('no');
    await expect(walls.within(first, () => db.rows({ name: 'wrong', text: 'select 1 / $1::int', values: [0] }))).rejects.toThrow(
      'division by zero',
    );
    expect(own(await walls.within(second, () => db.rows<{ workspace: string }>(FORGOTTEN)), second)).toBe(true);
  }
});

test('nothing is answered that was sent behind an entry that failed', async () => {
  const [first = ''] = workspaces;
  const narrow = await openDatabase({ url: base.url, role: 'tiu_api', max: 1, walls });
  const rows = (workspace: string) => walls.within(workspace, () => narrow.rows<{ workspace: string }>(FORGOTTEN));
  expect(own(await rows(first), first)).toBe(true);
  await expect(rows('a\0b')).rejects.toThrow('invalid byte sequence'); // the statement behind it ran where the one before was
  await expect(rows('nowhere')).rejects.toThrow('invalid input syntax for type uuid');
  await expect(narrow.rows(FORGOTTEN)).rejects.toThrow('every statement is of a workspace');
  expect(own(await rows(first), first)).toBe(true);
  await narrow.close();
});

test('a transaction cannot go on in another workspace', async () => {
  const [first = '', second = ''] = workspaces;
  const moved = walls.within(first, () =>
    db.orm.em.fork().transactional((em) => em.find(ApiKey, {}).then(() => walls.within(second, () => em.find(ApiKey, {})))),
  );
  await expect(moved).rejects.toThrow('a transaction belongs to one workspace');
});

test('entering a workspace adds no round trip, and nothing at all where the connection is already', async () => {
  const narrow = await openDatabase({ url: base.url, role: 'tiu_api', max: 1, walls });
  const client = await narrow.pool.connect();
  client.release();
  const { stream } = (client as unknown as { connection: { stream: NodeJS.EventEmitter & { _write: unknown; _writev: unknown } } })
    .connection;
  let writes = 0;
  for (const way of ['_write', '_writev'] as const) {
    const plain = stream[way] as (...args: unknown[]) => void;
    stream[way] = (...args: unknown[]) => {
      writes += 1;
      plain.apply(stream, args);
    };
  }
  const [first = '', second = ''] = workspaces;
  for (const workspace of [first, second, first, first, first]) await walls.within(workspace, () => narrow.rows(FORGOTTEN));
  expect(writes).toBe(5);
  await narrow.close();
});

test('what requests may touch has row security or holds nothing of anybody', async () => {
  const rows = await engine.rows<{ t: string }>({
    name: 'touchable',
    text: `select c.relname as t from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relrowsecurity
      and has_table_privilege('tiu_api', c.oid, 'select, insert, update, delete')`,
    values: [],
  });
  expect(rows.map((row) => row.t)).toEqual(['plan']);
  const asked: Database['rows'] = (statement) => walls.within(workspaces[0] ?? '', () => db.rows(statement));
  await expect(asked({ name: 'w', text: `update plan set body = '{}'`, values: [] })).rejects.toThrow('permission denied');
  const [partition] = await engine.rows<{ p: string }>({
    name: 'partition',
    text: `select partitions_v1(now(), 12), (select min(inhrelid::regclass::text) from pg_inherits) as p`,
    values: [],
  });
  await expect(asked({ name: 'p', text: `select 1 from ${partition?.p ?? ''}`, values: [] })).rejects.toThrow('permission denied');
  const unforced = await engine.rows({
    name: 'owned',
    text: `select 1 from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname in ('tiu_api', 'tiu_engine') or (r.rolname = 'tiu_api' and r.rolbypassrls)`,
    values: [],
  });
  expect(unforced).toEqual([]);
});
