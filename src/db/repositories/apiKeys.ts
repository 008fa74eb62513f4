import { createHash, randomBytes, randomUUIDv7 } from 'node:crypto';
import type { Scope } from '../../domain/access/actions.ts';
import type { OrmDatabase } from '../database.ts';
import { ApiKey } from '../entities/apiKey.entity.ts';
import { Audit } from '../entities/audit.entity.ts';

export type ApiKeyInfo = { id: string; name: string; scopes: Scope[]; created: Date; lastUsed: Date | null };

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Makes a key of a workspace. The key itself is in the answer and nowhere else. @param input.by who makes it */
export async function createApiKey(
  db: OrmDatabase,
  input: { workspace: string; name: string; scopes: readonly Scope[]; by: string },
): Promise<ApiKeyInfo & { key: string }> {
  const { workspace, name } = input;
  const id = randomUUIDv7();
  const key = `tiu_${id.replaceAll('-', '')}_${randomBytes(32).toString('base64url')}`;
  const scopes = [...new Set(input.scopes)].sort();
  const created = new Date();
  await db.orm.em.fork().transactional(async (em) => {
    await em.insert(ApiKey, { id, workspace, name, hash: hashOf(key), scopes, created, version: 1 });
    await em.insert(Audit, auditOf('key.create', { id, workspace, by: input.by }));
  });
  return { id, key, name, scopes, created, lastUsed: null };
}

const auditOf = (action: string, key: { id: string; workspace: string; by: string }) => ({
  id: randomUUIDv7(),
  workspace: key.workspace,
  actor: key.by,
  action,
  subject: `key:${key.id}`,
  at: new Date(),
});

/** Keys that are not revoked, newest first. @param before id of the last one of the page before */
export async function listApiKeys(
  db: OrmDatabase,
  page: { workspace: string; before: string | undefined; limit: number },
): Promise<ApiKeyInfo[]> {
  const rows = await db.orm.em
    .fork()
    .find(
      ApiKey,
      { workspace: page.workspace, revoked: null, ...(page.before !== undefined && { id: { $lt: page.before } }) },
      { orderBy: { id: 'desc' }, limit: page.limit },
    );
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    scopes: row.scopes as Scope[],
    created: row.created,
    lastUsed: row.lastUsed ?? null,
  }));
}

/** @returns false if there is no such key in the workspace, or it was revoked before */
export async function revokeApiKey(db: OrmDatabase, key: { workspace: string; id: string; by: string }): Promise<boolean> {
  return db.orm.em.fork().transactional(async (em) => {
    const changed = await em.nativeUpdate(ApiKey, { id: key.id, workspace: key.workspace, revoked: null }, { revoked: new Date() });
    if (changed === 1) await em.insert(Audit, auditOf('key.revoke', key));
    return changed === 1;
  });
}
