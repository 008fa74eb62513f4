// Everything that can be said about the code without running it. Parts run side by side; only failures are shown.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** What another run reads to sum up: { passed, failed }. */
const RESULT = path.join(ROOT, '.tiu/check.json');

// The slow ones first, so that the quick ones fill the gaps.
const PARTS = [
  ['types', 'tsc'],
  ['lint', 'eslint', '.', '--cache', '--cache-location', '.tiu/eslint', '--cache-strategy', 'content', '--max-warnings', '0'],
  ['unused', 'knip', '--no-progress'],
  ['imports', 'depcruise', 'src', '--output-type', 'err'],
  ['format', 'prettier', '--check', '--log-level', 'warn', '--cache', '--cache-location', '.tiu/prettier', '.'],
  [
    'clones',
    'jscpd',
    'src',
    '--min-lines',
    '6',
    '--min-tokens',
    '50',
    '--ignore',
    '**/*.gen.ts',
    '--reporters',
    'console',
    '--exit-code',
    '1',
  ],
  ['generated', 'node', 'tools/generate.mjs', '--check'],
  ['secrets', 'node', 'tools/check-secrets.mjs'],
  ['budgets', 'node', 'tools/check-budgets.mjs'],
  ['lockfile', 'node', 'tools/check-lockfile.mjs'],
];

function runPart([name, command, ...args]) {
  const from = Date.now();
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (text += part));
    const end = (ok) => done({ name, ok, text: text.trim(), seconds: (Date.now() - from) / 1000 });
    child.on('error', (e) => {
      text += e.message;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}

async function runAll(parts, width) {
  const results = [];
  const left = [...parts];
  const lane = async () => {
    for (let part = left.shift(); part; part = left.shift()) {
      const result = await runPart(part);
      results.push(result);
      if (!result.ok) process.stdout.write(`\ncheck ${result.name} failed:\n${result.text}\n`);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PARTS.some((part) => part[0] === name));
if (unknown.length > 0) {
  process.stderr.write(`check: no part is called ${unknown.join(', ')}; there are ${PARTS.map((part) => part[0]).join(', ')}\n`);
  process.exit(2);
}
const from = Date.now();
fs.mkdirSync(path.dirname(RESULT), { recursive: true });
fs.rmSync(RESULT, { force: true });
const results = await runAll(
  PARTS.filter((part) => wanted.length === 0 || wanted.includes(part[0])),
  Math.max(2, os.availableParallelism()),
);
const failed = results.filter((result) => !result.ok);
const times = results.map((result) => `${result.name} ${result.seconds.toFixed(1)}`).join(', ');
fs.writeFileSync(RESULT, JSON.stringify({ passed: results.length - failed.length, failed: failed.length }));
process.stdout.write(
  `check: ${results.length - failed.length} of ${results.length} parts hold, ${((Date.now() - from) / 1000).toFixed(1)} s (${times})\n` +
    (failed.length > 0 ? `check: failed: ${failed.map((result) => result.name).join(', ')}\n` : ''),
);
process.exitCode = failed.length > 0 ? 1 : 0;
