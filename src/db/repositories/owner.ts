import { randomUUIDv7 } from 'node:crypto';
import { SCOPES } from '../../domain/access/actions.ts';
import type { OrmDatabase } from '../database.ts';
import { createApiKey } from './apiKeys.ts';

/** Gives a key every scope that there is by now. */
export async function widenKey(db: Pick<OrmDatabase, 'rows'>, id: string): Promise<void> {
  await db.rows({
    name: 'owner_widen',
    text: 'update api_key set scopes = $2 where id = $1 and not scopes @> $2::text[]',
    values: [id, [...SCOPES].sort()],
  });
}

/** Id of the workspace of that name, made if there is none. */
export async function ensureWorkspace(db: Pick<OrmDatabase, 'rows'>, name: string): Promise<string> {
  const rows = await db.rows<{ id: string }>({
    name: 'owner_workspace',
    text: `insert into workspace (id, name, created) values ($1, $2, clock_timestamp())
      on conflict (name) do update set name = excluded.name returning id`,
    values: [randomUUIDv7(), name],
  });
  return rows[0]?.id ?? '';
}

/** The workspace of that name, made if there is none, and a new key to it with every scope. */
export async function ensureOwner(db: OrmDatabase, input: { workspaceName: string }): Promise<{ workspace: string; key: string }> {
  const workspace = await ensureWorkspace(db, input.workspaceName);
  const { key } = await createApiKey(db, { workspace, name: 'owner', scopes: SCOPES, by: 'owner' });
  return { workspace, key };
}
