import { randomUUIDv7 } from 'node:crypto';
import type { RunStatus } from '../../domain/plan/outcome.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { BulkType } from '../commands.ts';
import type { Database } from '../database.ts';
import type { RunFilter } from './runs.ts';

type Rows = Pick<Database, 'rows'>;

export const BULK_STATUSES = ['running', 'completed', 'aborted'] as const;

/** A filter as a job keeps it. */
export type StoredFilter = {
  status: RunStatus[];
  workflow: string | null;
  labels: { name: string; value: string }[];
  /** ISO 8601 */
  since: string | null;
  /** Name of a project; left out by jobs of before there were any. */
  project?: string | null;
};

/** A job that gives one command to all runs of a filter. */
export type BulkRow = {
  id: string;
  workspace: string;
  type: BulkType;
  force: boolean;
  reason: string | null;
  filter: StoredFilter;
  status: (typeof BULK_STATUSES)[number];
  counted: number;
  more: boolean;
  done: number;
  applied: number;
  /** How many were refused, by code. */
  refused: { [code: string]: number };
  created: string;
  created_by: string;
  finished: string | null;
};

const COLUMNS = 'id, workspace, type, force, reason, filter, status, counted, more, done, applied, refused, created, created_by, finished';

const audited = (action: string, places: { first: number; by: number }): string =>
  `a as (${auditInto(places.first, {
    ...{ from: 'b', workspace: 'b.workspace', actor: `$${places.by}`, action: `'${action}'`, object: `'bulk:' || b.id` },
    data: `json_strip_nulls(json_build_object('type', b.type, 'force', b.force, 'reason', b.reason, 'filter', b.filter, 'done', b.done))`,
  })})`;

export type NewBulk = Pick<BulkRow, 'type' | 'force' | 'counted' | 'more'> & { filter: RunFilter; reason: string | undefined; by: string };

export const storedFilter = (filter: RunFilter): StoredFilter => ({
  status: [...filter.status],
  workflow: filter.workflow ?? null,
  labels: [...filter.labels],
  since: filter.since?.toISOString() ?? null,
  project: filter.project ?? null,
});

/** Makes a job. The ids that clients give lie within a day of the acceptance of their run. @returns undefined = `max` are under way */
export async function startBulk(db: Rows, bulk: NewBulk, max: number): Promise<BulkRow | undefined> {
  const { filter, type, force, reason, counted, more, by } = bulk;
  const rows = await db.rows<BulkRow>({
    name: 'bulk_start',
    text: `with n as (select count(*) as n from bulk where workspace = $2 and finished is null),
      b as (insert into bulk (id, workspace, type, force, reason, filter, cursor, counted, more, created, created_by, moved)
        select $1, $2, $3, $4, $5, $6, coalesce(uuid7_floor($7::timestamptz - interval '1 day'), '00000000-0000-0000-0000-000000000000'), $8, $9,
          clock_timestamp(), $10, clock_timestamp() from n where n.n < $11
        returning *),
      ${audited('run.bulk', { first: 12, by: 10 })}
      select ${COLUMNS} from b`,
    values: [
      ...[randomUUIDv7(), filter.workspace, type, force, reason?.replaceAll('\u0000', ''), JSON.stringify(storedFilter(filter))],
      ...[filter.since, counted, more, by, max, ...auditValues()],
    ],
  });
  return rows[0];
}

/** A job of the workspace; undefined for another's. */
export async function findBulk(db: Rows, bulk: { workspace: string; id: string }): Promise<BulkRow | undefined> {
  const rows = await db.rows<BulkRow>({
    name: 'bulk_find',
    text: `select ${COLUMNS} from bulk where id = $1 and workspace = $2`,
    values: [bulk.id, bulk.workspace],
  });
  return rows[0];
}

/** Newest first. @param page.before id of the last one of the page before */
export const listBulk = (db: Rows, page: { workspace: string; before: string | undefined; limit: number }): Promise<BulkRow[]> =>
  db.rows<BulkRow>({
    name: 'bulk_list',
    text: `select ${COLUMNS} from bulk where workspace = $1 and ($2::uuid is null or id < $2) order by id desc limit $3`,
    values: [page.workspace, page.before, page.limit],
  });

/** Ends a job: no run gets its command after this. @returns undefined = it has ended before */
export async function abortBulk(db: Rows, bulk: { workspace: string; id: string; by: string }): Promise<BulkRow | undefined> {
  const rows = await db.rows<BulkRow>({
    name: 'bulk_abort',
    text: `with b as (update bulk set status = 'aborted', finished = clock_timestamp() where id = $1 and workspace = $2 and finished is null returning *),
      ${audited('run.bulk.abort', { first: 4, by: 3 })}
      select ${COLUMNS} from b`,
    values: [bulk.id, bulk.workspace, bulk.by, ...auditValues()],
  });
  return rows[0];
}
