import { randomUUIDv7 } from 'node:crypto';
import { BY_WORKSPACE, WHO_MAY } from '../domain/retention/workspaceTables.ts';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
import type { Database } from './pool.ts';
import { startBulk } from './repositories/bulk.ts';
import { countDone, type Sweeper } from './retention.ts';
import { withTransaction, type Rows } from './transaction.ts';

/** A workspace whose closing was asked for at that time: one that was taken back, and closed again, is not the same. */
export type Closing = { workspace: string; closing: Date };
/** Rows in one commit. */
type Step = { sweeper: Sweeper; limit: number };
type Pooled = Pick<Database, 'pool'>;

const OPEN = ['queued', 'running', 'waiting', 'paused'] as const;

/** Has open runs of a workspace cancelled by a bulk job, unless there is such a job already. @param of.force also those that take long to end */
export async function cancelAll(db: Rows, of: Closing & { force: boolean }): Promise<void> {
  const { workspace, force } = of;
  const under = await db.rows({
    name: 'close_cancels',
    text: `select 1 from bulk where workspace = $1 and created_by = 'system' and force = $3 and created >= $2 and (not force or finished is null)`,
    values: [workspace, of.closing, force],
  });
  if (under.length > 0 || !(await hasOpenRuns(db, workspace))) return;
  const filter = { workspace, status: OPEN, workflow: undefined, labels: [], since: undefined };
  const job = { type: 'cancel' as const, force, filter, reason: 'The workspace is closing', counted: 0, more: true, by: 'system' };
  await startBulk(db, job, Number.MAX_SAFE_INTEGER);
}

export async function hasOpenRuns(db: Rows, workspace: string): Promise<boolean> {
  const text = 'select 1 from run_state where workspace = $1 and finished is null limit 1';
  return (await db.rows({ name: 'close_open_runs', text, values: [workspace] })).length > 0;
}

/** From here on it cannot be taken back. @returns false = it was taken back, or its time has not come */
export async function beginDeletion(db: Rows, of: Closing): Promise<boolean> {
  const rows = await db.rows({
    name: 'close_begin',
    text: `update workspace set closing_begun = coalesce(closing_begun, clock_timestamp()) where id = $1 and closing = $2 and closing_until <= clock_timestamp() returning 1`,
    values: [of.workspace, of.closing],
  });
  return rows.length > 0;
}

/** Deletes rows of one table, and counts them, in one commit. @returns how many */
const deleteOf = (db: Pooled, of: { workspace: string; table: string }, { sweeper, limit }: Step): Promise<number> =>
  withTransaction(db, async (tx) => {
    const { workspace, table } = of;
    const gone = await tx.rows({
      name: `close_${table}`,
      text: `delete from ${table} where ctid = any (array(select ctid from ${table} where workspace = $1 limit $2)) returning 1`,
      values: [workspace, limit],
    });
    await countDone(tx, sweeper, { [table]: gone.length });
    return gone.length;
  });

/** Sessions that act there act nowhere: in the system workspace, where their person has no role. */
const moveSessions = (db: Pooled, workspace: string, { sweeper, limit }: Step): Promise<number> =>
  withTransaction(db, async (tx) => {
    const moved = await tx.rows({
      name: 'close_sessions',
      text: `update session set workspace = '${SYSTEM_WORKSPACE}' where id in (select id from session where workspace = $1 limit $2) returning 1`,
      values: [workspace, limit],
    });
    await countDone(tx, sweeper, { session: moved.length });
    return moved.length;
  });

/** Takes the heads of closed runs, so that nobody finds them; their rows are purged as those of any expired run. */
const expireAll = (db: Pooled, workspace: string, { sweeper, limit }: Step): Promise<number> =>
  withTransaction(db, async (tx) => {
    const found = await tx.rows<{ run: string }>({
      name: 'close_runs',
      text: `select s.run from run r join run_state s on s.run = r.id where r.workspace = $1 and s.finished is not null order by r.id limit $2 for update of s`,
      values: [workspace, limit],
    });
    const runs = found.map(({ run }) => run);
    const each = async (name: string, text: string) =>
      (await tx.rows({ name: `close_heads_${name}`, text, values: [workspace, runs] })).length;
    await each(
      'expire',
      'insert into expired_run (run, workspace, at) select r, $1, clock_timestamp() from unnest($2::uuid[]) r on conflict do nothing',
    );
    await countDone(tx, sweeper, {
      run: await each('run', 'delete from run where workspace = $1 and id = any($2) returning 1'),
      run_state: await each('state', 'delete from run_state where workspace = $1 and run = any($2) returning 1'),
    });
    return runs.length;
  });

/** Objects without a holder are as if they had been marked long ago: the collector deletes them at its next run. */
const markObjects = (db: Pooled, workspace: string, { sweeper, limit }: Step): Promise<number> =>
  withTransaction(db, async (tx) => {
    const marked = await tx.rows({
      name: 'close_objects',
      text: `update artifact set deleting = 'epoch', touched = 'epoch' where (workspace, sha256) in (
        select workspace, sha256 from artifact where workspace = $1 and touched > 'epoch' limit $2) returning 1`,
      values: [workspace, limit],
    });
    await countDone(tx, sweeper, { artifact: marked.length });
    return marked.length;
  });

/** The workspace itself, which leaves its name free, and says so where the operators read it. */
const deleteRow = (db: Pooled, of: Closing, { sweeper }: Step): Promise<number> =>
  withTransaction(db, async (tx) => {
    const gone = await tx.rows({
      name: 'close_workspace',
      text: `with w as (delete from workspace where id = $1 and closing = $2 returning id),
        a as (insert into audit (id, workspace, actor, action, subject, at) select $3, '${SYSTEM_WORKSPACE}', 'system', 'workspace.deleted', 'workspace:' || w.id, clock_timestamp() from w)
        select 1 from w`,
      values: [of.workspace, of.closing, randomUUIDv7()],
    });
    await countDone(tx, sweeper, { workspace: gone.length });
    return 0;
  });

type Part = (db: Pooled, of: Closing, step: Step) => Promise<number>;
const tables = (names: readonly string[]): Part[] =>
  names.map(
    (table) =>
      (db, { workspace }, step) =>
        deleteOf(db, { workspace, table }, step),
  );

/** In their order: each is repeated until it finds nothing. `purge`: rows of runs whose heads are gone. */
export const deletionParts = (purge: Part): readonly Part[] => [
  ...tables(WHO_MAY),
  (db, { workspace }, step) => moveSessions(db, workspace, step),
  (db, { workspace }, step) => expireAll(db, workspace, step),
  purge,
  ...tables(BY_WORKSPACE),
  (db, { workspace }, step) => markObjects(db, workspace, step),
  deleteRow,
];
