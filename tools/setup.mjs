#!/usr/bin/env node
// Gets everything this project needs: Node 24, npm packages, Temporal, PostgreSQL. Plain Node 18+, no packages, safe to repeat.
// `node tools/setup.mjs -- COMMAND ARGS` then runs the command on Node 24. `--quiet` before the `--` says only what fails.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { STATE, SetupError, say, step } from './setup/ground.mjs';
import { waitForLock } from './setup/lock.mjs';
import { env24, getNode } from './setup/node.mjs';
import { getPackages } from './setup/packages.mjs';
import { getPostgres } from './setup/postgres.mjs';
import { getTemporal } from './setup/temporal.mjs';

export { lockOwner, processStart, tryLock } from './setup/lock.mjs';
export { makeCluster, postgresPlace } from './setup/postgres.mjs';
export { temporalBinary } from './setup/temporal.mjs';

async function setup() {
  fs.mkdirSync(STATE, { recursive: true });
  fs.chmodSync(STATE, 0o711); // the user of PostgreSQL passes through
  const free = await waitForLock(path.join(STATE, 'setup.lock'), (owner) => {
    say(`another set-up (process ${owner}) is at work, waiting for it`);
  });
  try {
    await step('Node', getNode);
    await step('packages', getPackages);
    await step('Temporal', getTemporal);
    await step('PostgreSQL', getPostgres);
  } finally {
    free();
  }
}

function runCommand(command, args) {
  const child = spawn(command, args, { stdio: 'inherit', env: env24() });
  // A terminal sends Ctrl-C to the whole group: the command hears it itself, and must not hear it twice.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (e) => {
    process.stderr.write(`setup: cannot run ${command}: ${e.message}\n`);
    process.exit(127);
  });
  child.on('exit', (code, signal) => process.exit(code === null ? 128 + os.constants.signals[signal] : code));
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const from = Date.now();
  try {
    await setup();
  } catch (e) {
    if (!(e instanceof SetupError)) throw e;
    process.stderr.write(`setup: ${e.message}\n`);
    process.exit(1);
  }
  say(`ready after ${((Date.now() - from) / 1000).toFixed(2)} s`);
  const cut = process.argv.indexOf('--');
  if (cut > 0 && process.argv.length > cut + 1) runCommand(process.argv[cut + 1], process.argv.slice(cut + 2));
}
