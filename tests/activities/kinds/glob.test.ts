import { expect, test } from '@jest/globals';
import { compileGlob } from '../../../src/activities/kinds/glob.ts';
import { aProblem } from '../../providers/aProblem.ts';

test.each<[string, string, boolean]>([
  ['**/*.ts', 'a.ts', true],
  ['**/*.ts', 'src/deep/er/a.ts', true],
  ['**/*.ts', 'a.tsx', false],
  ['*.ts', 'src/a.ts', false],
  ['src/**', 'src/a/b.c', true],
  ['src/**', 'other/a', false],
  ['src/*/index.ts', 'src/a/index.ts', true],
  ['src/*/index.ts', 'src/a/b/index.ts', false],
  ['**/test/**/*.py', 'a/test/b/c/d.py', true],
  ['**/test/**/*.py', 'test/d.py', true],
  ['a/**/b/**/c', 'a/x/b/y/b/z/c', true],
  ['a/**/b/**/c', 'a/x/y/c', false],
  ['**/*.{ts,tsx,js}', 'x/a.tsx', true],
  ['{src,lib}/{a,b}.ts', 'lib/b.ts', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['a?c', 'a/c', false],
  ['[a-c]x', 'bx', true],
  ['[!a-c]x', 'bx', false],
  ['[!a-c]x', 'dx', true],
  ['a[', 'a[', true],
  ['./src/*.ts', 'src/a.ts', true],
  ['/src/*.ts', 'src/a.ts', true],
  ['a*b*c', 'aXbYbZc', true],
  ['*', '.env', false],
  ['**', 'a/.git/config', false],
  ['**/.env', 'a/.env', true],
  ['.github/**', '.github/workflows/ci.yml', true],
  ['日*/é?', '日本/éa', true],
  ['a.b', 'axb', false],
  ['(a|b)+$', '(a|b)+$', true],
  ['', 'a', false],
])('%s against %s: %s', (pattern, path, expected) => {
  expect(compileGlob(pattern)(path)).toBe(expected);
});

test('braces that multiply are refused', () => {
  expect(() => compileGlob('{a,b}'.repeat(20))).toThrow(aProblem('invalid_task_input'));
});

test('a pattern that is exponential for others takes no time', () => {
  const matches = compileGlob(`${'*a'.repeat(200)}b`);
  const deep = compileGlob(`${'**/a/'.repeat(50)}b`);
  expect(matches('a'.repeat(1_000))).toBe(false);
  expect(deep('a/'.repeat(500))).toBe(false);
});
