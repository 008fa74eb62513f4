import fs from 'node:fs';
import { openDatabase } from '../db/database.ts';
import { findKeyHolder } from '../db/actors.ts';
import { inviteFirstOwner } from '../db/firstOwner.ts';
import { ensureOwner, widenKey } from '../db/repositories/owner.ts';

/** `invitation`: token for a person who is to own it; undefined once somebody does. */
export type Owner = { key: string; invitation?: string | undefined };

/** How long the invitation that a start prints is good, ms. */
const INVITED_MS = 7 * 86_400_000;

/**
 * The key of the stack's owner: the one in the file if this database knows it, else a new one, which the file then holds (mode
 * 600). A key of an earlier version gets the scopes that have come since.
 */
export async function ownerKey(databaseUrl: string, file: string): Promise<Owner> {
  const db = await openDatabase({ url: databaseUrl, role: 'tiu_engine', max: 1 });
  try {
    const kept = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : '';
    const holder = await findKeyHolder(db, kept, { now: Date.now(), require: 'off' });
    const invited = (workspace: string) => inviteFirstOwner(db, { workspace, now: Date.now(), ttlMs: INVITED_MS });
    if (holder) {
      await widenKey(db, holder.id);
      return { key: kept, invitation: await invited(holder.workspace) };
    }
    const { key, workspace } = await ensureOwner(db, { workspaceName: 'default' });
    fs.writeFileSync(`${file}.new`, `${key}\n`, { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
    return { key, invitation: await invited(workspace) };
  } finally {
    await db.close();
  }
}
