import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { lockOwner, processStart, tryLock } from '../../tools/setup.mjs';

let folder: string;
let file: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-lock-'));
  file = path.join(folder, 'lock');
});
afterAll(() => {
  fs.rmSync(folder, { recursive: true });
});

test('a lock has one living owner, and is free again when that one frees it', () => {
  const free = tryLock(file);
  expect(lockOwner(file)).toBe(process.pid);
  expect(tryLock(file)).toBeUndefined();
  free?.();
  expect(lockOwner(file)).toBeUndefined();
  tryLock(file)?.();
});

test('the lock of an owner that was killed is taken over', async () => {
  const owner = spawn('sleep', ['60']);
  fs.writeFileSync(file, `${owner.pid ?? 0} ${processStart(owner.pid ?? 0)}`);
  expect(tryLock(file)).toBeUndefined();
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const free = tryLock(file);
  expect(lockOwner(file)).toBe(process.pid);
  free?.();
});

test('a later process with the number of a dead owner does not hold its lock', () => {
  fs.writeFileSync(file, `${process.pid} 1`);
  const free = tryLock(file);
  expect(free).toBeDefined();
  free?.();
});

test('of many who find the same dead lock at once exactly one gets it', async () => {
  fs.writeFileSync(file, '999999999 1');
  const script = `import { tryLock } from ${JSON.stringify(path.resolve('tools/setup/lock.mjs'))};
    process.stdout.write(tryLock(${JSON.stringify(file)}) ? 'got ' : 'not ');
    setTimeout(() => undefined, 1500);`;
  const children = Array.from({ length: 6 }, () => spawn(process.execPath, ['--input-type=module', '-e', script]));
  const said = await Promise.all(children.map(async (child) => ((await child.stdout.toArray()) as Buffer[]).join('')));
  expect(said.sort()).toEqual(['got ', 'not ', 'not ', 'not ', 'not ', 'not ']);
});
