// Temporal's Python SDK, for the example and the test that use it: into .tiu/, pinned by hash, and only when asked for.
// `node tools/setup/python.mjs FILE ARGS` runs a Python program with it.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, STATE, SetupError, atLeast, fail, run, say } from './ground.mjs';
import { waitForLock } from './lock.mjs';

const MINIMUM = [3, 10];
const LIST = path.join(ROOT, 'tools/python/requirements.txt');

/** An interpreter that is new enough and has pip. @throws SetupError */
function interpreter() {
  const found = ['python3', 'python'].find((name) => {
    const { status, stdout = '' } = spawnSync(name, ['-c', 'import pip, sys; print(*sys.version_info[:2])'], { encoding: 'utf8' });
    return status === 0 && atLeast(stdout.trim().split(' ').map(Number), MINIMUM);
  });
  return found || fail(`no Python ${MINIMUM.join('.')} or newer with pip`);
}

/**
 * The interpreter and the folder with the packages (PYTHONPATH), which it gets when they are not there.
 * @throws SetupError when there is no Python, or no packages for it
 */
export async function getPython() {
  const python = interpreter();
  const version = run(python, ['-c', 'import sys; print(sys.version)']);
  const hash = createHash('sha256').update(version).update(fs.readFileSync(LIST)).digest('hex').slice(0, 12);
  const folder = path.join(STATE, `python-${hash}`);
  if (fs.existsSync(folder)) return { python, folder };
  fs.mkdirSync(STATE, { recursive: true });
  const free = await waitForLock(path.join(STATE, 'python.lock'), () => undefined);
  try {
    if (!fs.existsSync(folder)) install(python, folder);
    return { python, folder };
  } finally {
    free();
  }
}

function install(python, folder) {
  say("Python: getting Temporal's SDK");
  const fresh = `${folder}.${process.pid}.new`;
  const flags = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '--require-hashes', '--no-compile'];
  try {
    run(python, ['-m', 'pip', 'install', ...flags, '--root-user-action=ignore', '--target', fresh, '-r', LIST]);
    fs.renameSync(fresh, folder);
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const { python, folder } = await getPython();
    const child = spawn(python, process.argv.slice(2), { stdio: 'inherit', env: { ...process.env, PYTHONPATH: folder } });
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
    child.on('exit', (code, signal) => {
      process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
    });
  } catch (e) {
    if (!(e instanceof SetupError)) throw e;
    process.stderr.write(`python: ${e.message}\n`);
    process.exitCode = 1;
  }
}
