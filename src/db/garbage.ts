import type { QueryResultRow } from 'pg';
import type { Database } from './database.ts';

type Rows = <R extends QueryResultRow>(text: string, values: readonly unknown[]) => Promise<R[]>;

/** Locks are held until `work` has ended; a failure takes everything back. */
async function inTransaction<T>(db: Pick<Database, 'pool'>, work: (rows: Rows) => Promise<T>): Promise<T> {
  const client = await db.pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(
      async <R extends QueryResultRow>(text: string, values: readonly unknown[]) => (await client.query<R>(text, [...values])).rows,
    );
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((failure: unknown) => {
      broken = failure as Error;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

export type ObjectKey = { workspace: string; sha256: string };
type Locked = ObjectKey & { size: number };

/** Of the locked rows, those that somebody holds: a statement of its own, so that it sees holders that the lock was waited for. */
const HELD = `select a.workspace, encode(a.sha256, 'hex') as sha256 from unnest($1::uuid[], $2::text[]) x(workspace, sha)
  join artifact a on a.workspace = x.workspace and a.sha256 = decode(x.sha, 'hex')
  where exists (select from artifact_ref f where f.workspace = a.workspace and f.sha256 = a.sha256)`;

const keysOf = (rows: readonly ObjectKey[]) => [rows.map((row) => row.workspace), rows.map((row) => row.sha256)];

async function withoutHolders(rows: Rows, locked: readonly Locked[]): Promise<{ held: ObjectKey[]; free: Locked[] }> {
  const held = await rows<ObjectKey>(HELD, keysOf(locked));
  const names = new Set(held.map((row) => `${row.workspace}/${row.sha256}`));
  return { held, free: locked.filter((row) => !names.has(`${row.workspace}/${row.sha256}`)) };
}

const KEYS = `from unnest($1::uuid[], $2::text[]) x(workspace, sha) where a.workspace = x.workspace and a.sha256 = decode(x.sha, 'hex')`;

/**
 * Marks objects that nobody holds and that nobody has touched for the grace, as from now not to be found any more.
 * @param page.after where to go on, null at first @returns where to go on, null at the end
 */
export function markGarbage(
  db: Pick<Database, 'pool'>,
  page: { after: ObjectKey | null; graceMs: number; limit: number },
): Promise<{ next: ObjectKey | null; marked: number }> {
  return inTransaction(db, async (rows) => {
    const seen = await rows<ObjectKey>(
      `select workspace, encode(sha256, 'hex') as sha256 from artifact where (workspace, sha256) > ($1::uuid, decode($2, 'hex')) order by workspace, artifact.sha256 limit $3`,
      [page.after?.workspace ?? '00000000-0000-0000-0000-000000000000', page.after?.sha256 ?? '', page.limit],
    );
    const locked = await rows<Locked>(
      `select a.workspace, encode(a.sha256, 'hex') as sha256, a.size::float8 as size from unnest($1::uuid[], $2::text[]) x(workspace, sha)
        join artifact a on a.workspace = x.workspace and a.sha256 = decode(x.sha, 'hex')
        where a.deleting is null and a.touched < clock_timestamp() - $3 * interval '1 ms'
          and not exists (select from artifact_ref f where f.workspace = a.workspace and f.sha256 = a.sha256)
        order by a.workspace, a.sha256 for update of a skip locked`,
      [...keysOf(seen), page.graceMs],
    );
    const { free } = await withoutHolders(rows, locked);
    if (free.length > 0) await rows(`update artifact a set deleting = clock_timestamp() ${KEYS}`, keysOf(free));
    return { next: seen.length < page.limit ? null : (seen.at(-1) ?? null), marked: free.length };
  });
}

/**
 * Deletes marked objects: the file by `remove` while its row is locked, then the row. Whoever claims the object meanwhile waits
 * and then makes both anew; one that is held after all is unmarked.
 * @param batch.settleMs how long ago it must have been marked
 */
export function deleteGarbage(
  db: Pick<Database, 'pool'>,
  batch: { graceMs: number; settleMs: number; limit: number },
  remove: (object: ObjectKey) => Promise<void>,
): Promise<{ objects: number; bytes: number; kept: number }> {
  return inTransaction(db, async (rows) => {
    const locked = await rows<Locked>(
      `select a.workspace, encode(a.sha256, 'hex') as sha256, a.size::float8 as size from artifact a
        where a.deleting < clock_timestamp() - $1 * interval '1 ms' and a.touched < clock_timestamp() - $2 * interval '1 ms'
        order by a.deleting limit $3 for update skip locked`,
      [batch.settleMs, batch.graceMs, batch.limit],
    );
    const { held, free } = await withoutHolders(rows, locked);
    if (held.length > 0) await rows(`update artifact a set deleting = null ${KEYS}`, keysOf(held));
    for (const object of free) await remove(object);
    if (free.length > 0)
      await rows(
        `delete from artifact a using (select workspace, decode(sha, 'hex') as sha from unnest($1::uuid[], $2::text[]) x(workspace, sha)) x
      where a.workspace = x.workspace and a.sha256 = x.sha`,
        keysOf(free),
      );
    return { objects: free.length, bytes: free.reduce((sum, { size }) => sum + size, 0), kept: held.length };
  });
}

/** Gives files that no row knows one that is marked, so that they are deleted like any other. @returns how many there were */
export async function adoptOrphans(db: Pick<Database, 'rows'>, files: readonly (ObjectKey & { modifiedMs: number })[]): Promise<number> {
  const rows = await db.rows({
    name: 'adopt_orphans',
    text: `insert into artifact (workspace, sha256, size, media_type, created, created_by, deleting, touched)
      select x.workspace, decode(x.sha, 'hex'), 0, 'application/octet-stream', to_timestamp(x.ms / 1000), '', clock_timestamp(), to_timestamp(x.ms / 1000)
      from unnest($1::uuid[], $2::text[], $3::float8[]) x(workspace, sha, ms) order by 1, 2 on conflict do nothing returning 1`,
    values: [...keysOf(files), files.map((file) => file.modifiedMs)],
  });
  return rows.length;
}
