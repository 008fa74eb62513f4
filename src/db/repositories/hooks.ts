import { randomUUID } from 'node:crypto';
import type { HookScheme } from '../../domain/hook/hook.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../database.ts';
import type { SealedRow } from './secrets.ts';

type Rows = Pick<Database, 'rows'>;

/** What turns signed deliveries of the outside into events of a workspace. */
export type HookRow = {
  workspace: string;
  /** In its address. */
  id: string;
  name: string;
  event_name: string;
  /** Text with expressions over the payload. */
  event_key: string;
  scheme: HookScheme;
  /** Name of the secret that deliveries are signed with. */
  secret: string;
  /** Seconds. */
  tolerance: number;
  created: string;
  created_by: string;
  updated: string;
  updated_by: string;
};

const COLUMNS = ['workspace', 'id', 'name', 'event_name', 'event_key', 'scheme', 'secret', 'tolerance', 'created', 'created_by', 'updated']
  .concat('updated_by')
  .map((column) => `h.${column}`)
  .join(', ');

const audited = (action: string, places: { first: number; by: number }): string =>
  `a as (${auditInto(places.first, {
    ...{ from: 'h', workspace: 'h.workspace', actor: `$${places.by}`, action: `'${action}'`, object: `'hook:' || h.name` },
    data: `json_build_object('id', h.id, 'event', h.event_name, 'key', h.event_key, 'scheme', h.scheme, 'secret', h.secret, 'tolerance', h.tolerance)`,
  })})`;

export type NewHook = Pick<HookRow, 'workspace' | 'name' | 'event_name' | 'event_key' | 'scheme' | 'secret' | 'tolerance'> & { by: string };

/** Makes or changes a hook, which keeps its id. @returns undefined = the workspace has `max` others */
export async function setHook(db: Rows, hook: NewHook, max: number): Promise<HookRow | undefined> {
  const rows = await db.rows<HookRow>({
    name: 'hook_set',
    text: `with n as (select count(*) as n, coalesce(bool_or(name = $2), false) as known from hook where workspace = $1),
      h as (insert into hook as k (workspace, name, id, event_name, event_key, scheme, secret, tolerance, created, created_by, updated, updated_by)
        select $1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), $9, clock_timestamp(), $9 from n where n.known or n.n < $10
        on conflict (workspace, name) do update set event_name = excluded.event_name, event_key = excluded.event_key, scheme = excluded.scheme,
          secret = excluded.secret, tolerance = excluded.tolerance, updated = excluded.updated, updated_by = excluded.updated_by
        returning *),
      ${audited('hook.set', { first: 11, by: 9 })}
      select ${COLUMNS} from h`,
    values: [
      ...[hook.workspace, hook.name, randomUUID(), hook.event_name, hook.event_key, hook.scheme, hook.secret, hook.tolerance, hook.by],
      ...[max, ...auditValues()],
    ],
  });
  return rows[0];
}

export async function findHook(db: Rows, hook: { workspace: string; name: string }): Promise<HookRow | undefined> {
  const rows = await db.rows<HookRow>({
    name: 'hook_find',
    text: `select ${COLUMNS} from hook h where h.workspace = $1 and h.name = $2`,
    values: [hook.workspace, hook.name],
  });
  return rows[0];
}

/** By name. @param page.after last name of the page before */
export const listHooks = (db: Rows, page: { workspace: string; after: string; limit: number }): Promise<HookRow[]> =>
  db.rows<HookRow>({
    name: 'hook_list',
    text: `select ${COLUMNS} from hook h where h.workspace = $1 and h.name > $2 order by h.name limit $3`,
    values: [page.workspace, page.after, page.limit],
  });

export async function deleteHook(db: Rows, hook: { workspace: string; name: string; by: string }): Promise<void> {
  await db.rows({
    name: 'hook_delete',
    text: `with h as (delete from hook where workspace = $1 and name = $2 returning *), ${audited('hook.delete', { first: 4, by: 3 })} select from h`,
    values: [hook.workspace, hook.name, hook.by, ...auditValues()],
  });
}

type Sealed = Pick<SealedRow, 'key_id' | 'sealed'>;

/** A hook by its address, with the values that its secret has and, for a time, had, the present one first. */
export async function findReceivingHook(
  db: Rows,
  hook: { id: string; name: string; past: number },
): Promise<(HookRow & { values: Sealed[] }) | undefined> {
  const rows = await db.rows<HookRow & { [column in keyof Sealed]: Sealed[column] | null }>({
    name: 'hook_receiving',
    text: `select ${COLUMNS}, v.key_id, v.sealed from hook h left join lateral (
        select s.version, s.key_id, s.sealed from secret s where s.workspace = h.workspace and s.name = h.secret
        union all (select p.version, p.key_id, p.sealed from secret_past p where p.workspace = h.workspace and p.name = h.secret
          and p.until > clock_timestamp() order by p.version desc limit $3)) v on true
      where h.id = $1 and h.name = $2 order by v.version desc`,
    values: [hook.id, hook.name, hook.past],
  });
  const [found] = rows;
  return (
    found && { ...found, values: rows.flatMap(({ key_id, sealed }) => (key_id === null || sealed === null ? [] : [{ key_id, sealed }])) }
  );
}
