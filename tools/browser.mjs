// `npm run browser`: the pages and passkeys in a real browser, which the first run puts there (70 MB; x64 alone).
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const PLACE = path.join(ROOT, 'tools/browser');

function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', ...options });
  if (status !== 0) process.exit(status ?? 1);
}

if (!fs.existsSync(path.join(PLACE, 'node_modules'))) run('npm', ['ci', '--ignore-scripts'], { cwd: PLACE });
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js', 'tests/browser'];
run(process.execPath, jest, { env: { ...process.env, TIU_BROWSER: PLACE } });
