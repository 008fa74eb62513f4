import { randomUUIDv7 } from 'node:crypto';
import { SCOPES } from '../../domain/access/actions.ts';
import type { OrmDatabase } from '../database.ts';
import { createApiKey } from './apiKeys.ts';

/** The workspace of that name, made if there is none, and a new key to it with every scope. */
export async function ensureOwner(db: OrmDatabase, input: { workspaceName: string }): Promise<{ workspace: string; key: string }> {
  const rows = await db.rows<{ id: string }>({
    name: 'owner_workspace',
    text: `insert into workspace (id, name, created) values ($1, $2, clock_timestamp())
      on conflict (name) do update set name = excluded.name returning id`,
    values: [randomUUIDv7(), input.workspaceName],
  });
  const workspace = rows[0]?.id ?? '';
  const { key } = await createApiKey(db, { workspace, name: 'owner', scopes: SCOPES, by: 'owner' });
  return { workspace, key };
}
