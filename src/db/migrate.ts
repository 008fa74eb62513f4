import { openDatabase } from './database.ts';

/** Brings the schema up to date. @returns names of the migrations that were applied */
export async function migrate(url: string): Promise<string[]> {
  const database = await openDatabase({ url, role: 'tiu_owner', max: 1 });
  try {
    return (await database.orm.migrator.up()).map((migration) => migration.name);
  } finally {
    await database.close();
  }
}
