import { expect, test } from '@jest/globals';
import { returnPath } from '../../../src/domain/account/returnPath.ts';

test.each([
  ['/', '/'],
  ['/runs?status=failed#end', '/runs?status=failed#end'],
  ['/a/../b', '/b'],
  ['/a%0d%0ab', '/a%0d%0ab'],
  ['/?next=https://evil.example', '/?next=https://evil.example'],
  [`/${'a'.repeat(999)}`, `/${'a'.repeat(999)}`],
])('comes back to %s', (text, path) => {
  expect(returnPath(text)).toBe(path);
});

test.each([
  '',
  'runs',
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '/a\\b',
  'https://evil.example/',
  'javascript:alert(1)',
  '/\t/evil.example',
  '/\n/evil.example',
  '/a\r\nSet-Cookie: x=y',
  '/ a',
  '/.//evil.example',
  '/a/..//evil.example',
  '/ü',
  `/${'a'.repeat(1_000)}`,
])('refused: %j', (text) => {
  expect(returnPath(text)).toBeUndefined();
});
