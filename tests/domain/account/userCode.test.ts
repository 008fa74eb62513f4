import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newUserCode, normaliseUserCode } from '../../../src/domain/account/userCode.ts';

const anyCode = fc.array(fc.nat(19), { minLength: 8, maxLength: 8 }).map((picks) => newUserCode(() => picks.pop() ?? 0));

test('a code has eight letters of twenty, none a vowel, and is taken however it is typed', () => {
  fc.assert(
    fc.property(anyCode, (code) => {
      expect(code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
      for (const typed of [code.toLowerCase(), code.replace('-', ''), ` ${code.replace('-', ' ')} `])
        expect(normaliseUserCode(typed)).toBe(code);
    }),
  );
  expect(Math.log2(20 ** 8)).toBeGreaterThan(34);
});

test('each letter is asked for out of twenty, and all twenty are there', () => {
  const asked: number[] = [];
  const seen = new Set<string>();
  for (let n = 0; n < 20; n += 1) {
    const code = newUserCode((below) => {
      asked.push(below);
      return n;
    });
    seen.add(code);
  }
  expect([new Set(asked), asked.length, seen.size]).toEqual([new Set([20]), 160, 20]);
});

test.each(['', 'BCDF-GHJ', 'BCDF-GHJKL', 'ABCD-FGHJ', 'BCDF-GHJ1', 'ＢCDF-GHJK'])('no code: %s', (text) => {
  expect(normaliseUserCode(text)).toBeUndefined();
});
