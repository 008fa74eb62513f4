import { HOOK_LIMITS } from '../../domain/hook/hook.ts';
import { auditInto, auditValues } from '../audit.ts';
import type { Database } from '../database.ts';

type Rows = Pick<Database, 'rows'>;

/** What may be told of a secret: all but its value. */
export type SecretInfo = {
  name: string;
  version: number;
  key_id: string;
  created: string;
  created_by: string;
  updated: string;
  updated_by: string;
};
/** A secret as it is kept; `sealed` opens for this workspace and name alone. */
export type SealedRow = { workspace: string; name: string; version: number; key_id: string; sealed: Buffer };

const COLUMNS = 'name, version, key_id, created, created_by, updated, updated_by';

const audited = (action: string, places: { first: number; by: number }): string =>
  `a as (${auditInto(places.first, {
    ...{ from: 's', workspace: 's.workspace', actor: `$${places.by}`, action: `'${action}'`, object: `'secret:' || s.name` },
    data: `json_build_object('version', s.version, 'keyId', s.key_id)`,
  })})`;

/**
 * Keeps a value under the next version of its name.
 * @param secret.overlapMs how long hooks that name the secret accept its former value
 * @returns undefined = the workspace has `max` others
 */
export async function setSecret(
  db: Rows,
  secret: { workspace: string; name: string; keyId: string; sealed: Buffer; by: string; max: number; overlapMs: number },
): Promise<SecretInfo | undefined> {
  const rows = await db.rows<SecretInfo>({
    name: 'secret_set',
    text: `with n as (select count(*) as n, coalesce(bool_or(name = $2), false) as known from secret where workspace = $1),
      s as (insert into secret as k (workspace, name, version, key_id, sealed, created, created_by, updated, updated_by)
        select $1, $2, 1, $3, $4, clock_timestamp(), $5, clock_timestamp(), $5 from n where n.known or n.n < $6
        on conflict (workspace, name) do update set version = k.version + 1, key_id = excluded.key_id, sealed = excluded.sealed,
          updated = excluded.updated, updated_by = excluded.updated_by
        returning *),
      p as (insert into secret_past (workspace, name, version, key_id, sealed, until)
        select o.workspace, o.name, o.version, o.key_id, o.sealed, clock_timestamp() + make_interval(secs => $7::float8 / 1000) from secret o
        where o.workspace = $1 and o.name = $2 and $7::float8 > 0 and exists (select from hook h where h.workspace = $1 and h.secret = $2)
        on conflict do nothing),
      q as (delete from secret_past p using secret o where o.workspace = $1 and o.name = $2 and p.workspace = $1 and p.name = $2
        and p.version <= o.version - ${HOOK_LIMITS.pastSecrets}),
      ${audited('secret.set', { first: 8, by: 5 })}
      select ${COLUMNS} from s`,
    values: [...[secret.workspace, secret.name, secret.keyId, secret.sealed, secret.by, secret.max, secret.overlapMs], ...auditValues()],
  });
  return rows[0];
}

/** By name. @param page.after last name of the page before */
export const listSecrets = (db: Rows, page: { workspace: string; after: string; limit: number }): Promise<SecretInfo[]> =>
  db.rows<SecretInfo>({
    name: 'secret_list',
    text: `select ${COLUMNS} from secret where workspace = $1 and name collate "C" > $2 order by name collate "C" limit $3`,
    values: [page.workspace, page.after, page.limit],
  });

/** @returns false if there is no such secret */
export async function deleteSecret(db: Rows, secret: { workspace: string; name: string; by: string }): Promise<boolean> {
  const rows = await db.rows({
    name: 'secret_delete',
    text: `with s as (delete from secret where workspace = $1 and name = $2 returning *),
      p as (delete from secret_past where workspace = $1 and name = $2),
      ${audited('secret.delete', { first: 4, by: 3 })}
      select 1 from s`,
    values: [secret.workspace, secret.name, secret.by, ...auditValues()],
  });
  return rows.length > 0;
}

/** Those of `names` that there are. */
export const readSealed = (db: Rows, query: { workspace: string; names: readonly string[] }): Promise<SealedRow[]> =>
  db.rows<SealedRow>({
    name: 'secret_sealed',
    text: 'select workspace, name, version, key_id, sealed from secret where workspace = $1 and name = any($2)',
    values: [query.workspace, query.names],
  });

/** Values of now, and those that hooks still accept. */
export type SecretTable = 'secret' | 'secret_past';

/**
 * Secrets under other keys than `keyId`, in order.
 * @param page.workspace null = of all @param page.after the last one of the page before
 */
export const listUnderOtherKeys = (
  db: Rows,
  page: { table: SecretTable; workspace: string | null; keyId: string; after: SealedRow | undefined; limit: number },
): Promise<SealedRow[]> =>
  db.rows<SealedRow>({
    name: `${page.table}_other_keys`,
    text: `select workspace, name, version, key_id, sealed from ${page.table}
      where key_id <> $1 and ($2::uuid is null or workspace = $2) and ($3::uuid is null or (workspace, name collate "C", version) > ($3, $4, $5))
      order by workspace, name collate "C", version limit $6`,
    values: [page.keyId, page.workspace, page.after?.workspace ?? null, page.after?.name ?? '', page.after?.version ?? 0, page.limit],
  });

type Replaced = { table: SecretTable; keyId: string; sealed: Buffer; by: string };

/** The same value under another key. @returns false if it has changed meanwhile */
export async function replaceSealed(db: Rows, before: SealedRow, now: Replaced): Promise<boolean> {
  const rows = await db.rows({
    name: `${now.table}_replace`,
    text: `with s as (update ${now.table} set key_id = $4, sealed = $5 where workspace = $1 and name = $2 and version = $3 and sealed = $7 returning *),
      ${audited('secret.reencrypt', { first: 8, by: 6 })}
      select 1 from s`,
    values: [before.workspace, before.name, before.version, now.keyId, now.sealed, now.by, before.sealed, ...auditValues()],
  });
  return rows.length > 0;
}
