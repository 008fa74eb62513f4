import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { packFolder } from '../../src/cli/packFolder.ts';

let base: string;
beforeAll(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-pack-'));
});
afterAll(() => {
  fs.rmSync(base, { recursive: true });
});

function aFolder(name: string, files: [string, string][]): string {
  const folder = path.join(base, name);
  for (const [file, text] of files) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), text);
  }
  return folder;
}

async function entriesOf(bytes: Buffer): Promise<string[]> {
  const names: string[] = [];
  const tar = extract();
  tar.end(gunzipSync(bytes));
  for await (const entry of tar) {
    names.push(entry.header.name);
    entry.resume();
  }
  return names;
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

test('the same files give the same bytes, whatever their times, permissions and order of creation', async () => {
  const files: [string, string][] = [
    ['b.ts', 'b'],
    ['a/z.ts', 'z'],
    ['a/ä.py', 'umlaut'],
  ];
  const one = aFolder('one', files);
  const two = aFolder('two', files.toReversed());
  fs.utimesSync(path.join(two, 'b.ts'), 1, 1);
  fs.chmodSync(path.join(two, 'b.ts'), 0o755);
  expect(sha256((await packFolder(one)).bytes)).toBe(sha256((await packFolder(two)).bytes));
});

test('names are relative, sorted and with slashes', async () => {
  const folder = aFolder('sorted', [
    ['b.ts', ''],
    ['B.ts', ''],
    ['a/b/c.ts', 'x'],
  ]);
  const packed = await packFolder(folder);
  expect(await entriesOf(packed.bytes)).toEqual(['B.ts', 'a/b/c.ts', 'b.ts']);
  expect(packed).toMatchObject({ files: 3, sizeBytes: 1 });
});

test('node_modules, .git, .tiu and symbolic links are left out at any depth', async () => {
  const folder = aFolder('excluded', [
    ['src/a.ts', ''],
    ['node_modules/x/index.js', ''],
    ['.git/HEAD', ''],
    ['packages/p/node_modules/y.js', ''],
    ['.tiu/owner.key', ''],
    ['.github/ci.yml', ''],
  ]);
  fs.symlinkSync('/etc', path.join(folder, 'src/loop'));
  expect(await entriesOf((await packFolder(folder)).bytes)).toEqual(['.github/ci.yml', 'src/a.ts']);
});

test('an empty folder gives an empty archive', async () => {
  const folder = path.join(base, 'empty');
  fs.mkdirSync(folder);
  expect(await entriesOf((await packFolder(folder)).bytes)).toEqual([]);
});

test('long paths survive', async () => {
  const long = `${'d'.repeat(120)}/${'f'.repeat(120)}.ts`;
  const folder = aFolder('long', [[long, 'x']]);
  expect(await entriesOf((await packFolder(folder)).bytes)).toEqual([long]);
});
