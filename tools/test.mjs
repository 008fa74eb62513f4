// `npm test`: the checks, then every test, then one line that sums both up. Arguments go to jest; with some, the checks are left out.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const RESULTS = { check: path.join(ROOT, '.tiu/check.json'), jest: path.join(ROOT, '.tiu/jest.json') };
/** A suite that hangs must not hang the build: more than the whole run ever needs. */
const LIMIT_MS = 18 * 60_000;

function run(args) {
  const done = spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    env: { ...process.env, TIU_JEST_RESULT: RESULTS.jest },
  });
  if (done.error) process.stdout.write(`${args[0]}: ${done.error.message}\n`);
  return done.status === 0;
}

/** What a run counted. One that failed without counting a failure (it crashed, hung, found nothing) is a failure too. */
function counted(file, ok) {
  let counts = { passed: 0, failed: 0 };
  try {
    counts = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    counts.failed = 1;
  }
  return ok || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

const args = process.argv.slice(2);
for (const file of Object.values(RESULTS)) fs.rmSync(file, { force: true });
const counts = [];
if (args.length === 0) counts.push(counted(RESULTS.check, run(['tools/check.mjs'])));
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js', ...args];
counts.push(counted(RESULTS.jest, run(jest)));
const [passed, failed] = ['passed', 'failed'].map((name) => counts.reduce((sum, count) => sum + count[name], 0));
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;
