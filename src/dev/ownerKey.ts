import fs from 'node:fs';
import { openDatabase } from '../db/database.ts';
import { findKeyHolder } from '../db/actors.ts';
import { ensureOwner } from '../db/repositories/owner.ts';

/** The key of the stack's owner: the one in the file if this database knows it, else a new one, which the file then holds (mode 600). */
export async function ownerKey(databaseUrl: string, file: string): Promise<string> {
  const db = await openDatabase({ url: databaseUrl, role: 'tiu_engine', max: 1 });
  try {
    const kept = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : '';
    if (await findKeyHolder(db, kept, Date.now())) return kept;
    const { key } = await ensureOwner(db, { workspaceName: 'default' });
    fs.writeFileSync(`${file}.new`, `${key}\n`, { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
    return key;
  } finally {
    await db.close();
  }
}
