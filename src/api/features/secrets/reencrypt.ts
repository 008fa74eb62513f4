import { Problem } from '../../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import type { OrmDatabase } from '../../../db/database.ts';
import { listTotpUnderOtherKeys, replaceTotp } from '../../../db/repositories/secondFactors.ts';
import { listUnderOtherKeys, replaceSealed, type SealedRow, type SecretTable } from '../../../db/repositories/secrets.ts';
import { totpPlace } from '../../auth/totpPlace.ts';
import type { Deps } from '../../deps.ts';

type Unreadable = { name: string; keyId: string; code: string };
type Sealed = { keyId: string; sealed: Buffer };
/** Something that another key encrypted. `replace`: false if it has changed meanwhile. */
type Kept = Sealed & { workspace: string; name: string; replace: (now: Sealed) => Promise<boolean> };
type Asked = { keyId: string; by: string };

/** Read at once. */
const PAGE = 100;
const MAX_TOLD = 100;

/**
 * Encrypts with the current key what others encrypted: secrets of the caller's workspace with the former values that hooks accept,
 * or of all when it is the system workspace, and then those of people's authenticator apps too. Can be repeated; what is set
 * meanwhile stays as it was set.
 * @throws Problem secrets_not_configured
 */
export async function reencrypt(
  { db, engine, secretCipher }: Pick<Deps, 'db' | 'engine' | 'secretCipher'>,
  actor: { workspace: string; principal: string },
): Promise<{ keyId: string; rewritten: number; unreadable: Unreadable[] }> {
  const { keyId } = secretCipher;
  if (keyId === null) throw new Problem('secrets_not_configured');
  const asked = { keyId, by: actor.principal };
  const isSystem = actor.workspace === SYSTEM_WORKSPACE;
  const [reading, workspace] = isSystem ? [engine, null] : [db, actor.workspace];
  const secrets = (['secret', 'secret_past'] as const).map((table) => secretsOf(reading, { table, workspace }, asked));
  const all = isSystem ? [...secrets, totpsOf(engine, asked)] : secrets;
  const done = { keyId, rewritten: 0, unreadable: [] as Unreadable[] };
  for (const some of all) {
    for await (const kept of some) {
      const code = await rewrite(secretCipher, kept);
      if (code === undefined) done.rewritten += 1;
      else if (code !== 'changed' && done.unreadable.length < MAX_TOLD) done.unreadable.push({ name: kept.name, keyId: kept.keyId, code });
    }
  }
  return done;
}

type Where = { table: SecretTable; workspace: string | null };

async function* secretsOf(db: OrmDatabase, { table, workspace }: Where, { keyId, by }: Asked): AsyncGenerator<Kept> {
  for (let after: SealedRow | undefined; ;) {
    const rows = await listUnderOtherKeys(db, { table, workspace, keyId, after, limit: PAGE });
    for (const row of rows)
      yield {
        ...{ workspace: row.workspace, name: row.name, keyId: row.key_id, sealed: row.sealed },
        replace: (now) => replaceSealed(db, row, { ...now, table, by }),
      };
    after = rows.at(-1);
    if (rows.length < PAGE) return;
  }
}

async function* totpsOf(db: OrmDatabase, { keyId, by }: Asked): AsyncGenerator<Kept> {
  for (let after: string | undefined; ;) {
    const rows = await listTotpUnderOtherKeys(db, { keyId, after, limit: PAGE });
    for (const row of rows) yield { ...row, ...totpPlace(row.account), replace: (now) => replaceTotp(db, row, { ...now, by }) };
    after = rows.at(-1)?.account;
    if (rows.length < PAGE) return;
  }
}

/** @returns why it stays as it is */
async function rewrite(cipher: Deps['secretCipher'], kept: Kept): Promise<string | undefined> {
  try {
    return (await kept.replace(cipher.seal(kept, cipher.open(kept, kept)))) ? undefined : 'changed';
  } catch (error) {
    if (error instanceof Problem && (error.code === 'secret_key_unknown' || error.code === 'secret_not_opened')) return error.code;
    throw error;
  }
}
