import fs from 'node:fs';
import path from 'node:path';
import { openCredentials } from './credentials.ts';
import { CliError, EXIT } from './exit.ts';
import { storedToken } from './storedToken.ts';

type StackFile = { api?: string };
export type Found = { baseUrl: string; token: string | (() => Promise<string>); from: string };
type Sources = { url?: string | undefined; token?: string | undefined; env: Record<string, string | undefined>; cwd: string };

/** Where the service is, and the key of whoever made it when that is the embedded stack of this folder. */
type Place = { baseUrl: string; from: string; ownKey: string | undefined };

/**
 * Address of the service: `--url`, else TIU_URL, else the embedded stack of this folder or one above it, else the one that was
 * signed in to last. @throws CliError (unreachable) that says how to start a stack
 */
export function findPlace({ url, env, cwd }: Sources): Place {
  const folder = findState({ env, cwd });
  const stack = folder === undefined ? undefined : readStack(folder);
  const credentials = openCredentials(env);
  const from = url ? '--url' : env.TIU_URL ? 'TIU_URL' : stack?.api ? path.join(folder ?? '', 'stack.json') : (credentials?.file ?? '');
  const baseUrl = url ?? env.TIU_URL ?? stack?.api ?? credentials?.last();
  if (baseUrl === undefined) throw new CliError(EXIT.unreachable, 'no service is running here', HOW_TO_START);
  // The owner's key goes to the stack that made it and to no other address.
  const ownKey = folder !== undefined && baseUrl === stack?.api ? readKey(folder) : undefined;
  return { baseUrl: baseUrl.replace(/\/+$/, ''), from, ownKey };
}

/**
 * Address and key of the service. Key: `--token`, else TIU_TOKEN, else what `tiu login` has kept for that address, else the owner's
 * key of the embedded stack. @throws CliError (unreachable) that says how to start a stack, (usage) without a key
 */
export function findConnection(sources: Sources): Found {
  const { baseUrl, from, ownKey } = findPlace(sources);
  const { token, env } = sources;
  const credentials = openCredentials(env);
  const kept = credentials?.of(baseUrl) && storedToken(credentials, baseUrl);
  const key = token ?? env.TIU_TOKEN ?? kept ?? ownKey;
  if (key === undefined)
    throw new CliError(EXIT.usage, `no key for ${baseUrl}`, 'Sign in with `tiu login`, or give one with --token or TIU_TOKEN.');
  return { baseUrl, token: key, from };
}

export const HOW_TO_START = 'Start the embedded stack with `npm start` or `tiu up`, or name a service with --url or TIU_URL.';

/** The folder of the embedded stack: that of TIU_STATE, else the nearest `.tiu`. */
export const findState = ({ env, cwd }: Pick<Sources, 'env' | 'cwd'>): string | undefined =>
  env.TIU_STATE ? path.resolve(cwd, env.TIU_STATE) : findStackFolder(cwd);

/** The nearest `.tiu` folder, from `cwd` upwards. */
function findStackFolder(cwd: string): string | undefined {
  for (let at = path.resolve(cwd); ; at = path.dirname(at)) {
    if (fs.existsSync(path.join(at, '.tiu'))) return path.join(at, '.tiu');
    if (at === path.dirname(at)) return undefined;
  }
}

/** What the embedded stack wrote about itself; undefined when none was ever started. */
function readStack(folder: string): StackFile | undefined {
  const text = readIfThere(path.join(folder, 'stack.json'));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as StackFile;
  } catch {
    return undefined;
  }
}

const readKey = (folder: string): string | undefined => readIfThere(path.join(folder, 'owner.key'))?.trim();

function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
