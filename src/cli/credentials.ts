import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { withFileLock } from './fileLock.ts';

/** What a service was signed in to with. `expiresAt`: of the access token, ms since the epoch. */
export type Credential =
  { type: 'key'; key: string } | { type: 'session'; sessionId: string; accessToken: string; refreshToken: string; expiresAt: number };

/** By address of the service; `last`: the one that was signed in to last. */
type Kept = { version: 1; last?: string; servers: { [baseUrl: string]: Credential } };

export type Credentials = {
  file: string;
  of: (baseUrl: string) => Credential | undefined;
  /** The address that was signed in to last. */
  last: () => string | undefined;
  /**
   * Changes what is kept for an address while no other process does so.
   * @param change is given what is kept now; what it gives is kept instead, undefined = nothing
   */
  change: (baseUrl: string, change: (now: Credential | undefined) => Promise<Credential | undefined>) => Promise<Credential | undefined>;
};

/** Those of `$XDG_CONFIG_HOME/tiu` or `~/.config/tiu`; undefined without a home. Nobody else may read the file. */
export function openCredentials(env: Record<string, string | undefined>): Credentials | undefined {
  const folder = folderOf(env);
  if (folder === undefined) return undefined;
  const file = path.join(folder, 'credentials.json');
  return {
    file,
    of: (baseUrl) => read(file).servers[baseUrl],
    last: () => read(file).last,
    change: async (baseUrl, change) => {
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
      fs.chmodSync(folder, 0o700);
      return withFileLock(`${file}.lock`, async () => {
        const now = read(file).servers[baseUrl];
        const next = await change(now);
        if (next !== now) write(file, changed(read(file), baseUrl, next));
        return next;
      });
    },
  };
}

function folderOf({ XDG_CONFIG_HOME: config, HOME, USERPROFILE }: Record<string, string | undefined>): string | undefined {
  // a relative one is to be ignored, says its specification
  if (config !== undefined && path.isAbsolute(config)) return path.join(config, 'tiu');
  const home = HOME ?? USERPROFILE;
  return home === undefined || home === '' ? undefined : path.join(home, '.config', 'tiu');
}

function read(file: string): Kept {
  try {
    const kept = JSON.parse(fs.readFileSync(file, 'utf8')) as Kept | { version: 0 };
    if (kept.version === 1) return kept;
  } catch {
    // there is none, or it was written by hand
  }
  return { version: 1, servers: {} };
}

function changed({ servers }: Kept, baseUrl: string, credential: Credential | undefined): Kept {
  const others = Object.fromEntries(Object.entries(servers).filter(([known]) => known !== baseUrl));
  if (credential) return { version: 1, last: baseUrl, servers: { ...others, [baseUrl]: credential } };
  const [last] = Object.keys(others).slice(-1);
  return { version: 1, ...(last !== undefined && { last }), servers: others };
}

/** Whole or not at all: a reader sees the former or the next one. */
function write(file: string, kept: Kept): void {
  const fresh = `${file}.${randomUUID()}`;
  try {
    fs.writeFileSync(fresh, `${JSON.stringify(kept, null, 2)}\n`, { flag: 'wx', mode: 0o600 });
    fs.renameSync(fresh, file);
  } finally {
    fs.rmSync(fresh, { force: true });
  }
}
