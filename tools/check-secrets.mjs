// No secret-shaped literal, no path of one machine, no registry host in anything that is tracked.
import fs from 'node:fs';
import { trackedFiles } from './tracked.mjs';

// Patterns are built from parts, so that this file does not match itself.
const host = (...labels) => labels.join('\\.');
const RULES = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['a cloud access key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  [
    'a token of a known service',
    /\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|npm_[A-Za-z0-9]{36}|sk-[A-Za-z0-9_-]{24,}|AIza[\w-]{35})/,
  ],
  ['a signed token', /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/],
  ['an API key of ours', /\btiu_[0-9a-f]{32}_[\w-]{24,}/],
  ['a password in an address', /\b[a-z][a-z0-9+]*:\/\/[^\s:/@'"`$<{]+:(?!\$|<|\{|(?:password|secret|word|x|p)@)[^\s:/@'"`$<{]{3,}@/],
  [
    'an assigned secret',
    /\b(?:password|passwd|secret|api_?key|access_?token|private_?key)['"]?\s*[:=]\s*['"](?=[^'"]*\d)(?=[^'"]*[A-Za-z])[A-Za-z0-9+/_=-]{20,}['"]/i,
  ],
  ['a path of one machine', /(?<![\w.~-])\/(?:work|root|farm|home\/[a-z][\w-]*|Users\/[A-Za-z][\w-]*|tmp\/[a-z]+_jobs)\//],
  [
    'a registry host',
    new RegExp(
      [
        host('registry', 'npmjs'),
        host('pypi', 'org'),
        host('pythonhosted', 'org'),
        host('proxy', 'golang'),
        host('repo', 'maven'),
        host('crates', 'io'),
        host('deb', 'debian'),
        host('registry', 'yarnpkg'),
      ].join('|'),
      'i',
    ),
  ],
];
const LARGEST = 2 ** 20;
/** Fixtures that hold such literals on purpose say so in a comment on the line. */
const ON_PURPOSE = /not-a-secret/;

const faults = [];
for (const file of trackedFiles()) {
  const { size } = fs.statSync(file);
  if (size > LARGEST) faults.push(`${file}: ${size} bytes, at most ${LARGEST} belong into a repository`);
  const bytes = fs.readFileSync(file);
  if (bytes.subarray(0, 8000).includes(0)) continue;
  bytes
    .toString('utf8')
    .split('\n')
    .forEach((line, index) => {
      for (const [what, pattern] of RULES) if (pattern.test(line) && !ON_PURPOSE.test(line)) faults.push(`${file}:${index + 1}: ${what}`);
    });
}
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
