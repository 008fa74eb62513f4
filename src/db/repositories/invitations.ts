import { randomUUIDv7 } from 'node:crypto';
import { SYSTEM_WORKSPACE } from '../../domain/retention/policy.ts';
import { auditInto, auditValues } from '../audit.ts';
import { issueOneTime, newToken } from '../oneTime.ts';
import { asProblems } from '../refused.ts';
import type { Rows } from '../transaction.ts';

/** A role in a project, by its id. */
export type ProjectGrant = { project: string; role: string };

export type InvitationRow = {
  workspace: string;
  id: string;
  email: string | null;
  /** The link went to the address alone. */
  mailed: boolean;
  role: string;
  projects: ProjectGrant[];
  created: string;
  created_by: string;
  expires: string;
};

const COLUMNS = 'i.workspace, i.id, i.email, i.mailed, i.role, i.projects, i.created, i.created_by, i.expires';
const OPEN = 'i.settled is null and i.expires > clock_timestamp()';

type Said = { by: string; first: number; after?: string };

/** Of the invitations `i` that have changed. @param said.by who, as SQL @param said.first of the values of the audit */
const audited = (action: string, { by, first, after }: Said): string =>
  auditInto(first, {
    ...{ from: 'i', workspace: 'i.workspace', actor: by, action: `'${action}'`, object: `'invitation:' || i.id` },
    ...(after !== undefined && { after }),
  });

export type NewInvitation = Pick<InvitationRow, 'workspace' | 'email' | 'mailed' | 'role' | 'projects'> & {
  by: string;
  /** ms since the epoch */
  now: number;
  ttlMs: number;
  /** How many open ones the workspace may have. */
  max: number;
  /** Whoever accepts is also an owner of the system workspace. */
  operator?: boolean;
};

/**
 * Makes an invitation and its token, which is in the answer and nowhere else, within a transaction.
 * @returns undefined = the workspace has `max` @throws Problem unknown_role
 */
export async function createInvitation(
  tx: Rows,
  invitation: NewInvitation,
): Promise<{ invitation: InvitationRow; token: string } | undefined> {
  const { workspace, now, ttlMs } = invitation;
  const [row] = await asProblems(
    tx.rows<InvitationRow>({
      name: 'invitation_create',
      text: `with i as (insert into invitation as i (workspace, id, email, mailed, role, projects, operator, created, created_by, expires)
          select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 where (select count(*) from invitation i where i.workspace = $1 and ${OPEN}) < $11 returning *),
        a as (${audited('invitation.created', { by: '$9', first: 12, after: `json_build_object('role', i.role, 'projects', i.projects)` })})
        select ${COLUMNS} from i`,
      values: [
        ...[workspace, randomUUIDv7(), invitation.email, invitation.mailed, invitation.role, JSON.stringify(invitation.projects)],
        ...[invitation.operator ?? false, new Date(now), invitation.by, new Date(now + ttlMs), invitation.max, ...auditValues()],
      ],
    }),
  );
  if (!row) return undefined;
  const data = { workspace, id: row.id };
  const token = await issueOneTime(tx, { kind: 'invitation', now, ttlMs, data, token: newToken('tiui_') });
  return { invitation: row, token };
}

/** Open ones, newest first. @param page.before id of the last one of the page before */
export const listInvitations = (
  db: Rows,
  page: { workspace: string; before: string | undefined; limit: number },
): Promise<InvitationRow[]> =>
  db.rows<InvitationRow>({
    name: 'invitation_list',
    text: `select ${COLUMNS} from invitation i where i.workspace = $1 and ($2::uuid is null or i.id < $2) and ${OPEN} order by i.id desc limit $3`,
    values: [page.workspace, page.before ?? null, page.limit],
  });

/** One that can still be accepted. */
export async function findInvitation(db: Rows, invitation: { workspace: string; id: string }): Promise<InvitationRow | undefined> {
  const rows = await db.rows<InvitationRow>({
    name: 'invitation_find',
    text: `select ${COLUMNS} from invitation i where i.workspace = $1 and i.id = $2 and ${OPEN}`,
    values: [invitation.workspace, invitation.id],
  });
  return rows[0];
}

/** @returns false if it is not open */
export async function revokeInvitation(db: Rows, invitation: { workspace: string; id: string; by: string }): Promise<boolean> {
  const rows = await db.rows({
    name: 'invitation_revoke',
    text: `with i as (update invitation i set settled = clock_timestamp(), outcome = 'revoked' where i.workspace = $1 and i.id = $2 and ${OPEN} returning *),
      a as (${audited('invitation.revoked', { by: '$3', first: 4 })})
      select 1 from i`,
    values: [invitation.workspace, invitation.id, invitation.by, ...auditValues()],
  });
  return rows.length > 0;
}

/** What lasts of what somebody had goes before what they are invited to. */
const JOIN = `role = excluded.role, granted_by = excluded.granted_by, granted = excluded.granted, expires = null, version = k.version + 1
  where k.expires <= excluded.granted`;

/**
 * Gives an account what an invitation says, and settles it. Belongs into the transaction that has redeemed its token.
 * @returns false if it is not open any more @throws Problem unknown_role
 */
export async function settleInvitation(tx: Rows, invitation: { workspace: string; id: string; account: string }): Promise<boolean> {
  const { workspace, id, account } = invitation;
  const rows = await asProblems(
    tx.rows<{ operator: boolean }>({
      name: 'invitation_settle',
      text: `with i as (update invitation i set settled = clock_timestamp(), outcome = 'accepted', account = $3 where i.workspace = $1 and i.id = $2 and ${OPEN} returning *),
        m as (insert into membership as k (workspace, account, role, granted_by, granted) select i.workspace, $3, i.role, i.created_by, i.settled from i
          on conflict (workspace, account) do update set ${JOIN}),
        o as (insert into membership as k (workspace, account, role, granted_by, granted) select '${SYSTEM_WORKSPACE}', $3, 'owner', i.created_by, i.settled from i where i.operator
          on conflict (workspace, account) do update set ${JOIN}),
        p as (insert into project_member as k (workspace, project, account, role, granted_by, granted)
          select i.workspace, j.id, $3, x.role, i.created_by, i.settled from i cross join json_to_recordset(i.projects) x(project uuid, role text)
            join project j on j.workspace = i.workspace and j.id = x.project
          on conflict (workspace, project, account) do update set ${JOIN}),
        a as (${audited('invitation.accepted', { by: `'user:' || $3::uuid`, first: 4, after: `json_build_object('role', i.role, 'projects', i.projects)` })})
        select i.operator from i`,
      values: [workspace, id, account, ...auditValues()],
    }),
  );
  return rows.length > 0;
}
