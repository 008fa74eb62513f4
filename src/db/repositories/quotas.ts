import type { QuotaName } from '../../domain/quota/quotas.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../database.ts';

type Rows = Pick<Database, 'rows'>;
/** Quotas that are counted in the database. */
export type CountedQuota = Exclude<QuotaName, 'sockets'>;

/** What the operators have set for a workspace, by name. */
export async function readQuotas(db: Rows, workspace: string): Promise<ReadonlyMap<string, number>> {
  const rows = await db.rows<{ name: string; max: number }>({
    name: 'quota_read',
    text: 'select name, max::float8 as max from workspace_quota where workspace = $1',
    values: [workspace],
  });
  return new Map(rows.map((row) => [row.name, row.max]));
}

/** Sets a quota, or with null goes back to the setting. @returns false = there is no such workspace */
export async function setQuota(
  db: Rows,
  quota: { workspace: string; name: QuotaName; max: number | null; by: string; system: string },
): Promise<boolean> {
  const rows = await db.rows({
    name: 'quota_set',
    text: `with w as (select w.id, q.max as was from workspace w left join workspace_quota q on q.workspace = w.id and q.name = $2 where w.id = $1),
      s as (insert into workspace_quota (workspace, name, max, set_by, at) select id, $2, $3, $4, clock_timestamp() from w where $3::bigint is not null
        on conflict (workspace, name) do update set max = excluded.max, set_by = excluded.set_by, at = excluded.at),
      d as (delete from workspace_quota where workspace = $1 and name = $2 and $3::bigint is null),
      a as (${auditInto(6, {
        ...{ from: 'w', workspace: '$5::uuid', actor: '$4', action: `'quota.set'`, object: `'workspace:' || w.id` },
        ...{
          data: `json_build_object('name', $2::text)`,
          before: `json_build_object('max', w.was)`,
          after: `json_build_object('max', $3::bigint)`,
        },
      })})
      select 1 from w`,
    values: [quota.workspace, quota.name, quota.max, quota.by, quota.system, ...auditValues()],
  });
  return rows.length > 0;
}

/** Counted by an index and no further than `upTo`, or from what triggers have added up: never by a scan. */
const COUNTS: Readonly<Record<CountedQuota, string>> = {
  // as its index says it: one of `finished is null` alone would look as good as the key to every statement about one run
  open_runs: `select count(*)::float8 as n from (select from run_state where workspace = $1 and coalesce(finished, 'infinity') = 'infinity' limit $2) x`,
  api_keys: 'select count(*)::float8 as n from (select from api_key where workspace = $1 and revoked is null limit $2) x',
  members: 'select count(*)::float8 as n from (select from membership where workspace = $1 limit $2) x',
  artifact_bytes: `select coalesce((select used from workspace_usage where workspace = $1 and name = 'artifact_bytes'), 0)::float8
    + coalesce((select sum(delta) from usage_delta where workspace = $1 and name = 'artifact_bytes'), 0)::float8 as n, $2::float8 as most`,
};

/** How much of a quota is used. @param of.upTo from where on it does not matter how many there are */
export async function readUsed(db: Rows, of: { workspace: string; name: CountedQuota; upTo: number }): Promise<number> {
  const rows = await db.rows<{ n: number }>({ name: `used_${of.name}`, text: COUNTS[of.name], values: [of.workspace, of.upTo] });
  return rows[0]?.n ?? 0;
}

/** Adds up what triggers have noted, some at a time. Who reads meanwhile sees it before or after, never both or neither. */
export async function foldUsage(db: Rows): Promise<void> {
  await db.rows({
    name: 'usage_fold',
    text: `with d as (delete from usage_delta where ctid = any (array(select ctid from usage_delta limit 10000 for update skip locked)) returning workspace, name, delta),
      s as (select workspace, name, sum(delta) as used from d group by workspace, name order by workspace, name)
      insert into workspace_usage as u (workspace, name, used) select workspace, name, used from s
      on conflict (workspace, name) do update set used = u.used + excluded.used`,
    values: [],
  });
}
