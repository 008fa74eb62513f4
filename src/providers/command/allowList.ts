import path from 'node:path';
import type { VisiblePath } from './ownFiles.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Programs that tasks may run: path by name. Reads `name=/absolute/path` entries between commas or line breaks.
 * @throws Error that names an entry which is wrong, or stands there twice
 */
export function readAllowList(text: string): ReadonlyMap<string, string> {
  const allowed = new Map<string, string>();
  for (const entry of text.split(/[,\n]+/).map((part) => part.trim())) {
    if (entry === '') continue;
    const cut = entry.indexOf('=');
    const [name, program] = [entry.slice(0, cut), entry.slice(cut + 1)];
    if (cut < 0 || !NAME.test(name) || !path.isAbsolute(program)) throw new Error(`TIU_COMMANDS: expected name=/absolute/path: ${entry}`);
    if (allowed.has(name)) throw new Error(`TIU_COMMANDS: ${name} stands there twice`);
    allowed.set(name, program);
  }
  return allowed;
}

/** What programs see besides: absolute paths between commas or line breaks; `:rw` behind one lets them write there. @throws Error that names an entry which is wrong */
export function readVisible(text: string): VisiblePath[] {
  const entries = text.split(/[,\n]+/).map((part) => part.trim());
  return entries.filter(Boolean).map((entry) => {
    const writable = entry.endsWith(':rw');
    const at = writable ? entry.slice(0, -':rw'.length) : entry;
    if (!path.isAbsolute(at) || path.normalize(at) === '/')
      throw new Error(`TIU_COMMAND_PATHS: expected /absolute/path or /absolute/path:rw: ${entry}`);
    return { path: path.resolve(at), writable };
  });
}
