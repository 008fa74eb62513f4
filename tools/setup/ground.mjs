// What every step of the set-up stands on: where things are, how it speaks, how it fails, how it runs a tool.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** Everything embedded lives here; deleting the folder forgets all of it. */
export const STATE = path.join(ROOT, '.tiu');

const commandAt = process.argv.indexOf('--');
const quiet = process.argv.slice(0, commandAt < 0 ? undefined : commandAt).includes('--quiet');

export class SetupError extends Error {}
export const fail = (text) => {
  throw new SetupError(text);
};
export const say = (text) => {
  if (!quiet) process.stderr.write(`setup: ${text}\n`);
};

/** Runs one step; it says what it did, or nothing when there was nothing to do. */
export async function step(name, work) {
  const from = Date.now();
  const did = await work();
  if (did) say(`${name}: ${did} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
}

/** Output of a tool. @throws SetupError that names the tool if it is missing, else with the end of what it printed */
export function run(command, args, { cwd = ROOT, env = process.env } = {}) {
  const done = spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 64e6 });
  if (done.error && done.error.code === 'ENOENT') fail(`the tool "${command}" is missing on this machine`);
  if (done.error) fail(`${command}: ${done.error.message}`);
  if (done.status !== 0) {
    const end = (done.stdout + done.stderr).trim().split('\n').slice(-25).join('\n');
    fail(`${command} ${args.join(' ')} failed:\n${end}`);
  }
  return done.stdout;
}

/** Is version `have` at least `want`? Both as [major, minor]. */
export const atLeast = (have, want) => have[0] > want[0] || (have[0] === want[0] && have[1] >= want[1]);

export function readOr(file, other) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return other;
  }
}

/** A reader sees the old file or the new one, never a part. */
export function writeWhole(file, content, mode = 0o644) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}.new`;
  fs.writeFileSync(fresh, content, { mode });
  fs.chmodSync(fresh, mode);
  fs.renameSync(fresh, file);
}
