import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { aProblem } from './aProblem.ts';
import { createObjectStore } from '../../src/providers/objectStore/objectStore.ts';

const WORKSPACE = '00000000-0000-7000-8000-000000000001';
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
let root: string;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-objects-'));
});
afterEach(() => {
  fs.rmSync(root, { recursive: true, force: true });
});

test('bytes come back under their hash, at <workspace>/<aa>/<sha256>', async () => {
  const store = createObjectStore({ root });
  const bytes = Buffer.from('hello');
  const stored = await store.put(WORKSPACE, bytes);
  expect(stored).toEqual({ sha256: sha256(bytes), size: 5 });
  expect(await store.get(WORKSPACE, stored.sha256)).toEqual(bytes);
  expect(fs.existsSync(path.join(root, WORKSPACE, stored.sha256.slice(0, 2), stored.sha256))).toBe(true);
  expect(fs.readdirSync(path.join(root, '.incoming'))).toEqual([]);
});

test('streams in and out, and an empty object is an object', async () => {
  const store = createObjectStore({ root });
  const big = Buffer.alloc(3_000_000, 'abc');
  const stored = await store.put(WORKSPACE, Readable.from([big.subarray(0, 1_000_001), big.subarray(1_000_001)]));
  expect(stored).toEqual({ sha256: sha256(big), size: big.length });
  const stream = await store.open(WORKSPACE, stored.sha256);
  expect(stream.size).toBe(big.length);
  expect(Buffer.concat((await stream.toArray()) as Buffer[]).equals(big)).toBe(true);
  expect(await store.put(WORKSPACE, Buffer.alloc(0))).toEqual({ sha256: sha256(Buffer.alloc(0)), size: 0 });
});

test('many writers of the same bytes make one object', async () => {
  const store = createObjectStore({ root });
  const all = await Promise.all(Array.from({ length: 20 }, () => store.put(WORKSPACE, Buffer.from('same'))));
  expect(new Set(all.map((one) => one.sha256)).size).toBe(1);
  expect(await store.has(WORKSPACE, all[0]?.sha256 ?? '')).toBe(true);
});

test('a workspace does not see what another stored', async () => {
  const store = createObjectStore({ root });
  const { sha256: hash } = await store.put(WORKSPACE, Buffer.from('mine'));
  await expect(store.get('00000000-0000-7000-8000-000000000002', hash)).rejects.toThrow(aProblem('artifact_not_found'));
});

test('what is missing or no hash is artifact_not_found, also where a path could climb', async () => {
  const store = createObjectStore({ root });
  for (const hash of ['0'.repeat(64), '../../etc/passwd', '', 'A'.repeat(64)]) {
    await expect(store.get(WORKSPACE, hash)).rejects.toThrow(aProblem('artifact_not_found'));
    await expect(store.open(WORKSPACE, hash)).rejects.toThrow(aProblem('artifact_not_found'));
  }
  await expect(store.put('../elsewhere', Buffer.from('x'))).rejects.toThrow(aProblem('artifact_not_found'));
});

test('beyond the limit nothing is kept', async () => {
  const store = createObjectStore({ root, maxBytes: 10 });
  const endless = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(4);
    })(),
  );
  await expect(store.put(WORKSPACE, endless)).rejects.toThrow(aProblem('artifact_too_large'));
  expect(fs.readdirSync(path.join(root, '.incoming'))).toEqual([]);
});

test('a stream that fails leaves nothing and fails with its own error', async () => {
  const store = createObjectStore({ root });
  const broken = Readable.from(
    (function* () {
      yield Buffer.from('x');
      throw new Error('broken');
    })(),
  );
  await expect(store.put(WORKSPACE, broken)).rejects.toThrow('broken');
  expect(fs.readdirSync(path.join(root, '.incoming'))).toEqual([]);
});

test('delete removes, and is no error twice', async () => {
  const store = createObjectStore({ root });
  const { sha256: hash } = await store.put(WORKSPACE, Buffer.from('x'));
  await store.delete(WORKSPACE, hash);
  await store.delete(WORKSPACE, hash);
  expect(await store.has(WORKSPACE, hash)).toBe(false);
});

test('a root that cannot be used is unavailable and says no path', async () => {
  fs.writeFileSync(path.join(root, 'file'), '');
  const store = createObjectStore({ root: path.join(root, 'file') });
  const failure = await store.put(WORKSPACE, Buffer.from('x')).catch((error: unknown) => error as Error);
  expect(failure).toEqual(aProblem('unavailable'));
  expect((failure as Error).message).not.toContain(root);
});
