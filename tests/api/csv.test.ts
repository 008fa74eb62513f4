import { expect, test } from '@jest/globals';
import { csv } from '../../src/api/csv.ts';

test('what would break a line or a field is quoted, and null is nothing', () => {
  expect(
    csv(
      ['a', 'b'],
      [
        ['x,y', 'say "yes"'],
        ['two\nlines', null],
        [1.5, true],
      ],
    ),
  ).toBe('a,b\r\n"x,y","say ""yes"""\r\n"two\nlines",\r\n1.5,true\r\n');
});

test('what a spreadsheet would take for a formula is text', () => {
  expect(csv(['a'], [['=1+1'], ['@x'], ['-2'], [-2]])).toBe("a\r\n'=1+1\r\n'@x\r\n'-2\r\n-2\r\n");
});
