import type { Rows } from '../transaction.ts';

/** Makes an account a member of the workspace of that name, as settings say. Nothing happens when there is no such workspace. */
export async function joinWorkspace(
  db: Rows,
  join: { workspace: string; role: string; account: string; by: string; now: number },
): Promise<void> {
  await db.rows({
    name: 'workspace_join',
    text: `insert into membership (workspace, account, role, granted_by, granted)
      select id, $2, $3, $4, $5 from workspace where name = $1 on conflict do nothing`,
    values: [join.workspace, join.account, join.role, join.by, new Date(join.now)],
  });
}
