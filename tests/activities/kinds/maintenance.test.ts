import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPartitions, createRecords, createSweep, type MaintenanceDeps } from '../../../src/activities/kinds/maintenance.ts';
import type { Database } from '../../../src/db/database.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { SYSTEM_WORKSPACE } from '../../../src/domain/retention/policy.ts';
import { openAuditKeys } from '../../../src/providers/auditKeys/auditKeys.ts';
import { sealAll, verifyDatabase } from '../../support/anAuditChain.ts';
import { statement } from '../../db/journalRuns.ts';
import { aProblem } from '../../providers/aProblem.ts';
import { aDatabase, type TestDatabase } from '../../support/aDatabase.ts';
import { aMemoryStore, anExecution } from './anExecution.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  for (const days of [60, 40, 10]) await db.rows(statement(`select partitions_v1(now() - $1 * interval '1 day', 0)`, [days]));
});
afterAll(() => base.drop());

const DAY_MS = 86_400_000;
const auditKeys = openAuditKeys({ TIU_AUDIT_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}` });
const deps = (): MaintenanceDeps => ({
  db,
  ...aMemoryStore(),
  auditKeys,
  keep: { runDays: 30, auditDays: 365, objectsMs: DAY_MS, markedMs: 0 },
  now: Date.now,
});
const anExecutionOf = (given: object = {}) =>
  anExecution({ workspace: SYSTEM_WORKSPACE, runId: randomUUID(), key: randomUUID(), ...given });

/** A v7 id of some days ago. */
const idOf = (days: number) => {
  const time = (Date.now() - days * DAY_MS).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
};

/** Runs as they stand some days after they began, each with rows in every table. */
async function someOld(
  workspace: string,
  given: { runs: number; began: number; finished: number | null; tasks?: number },
): Promise<string[]> {
  const ids = Array.from({ length: given.runs }, () => idOf(given.began)).sort();
  const tasks = given.tasks ?? 3;
  const each = (text: string, ...values: unknown[]) => db.rows(statement(text, [ids, workspace, ...values]));
  await each(
    `insert into run (id, workspace, definition, plan, priority, labels, created, created_by) select r, $2, 'old', '\\x00', 2, '{"team":"a"}', now(), 'test' from unnest($1::uuid[]) r`,
  );
  await each(
    `insert into run_state (run, workspace, status, total, open, last_seq, finished) select r, $2, case when $3::int is null then 'waiting' else 'completed' end, 1, 0, 1, now() - $3::int * interval '1 day' from unnest($1::uuid[]) r`,
    given.finished,
  );
  await each(`insert into label (workspace, name, value, run) select $2, 'team', 'a', r from unnest($1::uuid[]) r`);
  await each(
    `insert into task (run, task, item, generation, workspace, status, seq, output_ref, output_size) select r, t, -1, 0, $2, 'completed', t, case when t = 0 then '\\xab'::bytea end, 70000 from unnest($1::uuid[]) r, generate_series(0, $3 - 1) t`,
    tasks,
  );
  await each(
    `insert into run_event (run, seq, workspace, type, at) select r, t, $2, 'task.completed', now() from unnest($1::uuid[]) r, generate_series(1, $3) t`,
    tasks,
  );
  await each(`insert into command (run, seq, workspace, type, actor, at) select r, 1, $2, 'cancel', 'x', now() from unnest($1::uuid[]) r`);
  await each(`insert into wait (run, task, item, generation, kind, workspace) select r, 0, -1, 0, 'timer', $2 from unnest($1::uuid[]) r`);
  await each(`insert into slice (run, task, generation, k, workspace, lo, hi) select r, 0, 0, 0, $2, 0, 1 from unnest($1::uuid[]) r`);
  await each(
    `insert into effect (run, task, item, generation, attempt, workspace, intent, at) select r, 0, -1, 0, 1, $2, '{}', now() from unnest($1::uuid[]) r`,
  );
  await each(`insert into run_output (run, workspace, output, output_size) select r, $2, '1', 1 from unnest($1::uuid[]) r`);
  return ids;
}

const TABLES = ['run', 'run_state', 'label', 'task', 'run_event', 'command', 'wait', 'slice', 'effect', 'run_output', 'artifact_ref'];
async function left(ids: string[]): Promise<JsonObject> {
  const counts: JsonObject = {};
  for (const table of TABLES) {
    const [row] = await db.rows<{ n: number }>(
      statement(`select count(*)::int as n from ${table} where ${table === 'run' ? 'id' : 'run'} = any($1)`, [ids]),
    );
    counts[table] = row?.n ?? -1;
  }
  return counts;
}
const each = (runs: number, tasks = 3) =>
  Object.fromEntries(TABLES.map((table) => [table, table === 'task' || table === 'run_event' ? runs * tasks : runs]));
const none = Object.fromEntries(TABLES.map((table) => [table, 0]));

test('closed runs past their days go with every row, counted by table; open and younger ones stay whole', async () => {
  const workspace = randomUUID();
  const old = await someOld(workspace, { runs: 25, began: 40, finished: 35 });
  const young = await someOld(workspace, { runs: 3, began: 40, finished: 29 });
  const open = await someOld(workspace, { runs: 2, began: 40, finished: null });
  const output = await createSweep(deps())({ batch: 10, share: 1 }, anExecutionOf());
  expect(output).toMatchObject({ deleted: each(25) });
  expect(await left(old)).toEqual(none);
  expect(await left(young)).toEqual(each(3));
  expect(await left(open)).toEqual(each(2));
});

test('a workspace states its own days, and 0 keeps for ever', async () => {
  const [short, ever] = [randomUUID(), randomUUID()];
  const insert = `insert into workspace (id, name, created, retention_days) values ($1::uuid, $1::uuid::text, now(), $2)`;
  await db.rows(statement(insert, [short, 5]));
  await db.rows(statement(insert, [ever, 0]));
  const gone = await someOld(short, { runs: 2, began: 10, finished: 6 });
  const kept = await someOld(ever, { runs: 2, began: 40, finished: 39 });
  expect(await createSweep(deps())({ share: 1 }, anExecutionOf())).toMatchObject({ deleted: { run: 2 } });
  expect([await left(gone), await left(kept)]).toEqual([none, each(2)]);
});

test('an attempt that is lost at any statement is gone on with, and the counts are those of all attempts', async () => {
  for (let fail = 1; fail <= 12; fail++) {
    const ids = await someOld(randomUUID(), { runs: 12, began: 40, finished: 35, tasks: 8 });
    const execution = anExecutionOf();
    let calls = 0;
    const dying = {
      ...deps(),
      db: {
        ...db,
        rows: ((query: Parameters<Database['rows']>[0]) =>
          ++calls === fail ? Promise.reject(new Error('lost')) : db.rows(query)) as Database['rows'],
      },
    };
    await createSweep(dying)({ batch: 10, share: 1 }, execution).catch(() => undefined);
    expect(await createSweep(deps())({ batch: 50, share: 1 }, execution)).toMatchObject({ deleted: each(12, 8) });
    expect(await left(ids)).toEqual(none);
  }
});

test('an abort ends it between two batches, and the next run finishes what was begun', async () => {
  const ids = await someOld(randomUUID(), { runs: 30, began: 40, finished: 35 });
  const abort = new AbortController();
  let calls = 0;
  const slow = {
    ...deps(),
    db: {
      ...db,
      rows: ((query: Parameters<Database['rows']>[0]) => {
        if (++calls === 4) abort.abort(new Error('stop'));
        return db.rows(query);
      }) as Database['rows'],
    },
  };
  await expect(createSweep(slow)({ batch: 10, share: 1 }, anExecutionOf({ signal: abort.signal }))).rejects.toThrow('stop');
  expect(await left(ids)).toMatchObject({ run: 0, run_state: 0 }); // not to be found, and not half to be found
  await createSweep(deps())({ share: 1 }, anExecutionOf());
  expect(await left(ids)).toEqual(none);
});

test('old partitions are dropped when they are empty, and made ahead again', async () => {
  await db.rows(statement(`select partitions_v1(now() - interval '60 days', 0)`));
  const all = (await createPartitions(deps())({ weeks: 3 }, anExecutionOf())) as { partitions: string[] };
  const ids = await someOld(randomUUID(), { runs: 1, began: 60, finished: null });
  const first = (await createSweep(deps())({ share: 1 }, anExecutionOf())) as { partitions: string[] };
  await db.rows(statement(`update run_state set finished = now() - interval '50 days' where run = any($1)`, [ids]));
  await db.rows(statement(`update workspace set retention_days = null`));
  const second = (await createSweep(deps())({ share: 1 }, anExecutionOf())) as { partitions: string[] };
  expect(first.partitions.length + second.partitions.length).toBeGreaterThan(1);
  expect(second.partitions.length).toBeGreaterThan(1);
  const after = (await createPartitions(deps())({ weeks: 3 }, anExecutionOf())) as { partitions: string[] };
  expect(after.partitions).toEqual(all.partitions.filter((name) => ![...first.partitions, ...second.partitions].includes(name)));
});

test('records past their time go, others stay', async () => {
  await db.rows(
    statement(
      `insert into idempotency (workspace, principal, key, hash, expires) select $1, 'p', k::text, '\\x00', now() + (k - 1500.5) * interval '1 hour' from generate_series(1, 2000) k`,
      [randomUUID()],
    ),
  );
  const account = idOf(1);
  await db.rows(statement(`insert into account (id, name, name_key, created, created_by) values ($1, 'p', 'p', now(), 'test')`, [account]));
  await db.rows(
    statement(
      `insert into session (id, account, method, mfa, remember, ip, user_agent, created, proved, active, idle, expires)
       select gen_random_uuid(), $1, 'password', false, false, '', '', now(), now(), now(), '1 h', now() - d * interval '1 day' from unnest(array[31, 29, -1]) d`,
      [account],
    ),
  );
  expect(await createRecords(deps())({ share: 1 }, anExecutionOf())).toEqual({ idempotency: 1500, worker: 0, audit: 0, session: 1 });
});

const someAudit = (days: readonly number[]) =>
  db.rows(
    statement(
      `insert into audit (id, workspace, actor, action, subject, at) select x.id, $3, 'a', 'b', 'c', now() - x.days * interval '1 day' from unnest($1::uuid[], $2::int[]) x(id, days)`,
      [days.map((day, i) => idOf(500 - i)), days, randomUUID()],
    ),
  );

test('of the audit the beginning goes that is old and sealed, and the rest still holds', async () => {
  await someAudit([500, 450, 400]);
  expect(await createRecords(deps())({ share: 1 }, anExecutionOf())).toMatchObject({ audit: 0 });
  await sealAll(db, auditKeys);
  await someAudit([300, 400, 1]);
  await sealAll(db, auditKeys);
  expect(await createRecords(deps())({ share: 1 }, anExecutionOf())).toMatchObject({ audit: 3 });
  expect(await verifyDatabase(db, auditKeys.publicKeys)).toMatchObject({ from: 4, through: 6, entries: 3, fault: null });
  const now = () => Date.now() + 100 * DAY_MS;
  expect(await createRecords({ ...deps(), now })({ share: 1 }, anExecutionOf())).toMatchObject({ audit: 2 });
  expect(await verifyDatabase(db, auditKeys.publicKeys)).toMatchObject({ from: 6, through: 6, fault: null });
});

test('nobody else may: a run of another workspace is refused by the executor too', () => {
  const executor = createSweep(deps());
  expect(() => executor({}, anExecution())).toThrow(aProblem('forbidden'));
});
