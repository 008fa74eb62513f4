import { createHash, randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createWorkspaceDelete, createWorkspaceStop } from '../../../src/activities/kinds/workspaceClose.ts';
import type { Database } from '../../../src/db/database.ts';
import { deleteGarbage } from '../../../src/db/garbage.ts';
import { closeWorkspace, reopenWorkspace, type ClosingWorkspace } from '../../../src/db/repositories/closedWorkspaces.ts';
import { BY_WORKSPACE, MOVED, OF_INSTALLATION, STAY, WHO_MAY, WITH_RUNS } from '../../../src/domain/retention/workspaceTables.ts';
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
const tables = async () =>
  (
    await sql<{ t: string }>(
      `select c.relname as t from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace'
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
    )
  ).map(({ t }) => t);

test('every table that has rows of a workspace is treated or named when one is closed', async () => {
  const named = [...WITH_RUNS, ...WHO_MAY, ...BY_WORKSPACE, ...MOVED, ...Object.keys(STAY), ...OF_INSTALLATION];
  expect(named.sort()).toEqual(await tables());
});

type Column = { c: string; type: string; needed: boolean };
const columnsOf = (table: string) =>
  sql<Column>(
    `select attname as c, format_type(atttypid, null) as type, attnotnull and not atthasdef as needed from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
    table,
  );
let made = 0;
const SAMPLES: Readonly<Record<string, () => unknown>> = {
  uuid: randomUUID,
  text: () => `x${(made += 1)}`,
  bytea: () => createHash('sha256').update(randomUUID()).digest(),
  json: () => '{}',
  'text[]': () => [],
  boolean: () => false,
};

/** A row with what it has to have, whatever that is; `given` goes before. */
async function aRow(table: string, given: Record<string, unknown>): Promise<void> {
  const columns = (await columnsOf(table)).filter(({ c, needed }) => needed || c in given);
  const values = columns.map(({ c, type }) =>
    c in given ? given[c] : type.startsWith('timestamp') ? new Date() : (SAMPLES[type]?.() ?? 1),
  );
  const names = columns.map(({ c }) => `"${c}"`).join(', ');
  await sql(`insert into ${table} (${names}) values (${columns.map((_, i) => `$${i + 1}`).join(', ')})`, ...values);
}

const PER_TABLE = 3;
/** A workspace with some rows in every table that has such, and closed runs. */
async function aFull(): Promise<string> {
  const workspace = randomUUIDv7();
  await sql(`insert into workspace (id, name, created) values ($1, $1::uuid::text, now())`, workspace);
  const accounts = Array.from({ length: PER_TABLE }, () => randomUUIDv7());
  const project = randomUUIDv7();
  const special: Record<string, Record<string, unknown>> = {
    ...{ membership: { role: 'owner' }, invitation: { role: 'viewer', projects: '[]' }, project_member: { role: 'viewer' } },
    ...{ definition: { plan: await aPlan() }, run: { labels: '{"team":"a"}' } },
    ...{ schedule: { overlap: 'skip' }, bulk: { type: 'cancel', status: 'completed', refused: '{}', finished: new Date(), filter: '{}' } },
  };
  for (let i = 0; i < PER_TABLE; i++) {
    const run = randomUUIDv7();
    await sql(`insert into account (id, name, name_key, created, created_by) values ($1, 'a', $1::uuid::text, now(), 'test')`, accounts[i]);
    for (const table of ['run', ...tablesOfRows()]) {
      if (i > 0 && rowsOf(table) === 1) continue;
      const row = {
        ...{
          workspace,
          run,
          name: `n${i}`,
          key: `k${i}`,
          number: i,
          id: table === 'run' ? run : table === 'project' && i === 0 ? project : randomUUIDv7(),
        },
        ...{ account: accounts[i], project, ...(table === 'run_state' && { status: 'completed', finished: new Date() }) },
        ...special[table],
      };
      const known = new Set((await columnsOf(table)).map(({ c }) => c));
      await aRow(table, Object.fromEntries(Object.entries(row).filter(([name]) => known.has(name) && !skips(table, name))));
    }
  }
  return workspace;
}
/** How many rows a workspace is given in a table: of its place in the queue there is one. */
const rowsOf = (table: string): number => (table === 'queue_cursor' ? 1 : PER_TABLE);
/** What is text in some tables and something else in others. */
const skips = (table: string, name: string): boolean =>
  (table === 'event' && name === 'id') || (table === 'run' && name === 'project') || (table === 'bulk' && name === 'key');
const tablesOfRows = () => [
  ...WITH_RUNS.filter((table) => !['run', 'expired_run'].includes(table)),
  ...[...WHO_MAY].reverse().filter((table) => !['project_member', 'invitation'].includes(table)),
  ...['project_member', 'invitation', ...BY_WORKSPACE, ...MOVED, 'artifact', 'audit'],
];
async function aPlan(): Promise<Buffer> {
  const hash = createHash('sha256').update(randomUUID()).digest();
  await sql(`insert into plan (hash, body, created) values ($1, '{}', now())`, hash);
  return hash;
}

const left = async (workspace: string): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const table of await tables()) {
    const [row] = await sql<{ n: number }>(`select count(*)::int as n from ${table} where workspace = $1`, workspace);
    if (row && row.n > 0) counts[table] = row.n;
  }
  return counts;
};

