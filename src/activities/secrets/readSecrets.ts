import type { Database } from '../../db/database.ts';
import { readSealed } from '../../db/repositories/secrets.ts';
import { Problem } from '../../domain/problem.ts';
import type { SecretCipher } from '../../providers/secretCipher/secretCipher.ts';

/** Values by name. Never kept longer than the attempt that asked for them. */
export type Secrets = { readonly [name: string]: string };

/** The values of a workspace's secrets as they are now. @throws Problem unknown_secret | secret_key_unknown | secret_not_opened */
export type ReadSecrets = (workspace: string, names: readonly string[]) => Promise<Secrets>;

export const createReadSecrets =
  ({ db, cipher }: { db: Pick<Database, 'rows'>; cipher: Pick<SecretCipher, 'open'> }): ReadSecrets =>
  async (workspace, names) => {
    const rows = await readSealed(db, { workspace, names });
    const known = new Map(rows.map((row) => [row.name, row]));
    const missing = names.filter((name) => !known.has(name));
    if (missing.length > 0)
      throw new Problem('unknown_secret', { detail: `The workspace has no secret ${missing.join(', ')}`, data: { secrets: missing } });
    return Object.fromEntries(rows.map(({ name, key_id, sealed }) => [name, cipher.open({ workspace, name }, { keyId: key_id, sealed })]));
  };
