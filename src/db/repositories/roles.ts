import { auditValues } from '../audit.ts';
import { auditOf } from '../auditOf.ts';
import type { Database } from '../database.ts';
import { asProblems } from '../refused.ts';

type Rows = Pick<Database, 'rows'>;

/** A role of a workspace's own. */
export type RoleRow = {
  workspace: string;
  name: string;
  title: string | null;
  actions: string[];
  created: string;
  created_by: string;
  version: number;
};

const COLUMNS = 'c.workspace, c.name, c.title, c.actions, c.created, c.created_by, c.version';

export async function findRole(db: Rows, role: { workspace: string; name: string }): Promise<RoleRow | undefined> {
  const rows = await db.rows<RoleRow>({
    name: 'role_find',
    text: `select ${COLUMNS} from role c where c.workspace = $1 and c.name = $2`,
    values: [role.workspace, role.name],
  });
  return rows[0];
}

/** Of the roles `c` that have changed. */
const audited = auditOf({ from: 'c', workspace: 'c.workspace', object: `'role:' || c.name` });

const SAID = `json_build_object('title', c.title, 'actions', c.actions)`;

/** By name. @param page.after last name of the page before */
export const listRoles = (db: Rows, page: { workspace: string; after: string; limit: number }): Promise<RoleRow[]> =>
  db.rows<RoleRow>({
    name: 'role_list',
    text: `select ${COLUMNS} from role c where c.workspace = $1 and c.name > $2 order by c.name limit $3`,
    values: [page.workspace, page.after, page.limit],
  });

type RoleChange = { workspace: string; name: string; title: string | null; actions: readonly string[]; by: string };

/** Makes a role. @returns undefined = there is one of that name by now, or the workspace has `max` */
export async function createRole(db: Rows, role: RoleChange, max: number): Promise<RoleRow | undefined> {
  const rows = await db.rows<RoleRow>({
    name: 'role_create',
    text: `with c as (insert into role (workspace, name, title, actions, created, created_by)
        select $1, $2, $3, $4, clock_timestamp(), $5 where (select count(*) from role where workspace = $1) < $6 on conflict do nothing returning *),
      a as (${audited('role.created', { by: 5, first: 7, after: SAID })})
      select ${COLUMNS} from c`,
    values: [role.workspace, role.name, role.title, role.actions, role.by, max, ...auditValues()],
  });
  return rows[0];
}

/** Changes what a role may, for all who have it. @returns undefined = it is no longer as it was `seen` */
export async function changeRole(db: Rows, seen: RoleRow, change: RoleChange): Promise<RoleRow | undefined> {
  const rows = await db.rows<RoleRow>({
    name: 'role_change',
    text: `with c as (update role set title = $3, actions = $4, version = version + 1 where workspace = $1 and name = $2 and version = $6 returning *),
      a as (${audited('role.redefined', { by: 5, first: 8, before: '$7::json', after: SAID })})
      select ${COLUMNS} from c`,
    values: [
      ...[seen.workspace, seen.name, change.title, change.actions, change.by, seen.version],
      ...[JSON.stringify({ title: seen.title, actions: seen.actions }), ...auditValues()],
    ],
  });
  return rows[0];
}

/** @returns false if there is none @throws Problem role_held */
export async function deleteRole(db: Rows, role: { workspace: string; name: string; by: string }): Promise<boolean> {
  const rows = await asProblems(
    db.rows({
      name: 'role_delete',
      text: `with c as (delete from role where workspace = $1 and name = $2 returning *),
        a as (${audited('role.deleted', { by: 3, first: 4, before: SAID })})
        select 1 from c`,
      values: [role.workspace, role.name, role.by, ...auditValues()],
    }),
  );
  return rows.length > 0;
}