async function closed(workspace: string, graceMs = 0): Promise<{ workspace: string; closing: string; batch: number }> {
  const { closing } = (await closeWorkspace(db, { workspace, by: 'user:x', graceMs })) as ClosingWorkspace;
  return { workspace, closing: new Date(closing).toISOString(), batch: 2 };
}
type Report = { withdrawn: boolean; deleted: Record<string, number>; kept: { table: string }[] };
const system = (key: string = randomUUID()) => anExecution({ workspace: SYSTEM_WORKSPACE, runId: randomUUID(), key });
const remove = (input: object, execution = system()) => createWorkspaceDelete({ db })({ ...input }, execution) as Promise<Report>;

test('all that is in a workspace goes, counted by table; what stays is named, and nothing of another one is touched', async () => {
  const [other, workspace] = [await aFull(), await aFull()];
  const before = await left(other);
  // there is something in every table that something goes of
  expect(Object.keys(before).sort()).toEqual(
    [...WITH_RUNS.filter((t) => t !== 'expired_run'), ...WHO_MAY, ...BY_WORKSPACE, ...MOVED, 'artifact', 'audit', 'usage_delta'].sort(),
  );
  const report = await remove(await closed(workspace));
  expect(report.withdrawn).toBe(false);
  const went = [...WITH_RUNS.filter((t) => t !== 'expired_run'), ...BY_WORKSPACE, ...WHO_MAY, ...MOVED, 'artifact'];
  for (const table of went) expect({ table, n: report.deleted[table] }).toEqual({ table, n: rowsOf(table) });
  expect(report.deleted.workspace).toBe(1);
  expect(report.kept.map(({ table }) => table)).toEqual(Object.keys(STAY));
  expect(Object.keys(await left(workspace)).sort()).toEqual(['artifact', 'audit', 'usage_delta']);
  expect(await left(other)).toEqual(before);
  expect(await sql('select 1 from workspace where id = $1', workspace)).toEqual([]);
  expect(
    await sql(
      `select actor from audit where workspace = $1 and action = 'workspace.deleted' and subject = 'workspace:' || $2::uuid`,
      SYSTEM_WORKSPACE,
      workspace,
    ),
  ).toEqual([{ actor: 'system' }]);
  // objects go with the next run of the collector, whatever its grace
  const removed: string[] = [];
  const day = 86_400_000;
  await deleteGarbage(db, { graceMs: day, settleMs: day, limit: 100 }, (object) => Promise.resolve(void removed.push(object.workspace)));
  expect(removed).toEqual(Array.from({ length: PER_TABLE }, () => workspace));
});

