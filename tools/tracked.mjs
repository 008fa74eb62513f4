// The files of the repository: what is tracked, and what would be if it were added.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

/** Paths relative to the working folder. Without a repository (an unpacked archive) there is nothing to check. */
export function trackedFiles() {
  if (!fs.existsSync('.git')) return [];
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
    maxBuffer: 64e6,
  });
  return [...new Set(listed.split('\0'))].filter((file) => file !== '' && fs.existsSync(file));
}
