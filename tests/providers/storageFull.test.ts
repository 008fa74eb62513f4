import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createObjectStore } from '../../src/providers/objectStore/objectStore.ts';
import { aProblem } from './aProblem.ts';

const WORKSPACE = '00000000-0000-7000-8000-000000000001';
let root: string;
/** A file system of 4 MB of its own, where this user may mount one. */
let mounted = false;
beforeAll(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-full-'));
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', root], { stdio: 'ignore' });
    mounted = true;
  } catch {
    mounted = false;
  }
});
afterAll(() => {
  if (mounted) execFileSync('/bin/umount', [root]);
  fs.rmSync(root, { recursive: true, force: true });
});

test('a full disk is storage_full and retryable, leaves nothing behind, and is told until the next put succeeds', async () => {
  if (!mounted) return; // says nothing on machines that forbid mounts
  const store = createObjectStore({ root });
  await store.put(WORKSPACE, Buffer.alloc(2_500_000, 'a'));
  await expect(store.put(WORKSPACE, Buffer.alloc(2_500_000, 'b'))).rejects.toThrow(
    aProblem('storage_full', { retryable: true, status: 507 }),
  );
  expect(store.isFull()).toBe(true);
  expect(fs.readdirSync(path.join(root, '.incoming'))).toEqual([]);
  await store.put(WORKSPACE, Buffer.alloc(500_000, 'c'));
  expect(store.isFull()).toBe(false);
});
