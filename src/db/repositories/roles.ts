import type { Database } from '../database.ts';

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

const COLUMNS = 'workspace, name, title, actions, created, created_by, version';

export async function findRole(db: Rows, role: { workspace: string; name: string }): Promise<RoleRow | undefined> {
  const rows = await db.rows<RoleRow>({
    name: 'role_find',
    text: `select ${COLUMNS} from role where workspace = $1 and name = $2`,
    values: [role.workspace, role.name],
  });
  return rows[0];
}
