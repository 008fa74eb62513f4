import { randomUUIDv7 } from 'node:crypto';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { AUDIT, auditValues, withAudit } from '../audit.ts';
import { auditOf } from '../auditOf.ts';
import type { Database } from '../database.ts';

type Rows = Pick<Database, 'rows'>;

export type WorkspaceRow = {
  id: string;
  /** The same, as what decides about rights calls it. */
  workspace: string;
  name: string;
  created: string;
  created_by: string | null;
  transfer_to: string | null;
  transfer_until: string | null;
  require_mfa: boolean;
  /** When its closing was asked for, and from when on what is in it is deleted. */
  closing: string | null;
  closing_until: string | null;
  version: number;
};

const COLUMNS = `w.id, w.id as workspace, w.name, w.created, w.created_by, case when w.transfer_until > clock_timestamp() then w.transfer_to end as transfer_to,
  case when w.transfer_until > clock_timestamp() then w.transfer_until end as transfer_until, w.require_mfa, w.closing, w.closing_until, w.version`;
const LASTS = '(m.expires is null or m.expires > clock_timestamp())';

/** Of the workspaces `w` that have changed. */
const audited = auditOf({ from: 'w', workspace: 'w.id', object: `'workspace:' || w.id` });

export async function findWorkspace(db: Rows, id: string): Promise<WorkspaceRow | undefined> {
  const rows = await db.rows<WorkspaceRow>({
    name: 'workspace_find',
    text: `select ${COLUMNS} from workspace w where w.id = $1`,
    values: [id],
  });
  return rows[0];
}

/** Those that somebody is a member of, by name, with the role there. */
export const listWorkspacesOf = (db: Rows, account: string): Promise<(WorkspaceRow & { role: string })[]> =>
  db.rows<WorkspaceRow & { role: string }>({
    name: 'workspace_list_own',
    text: `select ${COLUMNS}, m.role from membership m join workspace w on w.id = m.workspace where m.account = $1 and ${LASTS} order by w.name`,
    values: [account],
  });

/** Whether somebody is one of those who run the installation. */
export async function isOperator(db: Rows, account: string): Promise<boolean> {
  const rows = await db.rows({
    name: 'workspace_operator',
    text: `select 1 from membership m where m.workspace = $1 and m.account = $2 and m.role in ('admin', 'owner') and ${LASTS}`,
    values: [SYSTEM_WORKSPACE, account],
  });
  return rows.length > 0;
}

/** Makes a workspace that somebody owns. @param most of how many they may be an owner already @returns why not */
export async function createWorkspace(
  db: Rows,
  workspace: { name: string; account: string; most: number | null },
): Promise<WorkspaceRow | 'exists' | 'full'> {
  const { name, account, most } = workspace;
  const rows = await db.rows<WorkspaceRow>({
    name: 'workspace_create',
    text: `with o as (select from account where id = $3 for no key update),
      n as (select count(*) as n from membership m, o where m.account = $3 and m.role = 'owner' and ${LASTS}),
      w as (insert into workspace (id, name, created, created_by) select $1, $2, clock_timestamp(), 'user:' || $3::uuid from n
        where $4::int is null or n.n < $4 on conflict do nothing returning *),
      m as (insert into membership (workspace, account, role, granted_by, granted) select w.id, $3, 'owner', 'user:' || $3::uuid, clock_timestamp() from w),
      a as (${audited('workspace.created', { by: 5, first: 6, after: `json_build_object('name', w.name)` })})
      select ${COLUMNS} from w`,
    values: [randomUUIDv7(), name, account, most, `user:${account}`, ...auditValues()],
  });
  if (rows[0]) return rows[0];
  const taken = await db.rows({ name: 'workspace_named', text: 'select 1 from workspace where name = $1', values: [name] });
  return taken.length > 0 ? 'exists' : 'full';
}

/** What is left out stays. @returns undefined = another one has the name */
export async function changeWorkspace(
  db: Rows,
  seen: WorkspaceRow,
  change: { name: string | undefined; requireMfa: boolean | undefined; by: string },
): Promise<WorkspaceRow | undefined> {
  const rows = await db.rows<WorkspaceRow>({
    name: change.name === undefined ? 'workspace_change' : 'workspace_rename',
    text: `with w as (update workspace set name = coalesce($2, name), require_mfa = coalesce($5::boolean, require_mfa), version = version + 1 where id = $1 and not exists (select from workspace x where x.name = $2 and x.id <> $1) returning *),
      a as (${audited(change.name === undefined ? 'workspace.changed' : 'workspace.renamed', { by: 3, first: 6, before: '$4::json', after: `json_build_object('name', w.name, 'requireSecondFactor', w.require_mfa)` })})
      select ${COLUMNS} from w`,
    values: [
      ...[seen.id, change.name ?? null, change.by, JSON.stringify({ name: seen.name, requireSecondFactor: seen.require_mfa })],
      change.requireMfa ?? null,
      ...auditValues(),
    ],
  });
  return rows[0];
}

/** Offers a workspace to a member; an earlier offer ends. @returns undefined = no such member */
export async function offerWorkspace(
  db: Rows,
  offer: { workspace: string; to: string; by: string; ttlMs: number },
): Promise<WorkspaceRow | undefined> {
  const rows = await db.rows<WorkspaceRow>({
    name: 'workspace_offer',
    text: `with w as (update workspace w set transfer_to = $2, transfer_by = $3, transfer_until = clock_timestamp() + $4 * interval '1 ms', version = w.version + 1
        from membership m join account a on a.id = m.account where w.id = $1 and m.workspace = $1 and m.account = $2 and a.status = 'active' and ${LASTS} returning w.*),
      a as (${audited('workspace.offered', { by: 5, first: 6, data: `json_build_object('to', 'user:' || w.transfer_to)` })})
      select ${COLUMNS} from w`,
    values: [offer.workspace, offer.to, offer.by, offer.ttlMs, `user:${offer.by}`, ...auditValues()],
  });
  return rows[0];
}

/** @returns false if there was no offer */
export async function withdrawOffer(db: Rows, offer: { workspace: string; by: string }): Promise<boolean> {
  const rows = await db.rows({
    name: 'workspace_offer_withdraw',
    text: `with w as (update workspace set transfer_to = null, transfer_by = null, transfer_until = null, version = version + 1
        where id = $1 and transfer_to is not null returning *),
      a as (${audited('workspace.offer_withdrawn', { by: 2, first: 3 })})
      select 1 from w`,
    values: [offer.workspace, offer.by, ...auditValues()],
  });
  return rows.length > 0;
}

/** Makes somebody the owner of what was offered to them. @returns false if nothing is offered to them any more */
export async function acceptOffer(db: Rows, offer: { workspace: string; account: string }): Promise<boolean> {
  const { places, values } = withAudit([offer.workspace, offer.account, AUDIT]);
  const rows = await db.rows<{ done: boolean }>({
    name: 'workspace_offer_accept',
    text: `select accept_transfer_v1(${places}) as done`,
    values,
  });
  return rows[0]?.done ?? false;
}
