import { expect, test } from '@jest/globals';
import { normaliseEmail, normaliseName } from '../../../src/domain/account/names.ts';

test.each([
  ['Ada_1', 'Ada_1', 'ada_1'],
  [' Ada ', 'Ada', 'ada'],
  ['Ａｄａ', 'Ada', 'ada'],
  ['abc', 'abc', 'abc'],
  ['x'.repeat(50), 'x'.repeat(50), 'x'.repeat(50)],
])('a name is normalised before it is judged: %s', (given, shown, key) => {
  expect(normaliseName(given)).toEqual({ shown, key });
});

test.each(['ab', 'x'.repeat(51), 'a b c', 'a-b-c', 'аda', 'ada\u200b', ''])('no name: %j', (given) => {
  expect(normaliseName(given)).toBeUndefined();
});

test.each([
  ['Ada@Example.COM', 'Ada@example.com', 'ada@example.com'],
  ['ada＠example.com', 'ada@example.com', 'ada@example.com'],
  ['ada@bücher.example', 'ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example'],
  ['ada@BÜCHER.example', 'ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example'],
  ['JOSÉ@example.com', 'JOSÉ@example.com', 'josé@example.com'],
  ['jose\u0301@example.com', 'josé@example.com', 'josé@example.com'],
  ['ada+tag@sub.example.com', 'ada+tag@sub.example.com', 'ada+tag@sub.example.com'],
  [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
])('spellings of one mailbox are one address: %s', (given, shown, key) => {
  expect(normaliseEmail(given)).toEqual({ shown, key });
});

test.each([
  '',
  'ada',
  '@example.com',
  'ada@',
  'ada@localhost',
  'ada@127.0.0.1',
  'ada@0x7f.1',
  'ada@[::1]',
  'a da@example.com',
  'ada@example.com\r\nBcc: eve@example.com',
  'ada\r\n@example.com',
  'ada\0@example.com',
  'ada\u202e@example.com',
  'Ada <ada@example.com>',
  'ada@eve@example.com',
  'ada@example.com/path',
  'ada@user:pw@example.com',
  'ada@example..com',
  'ada@-example.com',
  `${'a'.repeat(65)}@example.com`,
])('no mail address: %j', (given) => {
  expect(normaliseEmail(given)).toBeUndefined();
});
