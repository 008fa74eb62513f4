import { migrate } from '../db/migrate.ts';
import { ownerKey } from './ownerKey.ts';

/** A process of its own, `prepareMain.ts KEY_FILE`: the ORM takes 60 MB, which the supervisor would keep as long as it lives. */
const url = process.env.DATABASE_URL ?? '';
await migrate(url);
process.stdout.write(JSON.stringify(await ownerKey(url, process.argv[2] ?? '')));
