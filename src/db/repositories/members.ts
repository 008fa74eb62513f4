import { auditValues } from '../audit.ts';
import { auditOf } from '../auditOf.ts';
import type { Database } from '../database.ts';
import { asProblems } from '../refused.ts';

type Rows = Pick<Database, 'rows'>;

/** A person in a workspace, with what the role is if it is one of the workspace's own. */
export type MemberRow = {
  workspace: string;
  account: string;
  /** The principal of the person. */
  owner: string;
  name: string;
  full_name: string | null;
  email: string | null;
  status: string;
  role: string;
  /** Of a role of the workspace's own; null = one that every workspace has. */
  actions: string[] | null;
  granted_by: string;
  granted: string;
  expires: string | null;
  version: number;
};

const COLUMNS = `m.workspace, m.account, 'user:' || m.account as owner, a.name, a.full_name, a.email, a.status, m.role, r.actions, m.granted_by, m.granted, m.expires, m.version`;
const JOINED = 'join account a on a.id = m.account left join role r on r.workspace = m.workspace and r.name = m.role';
/** A grant that has ended is none. */
const LASTS = '(m.expires is null or m.expires > clock_timestamp())';

/** Of the members `m` that have changed. */
const audited = auditOf({ from: 'm', workspace: 'm.workspace', object: `'user:' || m.account` });

const AFTER = `json_build_object('role', m.role, 'expires', m.expires)`;

export async function findMember(db: Rows, member: { workspace: string; account: string }): Promise<MemberRow | undefined> {
  const rows = await db.rows<MemberRow>({
    name: 'member_find',
    text: `select ${COLUMNS} from membership m ${JOINED} where m.workspace = $1 and m.account = $2 and ${LASTS}`,
    values: [member.workspace, member.account],
  });
  return rows[0];
}

/** By id of the account, so in the order in which they came to the installation. @param page.after account of the last one of the page before */
export const listMembers = (
  db: Rows,
  page: { workspace: string; role: string | undefined; after: string; limit: number },
): Promise<MemberRow[]> =>
  db.rows<MemberRow>({
    name: 'member_list',
    text: `select ${COLUMNS} from membership m ${JOINED} where m.workspace = $1 and m.account > $2 and ($3::text is null or m.role = $3) and ${LASTS}
      order by m.account limit $4`,
    values: [page.workspace, page.after, page.role ?? null, page.limit],
  });

export type Grant = { role: string; expires: Date | null; by: string };

/**
 * Another role or another end. @param seen the member as it was when the change was allowed
 * @returns false if it has changed since @throws Problem last_owner, unknown_role
 */
export async function setMember(db: Rows, seen: MemberRow, grant: Grant): Promise<boolean> {
  const rows = await asProblems(
    db.rows({
      name: 'member_set',
      text: `with m as (update membership set role = $3, expires = $4, granted_by = $5, granted = clock_timestamp(), version = version + 1
          where workspace = $1 and account = $2 and version = $6 returning *),
        a as (${audited('role.changed', { by: 5, first: 8, before: '$7::json', after: AFTER })})
        select 1 from m`,
      values: [
        ...[seen.workspace, seen.account, grant.role, grant.expires, grant.by, seen.version],
        ...[JSON.stringify({ role: seen.role, expires: seen.expires }), ...auditValues()],
      ],
    }),
  );
  return rows.length > 0;
}

/** Takes somebody out of a workspace, and a trigger out of its projects. @returns false if the member has changed since it was `seen` @throws Problem last_owner */
export async function removeMember(db: Rows, seen: MemberRow, by: string): Promise<boolean> {
  const rows = await asProblems(
    db.rows({
      name: 'member_remove',
      text: `with m as (delete from membership where workspace = $1 and account = $2 and version = $4 returning *),
        a as (${audited('member.removed', { by: 3, first: 5, before: AFTER })})
        select 1 from m`,
      values: [seen.workspace, seen.account, by, seen.version, ...auditValues()],
    }),
  );
  return rows.length > 0;
}
