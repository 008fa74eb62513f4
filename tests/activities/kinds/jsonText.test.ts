import { expect, test } from '@jest/globals';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { checkedJson, createJsonScanner, quoted, unquoted } from '../../../src/activities/kinds/jsonText.ts';

/** A text in pieces of the given sizes, over and over. */
async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    yield await Promise.resolve(bytes.subarray(at, at + size));
    at += size;
  }
}
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
const scans = async (text: string, pieces: readonly number[]): Promise<boolean> => {
  try {
    return (await buffer(checkedJson(cut(Buffer.from(text), pieces)))).toString() === text;
  } catch {
    return false;
  }
};

test('the scanner takes what JSON.parse takes, in whatever pieces it comes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.json(), sizes, async (text, pieces) => scans(text, pieces)),
    { numRuns: 300 },
  );
});

test('the scanner refuses what JSON.parse refuses: any text made of pieces of JSON', async () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    ' ',
    '\n',
    '\\',
    '\\u00e9',
    '\\u0',
    '0',
    '01',
    '-',
    '1e5',
    '1.',
    'true',
    'nul',
    '"a"',
    '"\u0001"',
    'é',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 8 }), sizes, async (tokens, pieces) => {
      const text = tokens.join('');
      return (await scans(text, pieces)) === isJson(text);
    }),
    { numRuns: 3_000 },
  );
});

test('an answer in another encoding than UTF-8 is refused', () => {
  const scanner = createJsonScanner();
  expect(() => {
    scanner.push(Buffer.from([0x22, 0xff, 0x22]));
  }).toThrow(expect.objectContaining({ code: 'http_response_invalid' }));
});

test('text that is quoted in pieces is the JSON string of it, and comes back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 40 }), sizes, sizes, async (text, pieces, others) => {
      const plain = Buffer.from(text).toString();
      const json = await buffer(quoted(cut(Buffer.from(plain), pieces)));
      expect(json.toString()).toBe(JSON.stringify(plain));
      const escaped = Buffer.from(
        JSON.stringify(plain).replaceAll(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
      );
      expect((await buffer(unquoted(cut(json, others)))).toString()).toBe(plain);
      expect((await buffer(unquoted(cut(escaped, others)))).toString()).toBe(plain);
    }),
    { numRuns: 500 },
  );
});
