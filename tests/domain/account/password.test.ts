import { expect, test } from '@jest/globals';
import { checkPassword, isShortPassword, type PasswordFault } from '../../../src/domain/account/password.ts';

const common = new Set(['password', 'iloveyou', 'correcthorsebatterystaple']);
const codeOf = (password: string, secondFactor = false, context: string[] = []): PasswordFault['code'] | undefined =>
  checkPassword(password, { common, context, secondFactor })?.code;

const GOOD = 'dumpling orbit gravel quay';

test.each([
  ['15 alone', GOOD.slice(0, 15), false],
  ['8 beside a second factor', GOOD.slice(0, 8), true],
  ['64', (GOOD + GOOD.toUpperCase() + '-1234567890-ab').slice(0, 64), false],
  ['256', Array.from({ length: 256 }, (_, at) => String.fromCodePoint(0x4e00 + ((at * 7919) % 9000))).join(''), false],
  ['no composition', 'onlylowerlettersquay', false],
  ['of one code point each', '🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤🦆', false],
])('taken: %s', (_, password, secondFactor) => {
  expect(codeOf(password, secondFactor)).toBeUndefined();
});

test.each([
  ['14 alone', GOOD.slice(0, 14), false, 'too_short'],
  ['7 beside a second factor', GOOD.slice(0, 7), true, 'too_short'],
  ['257', GOOD.repeat(10).slice(0, 257), false, 'too_long'],
  ['what grows past 256 when it is normalised', GOOD + 'ﷺ'.repeat(20), false, 'too_long'],
  ['on the list', 'password', true, 'too_common'],
  ['on the list in another case', 'CorrectHorseBatteryStaple', false, 'too_common'],
  ['on the list in another form', 'ｐａｓｓｗｏｒｄ', true, 'too_common'],
  ['one of the list twice', 'passwordpassword', false, 'too_simple'],
  ['one character', 'a'.repeat(20), false, 'too_simple'],
  ['a short part, cut off', 'abc123abc123abc1', false, 'too_simple'],
  ['a row', 'abcdefghijklmnopq', false, 'too_simple'],
  ['a row of digits', '123456789012345', false, 'too_simple'],
  ['a row backwards', '987654321098765', false, 'too_simple'],
  ['half a pair', `${GOOD}\ud800`, false, 'invalid_value'],
])('refused: %s', (_, password, secondFactor, code) => {
  expect(codeOf(password, secondFactor)).toBe(code);
});

test('name, mail address and product do not carry a password', () => {
  const context = ['ada_lovelace', 'countess@analytical.example', 'tiu'];
  for (const password of ['ada_lovelace1815', 'AdaLovelace_tiu_1', 'countess@analytical.example', 'analytical-countess'])
    expect(codeOf(password, false, context)).toBe('contains_context');
  expect(codeOf(`ada ${GOOD}`, false, context)).toBeUndefined();
});

test('whether a password is short goes by its characters as they are hashed', () => {
  expect([14, 15].map((length) => isShortPassword('🦊'.repeat(length)))).toEqual([true, false]);
  expect(isShortPassword('e\u0301'.repeat(14))).toBe(true);
});
