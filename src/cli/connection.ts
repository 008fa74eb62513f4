import fs from 'node:fs';
import path from 'node:path';
import { CliError, EXIT } from './exit.ts';

type StackFile = { api?: string };
export type Found = { baseUrl: string; token: string; from: string };
type Sources = { url?: string | undefined; token?: string | undefined; env: Record<string, string | undefined>; cwd: string };

/**
 * Address and key of the service: `--url` and `--token`, else TIU_URL and TIU_TOKEN, else the embedded stack of this
 * folder or one above it. @throws CliError (unreachable) that says how to start a stack
 */
export function findConnection({ url, token, env, cwd }: Sources): Found {
  const folder = findState({ env, cwd });
  const stack = folder === undefined ? undefined : readStack(folder);
  const baseUrl = url ?? env.TIU_URL ?? stack?.api;
  if (baseUrl === undefined) throw new CliError(EXIT.unreachable, 'no service is running here', HOW_TO_START);
  // The owner's key goes to the stack that made it and to no other address.
  const own = folder !== undefined && baseUrl === stack?.api ? readKey(folder) : undefined;
  const key = token ?? env.TIU_TOKEN ?? own;
  if (key === undefined) throw new CliError(EXIT.usage, `no key for ${baseUrl}`, 'Give one with --token or TIU_TOKEN.');
  return {
    baseUrl: baseUrl.replace(/\/+$/, ''),
    token: key,
    from: url ? '--url' : env.TIU_URL ? 'TIU_URL' : path.join(folder ?? '', 'stack.json'),
  };
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
