import type { Rows } from '../transaction.ts';
import { readUsed } from './quotas.ts';

export async function workspaceNamed(db: Rows, name: string): Promise<string | undefined> {
  const rows = await db.rows<{ id: string }>({
    name: 'workspace_by_name',
    text: 'select id from workspace where name = $1',
    values: [name],
  });
  return rows[0]?.id;
}

/**
 * How many members a workspace has, counted so that nobody joins meanwhile: its row is locked until the transaction ends. Who is a
 * member already takes no room, nor waits. @param of.max from where on it does not matter how many there are
 * @returns undefined = there is room
 */
export async function membersAt(
  tx: Rows,
  of: { workspace: string; account: string; max: number },
): Promise<{ used: number; max: number } | undefined> {
  const { workspace, account, max } = of;
  const there = await tx.rows({
    name: 'join_is_member',
    text: 'select 1 from membership where workspace = $1 and account = $2',
    values: [workspace, account],
  });
  if (there.length > 0) return undefined;
  await tx.rows({ name: 'join_turn', text: 'select from workspace where id = $1 for no key update', values: [workspace] });
  const used = await readUsed(tx, { workspace, name: 'members', upTo: max });
  return used < max ? undefined : { used, max };
}

/** Makes an account a member, as settings say. */
export async function joinWorkspace(
  db: Rows,
  join: { workspace: string; role: string; account: string; by: string; now: number },
): Promise<void> {
  await db.rows({
    name: 'workspace_join',
    text: `insert into membership (workspace, account, role, granted_by, granted)
      values ($1, $2, $3, $4, $5) on conflict do nothing`,
    values: [join.workspace, join.account, join.role, join.by, new Date(join.now)],
  });
}
