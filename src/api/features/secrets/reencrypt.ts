import { Problem } from '../../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import { listUnderOtherKeys, replaceSealed, type SealedRow } from '../../../db/repositories/secrets.ts';
import type { Deps } from '../../deps.ts';

type Unreadable = { name: string; keyId: string; code: string };

/** Read at once. */
const PAGE = 100;
const MAX_TOLD = 100;

/**
 * Encrypts with the current key what others encrypted: secrets of the caller's workspace, or of all when it is the system
 * workspace. Can be repeated; a secret that is set meanwhile stays as it was set. @throws Problem secrets_not_configured
 */
export async function reencrypt(
  { db, engine, secretCipher }: Pick<Deps, 'db' | 'engine' | 'secretCipher'>,
  actor: { workspace: string; principal: string },
): Promise<{ keyId: string; rewritten: number; unreadable: Unreadable[] }> {
  const { keyId } = secretCipher;
  if (keyId === null) throw new Problem('secrets_not_configured');
  const isSystem = actor.workspace === SYSTEM_WORKSPACE;
  const deps = { db: isSystem ? engine : db, secretCipher };
  const workspace = isSystem ? null : actor.workspace;
  const done = { keyId, rewritten: 0, unreadable: [] as Unreadable[] };
  for (let after: SealedRow | undefined; ;) {
    const rows = await listUnderOtherKeys(deps.db, { workspace, keyId, after, limit: PAGE });
    for (const row of rows) {
      const code = await rewrite(deps, row, actor.principal);
      if (code === undefined) done.rewritten += 1;
      else if (code !== 'changed' && done.unreadable.length < MAX_TOLD) done.unreadable.push({ name: row.name, keyId: row.key_id, code });
    }
    after = rows.at(-1);
    if (rows.length < PAGE) return done;
  }
}

/** @returns why it stays as it is */
async function rewrite(deps: Pick<Deps, 'db' | 'secretCipher'>, row: SealedRow, by: string): Promise<string | undefined> {
  try {
    const value = deps.secretCipher.open(row, { keyId: row.key_id, sealed: row.sealed });
    return (await replaceSealed(deps.db, row, { ...deps.secretCipher.seal(row, value), by })) ? undefined : 'changed';
  } catch (error) {
    if (error instanceof Problem && (error.code === 'secret_key_unknown' || error.code === 'secret_not_opened')) return error.code;
    throw error;
  }
}
