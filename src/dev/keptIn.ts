import { randomBytes } from 'node:crypto';
import fs from 'node:fs';

/** What a file holds, made once and readable by its owner alone. */
export function keptIn(file: string, make: () => string): string {
  if (!fs.existsSync(file)) {
    fs.writeFileSync(`${file}.new`, `${make()}\n`, { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
  }
  return fs.readFileSync(file, 'utf8').trim();
}

/** A key as settings hold it. */
export const newKey = (): string => `k1:${randomBytes(32).toString('base64')}`;
