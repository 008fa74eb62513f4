import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LAUNCHER = path.join(ROOT, 'bin/tiu');

/** A Node of this machine that is older than the product needs, where there is one. */
const olderNode = ['/usr/local/bin/node', '/usr/bin/node'].find((file) => {
  if (!fs.existsSync(file)) return false;
  const [major = 0] = spawnSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.split('.').map(Number);
  return major >= 18 && major < 24;
});
const start = (node: string, launcher: string, args: string[]) => spawnSync(node, [launcher, ...args], { encoding: 'utf8' });

test('the launcher starts the command and hands on its exit code', () => {
  expect(start(process.execPath, LAUNCHER, ['--help'])).toMatchObject({ status: 0, stderr: '' });
  expect(start(process.execPath, LAUNCHER, ['nosuchcommand']).status).toBe(2);
});

/** Where the Node in the path is new enough, set-up fetches none. */
const fetched = fs.existsSync(path.join(ROOT, 'tools/node/node_modules'));

test('under an older Node it finds the Node that set-up fetched', () => {
  const done = start(fetched && olderNode !== undefined ? olderNode : process.execPath, LAUNCHER, ['--help']);
  expect(done).toMatchObject({ status: 0, stderr: '' });
});

test('where set-up has not run it says how to', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-launcher-'));
  fs.cpSync(path.join(ROOT, 'bin'), path.join(folder, 'bin'), { recursive: true });
  const done = start(olderNode ?? process.execPath, path.join(folder, 'bin/tiu'), ['runs']);
  fs.rmSync(folder, { recursive: true });
  expect(done.status).toBe(2);
  expect(done.stderr).toMatch(/^tiu: (needs Node 24\.21 or newer|has no packages yet).*\n.*setup\.mjs/);
});

test('it works through a link, as npm makes one', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-link-'));
  fs.symlinkSync(LAUNCHER, path.join(folder, 'tiu'));
  const done = start(process.execPath, path.join(folder, 'tiu'), ['--help']);
  fs.rmSync(folder, { recursive: true });
  expect(done.status).toBe(0);
});
