import fs from 'node:fs';
import { expect, test } from '@jest/globals';

/** Requirements of levels 1 and 2 in chapters 6 to 10 of ASVS 5.0.0: the last number of each section. */
const SECTIONS: Record<string, { last: number }> = {
  '6.1': { last: 3 },
  '6.2': { last: 12 },
  '6.3': { last: 4 },
  '6.4': { last: 4 },
  '6.5': { last: 5 },
  '6.6': { last: 3 },
  '6.8': { last: 4 },
  '7.1': { last: 3 },
  '7.2': { last: 4 },
  '7.3': { last: 2 },
  '7.4': { last: 5 },
  '7.5': { last: 2 },
  '7.6': { last: 2 },
  '8.1': { last: 2 },
  '8.2': { last: 3 },
  '8.3': { last: 1 },
  '8.4': { last: 1 },
  '9.1': { last: 3 },
  '9.2': { last: 4 },
  '10.1': { last: 2 },
  '10.2': { last: 2 },
  '10.3': { last: 4 },
  '10.4': { last: 11 },
  '10.5': { last: 5 },
  '10.6': { last: 2 },
  '10.7': { last: 3 },
};

const rows = [...fs.readFileSync('docs/asvs.md', 'utf8').matchAll(/^\| (\d+\.\d+\.\d+) +\| (.+?) +\|$/gm)].map(
  ([, id = '', shown = '']) => ({
    id,
    shown,
  }),
);

test('every requirement of levels 1 and 2 is there once', () => {
  const wanted = Object.entries(SECTIONS).flatMap(([section, { last }]) => Array.from({ length: last }, (_, i) => `${section}.${i + 1}`));
  expect(rows.map(({ id }) => id)).toEqual(wanted);
});

test('each says where it is shown, by tests that there are', () => {
  for (const { id, shown } of rows) {
    expect({ id, shown }).toEqual({
      id,
      shown: expect.stringMatching(/`tests\/|^docs|^does not apply: |^\*\*open\*\*: |^no |^there are no /) as unknown,
    });
    for (const [, file = '', name = ''] of shown.matchAll(/`(tests\/[^`]+)`: ([^;]+)(?:;|$)/g)) {
      const source = fs.readFileSync(file, 'utf8').replaceAll("\\'", "'");
      expect({ id, file, name, there: source.includes(name.trim()) }).toMatchObject({ there: true });
    }
  }
});
