import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { EXIT, type CliError } from '../../src/cli/exit.ts';
import { readInputs } from '../../src/cli/readInputs.ts';

let base: string;
beforeAll(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-input-'));
});
afterAll(() => {
  fs.rmSync(base, { recursive: true });
});

const none: ReadonlySet<string> = new Set();

test.each([
  ['n=1', { n: 1 }],
  ['flag=true', { flag: true }],
  ['who=Ada', { who: 'Ada' }],
  ['quoted="1"', { quoted: '1' }],
  ['list=[1,2]', { list: [1, 2] }],
  ['empty=', { empty: '' }],
  ['url=http://h/?a=b', { url: 'http://h/?a=b' }],
])('--input %s', (arg, expected) => {
  expect(readInputs([arg], none, base).input).toEqual(expected);
});

test('@file gives the whole input, and later arguments win', () => {
  const file = path.join(base, 'input.json');
  fs.writeFileSync(file, '{"a":1,"b":2}');
  expect(readInputs(['@input.json', 'b=3'], none, base).input).toEqual({ a: 1, b: 3 });
});

test('key=@file takes one value from a JSON file', () => {
  const file = path.join(base, 'list.json');
  fs.writeFileSync(file, '[1]');
  expect(readInputs([`xs=@${file}`], none, '/').input).toEqual({ xs: [1] });
});

test('an artifact field names what to upload, unless it is a sha256 already', () => {
  const fields = new Set(['source']);
  expect(readInputs([`source=${base}`], fields, base)).toEqual({ input: {}, uploads: [{ field: 'source', path: base }] });
  const sha256 = 'a'.repeat(64);
  expect(readInputs([`source=${sha256}`], fields, base)).toEqual({ input: { source: sha256 }, uploads: [] });
});

test.each(['novalue', '=x', 'source=/does/not/exist', 'xs=@/does/not/exist.json'])('--input %s is a usage error', (arg) => {
  let error: unknown;
  try {
    readInputs([arg], new Set(['source']), base);
  } catch (caught) {
    error = caught;
  }
  expect((error as CliError).exitCode).toBe(EXIT.usage);
});
