import fs from 'node:fs';
import path from 'node:path';

/** Passwords that attackers try first, lower case; where the list comes from stands in the file beside it. */
export const readCommonPasswords = (): ReadonlySet<string> =>
  new Set(
    fs
      .readFileSync(path.join(import.meta.dirname, 'commonPasswords.txt'), 'utf8')
      .split('\n')
      .filter(Boolean),
  );