test('an attempt that is cut off at any commit is gone on with, and the report is that of all attempts', async () => {
  const workspace = await aFull();
  const input = await closed(workspace);
  const execution = system();
  let attempts = 1;
  for (let lost = true; lost && attempts < 500; attempts++)
    lost = await (createWorkspaceDelete({ db: { rows: db.rows, pool: cutAt(attempts) } })({ ...input }, execution) as Promise<Report>).then(
      () => false,
      () => true,
    );
  expect(attempts).toBeGreaterThan(20);
  const report = await remove(input, execution);
  expect(report).toMatchObject({
    withdrawn: false,
    deleted: { run: PER_TABLE, task: PER_TABLE, membership: PER_TABLE, secret: PER_TABLE, workspace: 1 },
  });
  expect(Object.keys(await left(workspace)).sort()).toEqual(['artifact', 'audit', 'usage_delta']);
});

/** A pool that is cut off instead of its n-th commit. */
function cutAt(n: number): Database['pool'] {
  let commits = 0;
  const connect = async () => {
    const client = await db.pool.connect();
    const query = client.query.bind(client) as (...given: unknown[]) => unknown;
    return {
      query: (...given: unknown[]) => (given[0] === 'commit' && ++commits === n ? Promise.reject(new Error('cut off')) : query(...given)),
      release: () => {
        client.release(commits >= n);
      },
    };
  };
  return { connect } as unknown as Database['pool'];
}

test('nothing goes before its time, nor when it was taken back, nor for a closing before that', async () => {
  const workspace = await aFull();
  const before = await left(workspace);
  const early = await closed(workspace, 3_600_000);
  expect(await remove(early)).toEqual({ withdrawn: true, deleted: {}, kept: [] });
  expect(await reopenWorkspace(db, { workspace, by: 'user:x' })).toEqual({ run: null });
  expect(await reopenWorkspace(db, { workspace, by: 'user:x' })).toBeUndefined();
  expect(await remove(early)).toMatchObject({ withdrawn: true });
  const late = await closed(workspace);
  expect(late.closing).not.toBe(early.closing);
  expect(await remove(early)).toMatchObject({ withdrawn: true });
  // audit rows say that it was closed, taken back, and closed again
  expect(await left(workspace)).toEqual({ ...before, audit: (before.audit ?? 0) + 3 });
  expect(await remove(late)).toMatchObject({ withdrawn: false });
  expect(await reopenWorkspace(db, { workspace, by: 'user:x' })).toBeUndefined();
});

test('open runs are asked to end, once; while there are some nothing goes, and they are told again', async () => {
  const workspace = await aFull();
  await sql(`update run_state set finished = null, status = 'waiting' where workspace = $1`, workspace);
  const input = await closed(workspace);
  const stop = () => createWorkspaceStop({ db })({ ...input }, system());
  await stop();
  await stop();
  const jobs = () =>
    sql(
      `select type, force, filter->'status' as status, finished from bulk where workspace = $1 and created_by = 'system' order by created`,
      workspace,
    );
  const job = { type: 'cancel', force: false, status: ['queued', 'running', 'waiting', 'paused'], finished: null };
  expect(await jobs()).toEqual([job]);
  const before = await left(workspace);
  await expect(remove(input)).rejects.toMatchObject({ code: 'workspace_busy', retryable: true });
  await expect(remove(input)).rejects.toMatchObject({ code: 'workspace_busy' });
  expect(await jobs()).toEqual([job, { ...job, force: true }]);
  expect(await left(workspace)).toEqual({ ...before, bulk: (before.bulk ?? 0) + 1, audit: (before.audit ?? 0) + 1 });
  // from here on it cannot be taken back
  expect(await reopenWorkspace(db, { workspace, by: 'user:x' })).toBeUndefined();
  await sql(`update run_state set finished = now(), status = 'cancelled' where workspace = $1`, workspace);
  expect(await remove(input)).toMatchObject({ withdrawn: false, deleted: { run: PER_TABLE } });
});

test('only runs of the system workspace do this', async () => {
  const input = await closed(await aFull());
  for (const make of [createWorkspaceDelete, createWorkspaceStop])
    await expect(async () => make({ db })({ ...input }, anExecution())).rejects.toMatchObject({ code: 'forbidden' });
});
