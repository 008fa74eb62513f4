import { randomBytes, randomUUIDv7 } from 'node:crypto';
import type { InferEntity } from '@mikro-orm/core';
import type { Scope } from '../../domain/access/actions.ts';
import { auditRow } from '../audit.ts';
import type { OrmDatabase } from '../database.ts';
import { ApiKey } from '../entities/apiKey.entity.ts';
import { Audit } from '../entities/audit.entity.ts';
import { tokenHash } from '../oneTime.ts';

/** `account`: the person it belongs to. */
export type ApiKeyInfo = {
  id: string;
  workspace: string;
  name: string;
  scopes: Scope[];
  created: Date;
  lastUsed: Date | null;
  account: string | null;
  expires: Date | null;
};

type NewApiKey = { workspace: string; name: string; scopes: readonly Scope[]; by: string; account?: string; expires?: Date };

/** Makes a key of a workspace. The key itself is in the answer and nowhere else. @param input.by who makes it */
export async function createApiKey(db: OrmDatabase, input: NewApiKey): Promise<ApiKeyInfo & { key: string }> {
  const { workspace, name, account = null, expires = null } = input;
  const id = randomUUIDv7();
  const key = `${prefixOf(id)}${randomBytes(32).toString('base64url')}`;
  const scopes = [...new Set(input.scopes)].sort();
  const created = new Date();
  await db.orm.em.fork().transactional(async (em) => {
    await em.insert(ApiKey, { id, workspace, name, hash: tokenHash(key), scopes, created, account, expires, version: 1 });
    const after = { name, scopes, expires: expires?.toISOString() ?? null };
    await em.insert(Audit, auditRow({ workspace, actor: input.by, action: 'key.create', object: `key:${id}`, after }));
  });
  return { id, workspace, key, name, scopes, created, lastUsed: null, account, expires };
}

/** What a key begins with: enough to find which one has leaked. */
export const prefixOf = (id: string): string => `tiu_${id.replaceAll('-', '')}_`;

/**
 * Keys that are not revoked, newest first.
 * @param page.account undefined = whoever they belong to  @param page.before id of the last one of the page before
 */
export async function listApiKeys(
  db: OrmDatabase,
  page: { workspace: string; account: string | undefined; before: string | undefined; limit: number },
): Promise<ApiKeyInfo[]> {
  const { workspace, account, before } = page;
  const rows = await db.orm.em
    .fork()
    .find(
      ApiKey,
      { workspace, revoked: null, ...(account !== undefined && { account }), ...(before !== undefined && { id: { $lt: before } }) },
      { orderBy: { id: 'desc' }, limit: page.limit },
    );
  return rows.map(infoOf);
}

/** One that is not revoked. */
export async function findApiKey(db: OrmDatabase, key: { workspace: string; id: string }): Promise<ApiKeyInfo | undefined> {
  const row = await db.orm.em.fork().findOne(ApiKey, { ...key, revoked: null });
  return row ? infoOf(row) : undefined;
}

const infoOf = (row: InferEntity<typeof ApiKey>): ApiKeyInfo => ({
  id: row.id,
  workspace: row.workspace,
  name: row.name,
  scopes: row.scopes as Scope[],
  created: row.created,
  lastUsed: row.lastUsed ?? null,
  account: row.account ?? null,
  expires: row.expires ?? null,
});

/** @returns false if there is no such key in the workspace, or it was revoked before */
export async function revokeApiKey(db: OrmDatabase, key: { workspace: string; id: string; by: string }): Promise<boolean> {
  return db.orm.em.fork().transactional(async (em) => {
    const changed = await em.nativeUpdate(ApiKey, { id: key.id, workspace: key.workspace, revoked: null }, { revoked: new Date() });
    const { workspace, by: actor } = key;
    if (changed === 1) await em.insert(Audit, auditRow({ workspace, actor, action: 'key.revoke', object: `key:${key.id}` }));
    return changed === 1;
  });
}
