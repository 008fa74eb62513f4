import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { inviteFirstOwner } from './firstOwner.ts';
import { ensureOwner, ensureWorkspace } from './repositories/owner.ts';

const USAGE =
  'usage: main.ts              brings the schema of DATABASE_URL up to date\n       main.ts key NAME     makes a workspace if there is none of that name, and a key to it with every scope\n       main.ts owner NAME   invites the first owner of the installation and of that workspace, once\n';

const url = process.env.DATABASE_URL ?? '';
const [command, name] = process.argv.slice(2);
if (command === undefined) print({ applied: await migrate(url) });
else if (command === 'key' && name !== undefined) print(await makeKey(name));
else if (command === 'owner' && name !== undefined) print(await inviteOwner(name));
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

/** How long the invitation is good, ms. */
const INVITED_MS = 86_400_000;

/** `token` for `POST /api/v1/invitations/accept`; null = there is an owner. */
async function inviteOwner(workspaceName: string): Promise<{ workspace: string; token: string | null }> {
  const db = await openDatabase({ url, role: 'tiu_engine', max: 1 });
  try {
    const workspace = await ensureWorkspace(db, workspaceName);
    return { workspace, token: (await inviteFirstOwner(db, { workspace, now: Date.now(), ttlMs: INVITED_MS })) ?? null };
  } finally {
    await db.close();
  }
}

function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
