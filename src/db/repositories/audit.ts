import type { Json } from '../../domain/json.ts';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import type { Database } from '../database.ts';

/** A sealed row of the audit. */
export type AuditRow = {
  seq: number;
  /** hex */
  hash: string;
  id: string;
  at: string;
  actor: string;
  action: string;
  /** `<kind>:<id>` */
  object: string;
  result: 'done' | 'refused';
  code: string | null;
  request: string | null;
  address: string | null;
  data: Json;
  before: Json;
  after: Json;
};

/** What is asked for; all of it has to be so. */
export type AuditFilter = {
  workspace: string;
  actor?: string | undefined;
  /** The whole action, or what it begins with, up to a dot. */
  actions?: readonly string[] | undefined;
  /** `<kind>:<id>` or a kind alone. */
  object?: string | undefined;
  result?: 'done' | 'refused' | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
};

/** Clocks of processes may differ so much from the order in which their rows were sealed. */
const SLACK = `interval '1 minute'`;

/**
 * Newest first. Looks through `page.scan` rows of the workspace at most, so that a rare thing asked for costs no more than a common one.
 * @param page.before number of the last one of the page before
 * @returns with `next`, where to go on, though there may be nothing; null at the end
 */
export async function listAudit(
  db: Pick<Database, 'rows'>,
  filter: AuditFilter,
  page: { before: number | undefined; limit: number; scan: number },
): Promise<{ rows: AuditRow[]; next: number | null }> {
  const rows = await db.rows<{ low: number | null; n: number; over: boolean | null } & (AuditRow | { seq: null })>({
    name: 'audit_list',
    text: `with w as materialized (
        select s.seq, s.hash, a.* from (select seq, hash, id from audit_seal where workspace = $1 and ($2::bigint is null or seq < $2) order by seq desc limit $3) s
          join audit a on a.id = s.id),
      e as (select min(w.seq) as low, count(*) as n, bool_or(w.at < $4::timestamptz - ${SLACK}) as over from w)
      select e.low::float8 as low, e.n::float8 as n, e.over, f.seq::float8 as seq, encode(f.hash, 'hex') as hash, f.id, f.at, f.actor, f.action, f.subject as object,
        f.result, f.code, f.request, f.address, f.data, f.before, f.after
      from e left join lateral (select w.* from w where ($4::timestamptz is null or w.at >= $4) and ($5::timestamptz is null or w.at < $5)
        and ($6::text is null or w.actor = $6) and ($7::text is null or w.subject = $7 or split_part(w.subject, ':', 1) = $7) and ($8::text is null or w.result = $8)
        and ($9::text[] is null or exists (select from unnest($9::text[]) p where w.action = p or starts_with(w.action, p || '.')))
        order by w.seq desc limit $10) f on true order by f.seq desc`,
    values: [
      ...[filter.workspace, page.before ?? null, page.scan, filter.since ?? null, filter.until ?? null, filter.actor ?? null],
      ...[filter.object ?? null, filter.result ?? null, filter.actions ?? null, page.limit],
    ],
  });
  const [first] = rows;
  const found = rows.flatMap((row) => (row.seq === null ? [] : [row]));
  if (found.length === page.limit) return { rows: found, next: found.at(-1)?.seq ?? null };
  const more = first?.n === page.scan && first.over !== true;
  return { rows: found, next: more ? first.low : null };
}

const COLUMNS = `s.seq::float8 as seq, encode(s.hash, 'hex') as hash, a.id, a.at, a.actor, a.action, a.subject as object, a.result, a.code, a.request, a.address, a.data,
  a.before, a.after`;

/**
 * What a person did in the system workspace and what was done to their account, newest first: found by indexes of that workspace
 * alone, so that rows of others are not looked at.
 * @param of.actions as of a filter @param page.before number of the last one of the page before
 */
export const listPersonEvents = (
  db: Pick<Database, 'rows'>,
  of: { principal: string; object: string; actions: readonly string[] },
  page: { before: number | undefined; limit: number },
): Promise<AuditRow[]> =>
  db.rows<AuditRow>({
    name: 'audit_of_person',
    text: `with p as (select id from audit where workspace = '${SYSTEM_WORKSPACE}' and actor = $1
        union select id from audit where workspace = '${SYSTEM_WORKSPACE}' and subject = $2)
      select ${COLUMNS} from p join audit_seal s on s.id = p.id join audit a on a.id = p.id
      where ($3::bigint is null or s.seq < $3) and exists (select from unnest($4::text[]) x where a.action = x or starts_with(a.action, x || '.'))
      order by s.seq desc limit $5`,
    values: [of.principal, of.object, page.before ?? null, of.actions, page.limit],
  });
