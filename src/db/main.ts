import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { ensureOwner } from './repositories/owner.ts';

const USAGE =
  'usage: main.ts              brings the schema of DATABASE_URL up to date\n       main.ts key NAME     makes a workspace if there is none of that name, and a key to it with every scope\n';

const url = process.env.DATABASE_URL ?? '';
const [command, name] = process.argv.slice(2);
if (command === undefined) print({ applied: await migrate(url) });
else if (command === 'key' && name !== undefined) print(await makeKey(name));
else {
  process.stderr.write(USAGE);
  process.exitCode = 2;
}

async function makeKey(workspaceName: string): Promise<{ workspace: string; key: string }> {
  const db = await openDatabase({ url, role: 'tiu_engine', max: 1 });
  try {
    return await ensureOwner(db, { workspaceName });
  } finally {
    await db.close();
  }
}

function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
