import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createScrubber } from '../../../src/activities/secrets/scrubber.ts';
import { asJson, StoredValue } from '../../../src/domain/run/storedValue.ts';
import { Problem } from '../../../src/domain/problem.ts';

const VALUE = 'pä ss/w<ö>rd"+\\1';
const scrubber = (secrets: Record<string, string>) => {
  const made = createScrubber(secrets);
  if (!made) throw new Error('nothing to scrub');
  return made;
};

async function streamed(secrets: Record<string, string>, bytes: Buffer, size: number): Promise<string> {
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
  return (await buffer(scrubber(secrets).bytes(Readable.from(chunks)))).toString();
}

const python = (text: string): string =>
  JSON.stringify(text).replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const ECHOES: [string, string, string][] = [
  ['as it is', `<${VALUE}>`, '<[secret:s]>'],
  ['in JSON', JSON.stringify({ a: VALUE }), '{"a":"[secret:s]"}'],
  ['in JSON with nothing beyond ASCII', python(VALUE), '"[secret:s]"'],
  ['in JSON with slashes escaped', python(VALUE).replaceAll('/', '\\/'), '"[secret:s]"'],
  ['in JSON for HTML', python(VALUE).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e'), '"[secret:s]"'],
  ['in an address', `?k=${encodeURIComponent(VALUE)}&b`, '?k=[secret:s]&b'],
  ['in a form', new URLSearchParams({ k: VALUE }).toString(), 'k=[secret:s]'],
  ['in HTML', `<p>${VALUE.replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')}</p>`, '<p>[secret:s]</p>'],
  ['read as another encoding', Buffer.from(VALUE, 'utf8').toString('latin1'), '[secret:s]'],
  ['read as if it were UTF-8', Buffer.from(VALUE, 'latin1').toString('utf8'), '[secret:s]'],
  ['in another normal form', VALUE.normalize('NFD'), '[secret:s]'],
];

test.each(ECHOES)('a secret that comes back %s is taken out', async (_, echo, expected) => {
  expect(scrubber({ s: VALUE }).text(echo)).toBe(expected);
  expect(await streamed({ s: VALUE }, Buffer.from(echo), 3)).toBe(expected);
});

test.each([0, 1, 2, 3, 4])('inside of base64, after %i other bytes', (before) => {
  const encoded = Buffer.from(`${'x'.repeat(before)}key-0123456789-äö${'y'.repeat(5)}`).toString('base64');
  const scrubbed = scrubber({ s: 'key-0123456789-äö' }).text(encoded);
  expect(scrubbed).toContain('[secret:s]');
  expect(Buffer.from(scrubbed.replace('[secret:s]', '')).length).toBeLessThan(encoded.length - 16);
});

test('what is inside of a secret is one too: credentials of basic authentication, texts of a key file', () => {
  const basic = Buffer.from('user:correct-horse').toString('base64');
  expect(scrubber({ basic }).text('user:correct-horse, correct-horse')).toBe('[secret:basic], [secret:basic]');
  const file = JSON.stringify({ id: 7, keys: [{ private: 'line one\nline two' }] });
  expect(scrubber({ file }).json({ at: ['line one\nline two'] })).toEqual({ at: ['[secret:file]'] });
});

test('names of fields, numbers and failures are scrubbed; stored values stay what they are', () => {
  const stored = asJson(new StoredValue('0'.repeat(64), 70_000));
  const { json, failure } = scrubber({ pin: '12345678', key: 'abcdefgh' });
  expect(json({ abcdefgh: 12345678, n: 5, t: true, stored })).toEqual({ '[secret:key]': '[secret:pin]', n: 5, t: true, stored });
  expect(json([stored])).toEqual([stored]);
  expect(failure({ code: 'http_status', message: 'no abcdefgh', data: ['12345678'] })).toEqual({
    code: 'http_status',
    message: 'no [secret:key]',
    data: ['[secret:pin]'],
  });
});

test('a secret that its writer escaped by halves is taken out', () => {
  const value = `a<b>"c"&d/e\\f ü`;
  for (const echo of [`a&lt;b>"c"&#38;d/e\\f ü`, 'a<b\\u003e\\"c\\"\\u0026d/e\\\\f \\u00FC', 'a%3cb>%22c"%26d%2Fe%5cf+%c3%BC'])
    expect(scrubber({ s: value }).text(`-${echo}-`)).toBe('-[secret:s]-');
});

test('a secret of the largest size is taken out whole, however it is escaped', async () => {
  const large = Array.from({ length: 700 }, (_, i) => `zeile ${i} "ü"\\n/`).join('\n');
  expect(Buffer.byteLength(large)).toBeLessThan(16_384);
  for (const echo of [large, JSON.stringify(large).slice(1, -1), encodeURIComponent(large), python(large).slice(1, -1)]) {
    expect(scrubber({ large }).text(`<${echo}>`)).toBe('<[secret:large]>');
    expect(await streamed({ large }, Buffer.from(`<${echo}>`), 5_000)).toBe('<[secret:large]>');
  }
});

test('a text that is like a secret over and over is not told, instead of being compared for ever', async () => {
  const secrets = { s: `${'a'.repeat(8_000)}b` };
  expect(scrubber(secrets).json({ much: 'a'.repeat(1_000_000), some: 'aaa' })).toEqual({ much: '[secret:s]', some: 'aaa' });
  expect(await streamed(secrets, Buffer.alloc(1_000_000, 'a'), 65_536)).toContain('[secret:s]');
  expect(scrubber({ s: `${'\\'.repeat(60)}x` }).text('\\'.repeat(1_000))).toHaveLength(1_000);
});

test('an error loses the secret in its text, its stack and those of its causes', () => {
  const error = new Problem('unavailable', { detail: 'told abcdefgh', cause: new Error('abcdefgh was refused') });
  scrubber({ key: 'abcdefgh' }).error(error);
  expect([error.message, error.stack, (error.cause as Error).message, (error.cause as Error).stack].join()).not.toContain('abcdefgh');
  expect(error.message).toBe('told [secret:key]');
});

test('of secrets that begin alike the longer one is taken out whole, wherever a stream is cut', async () => {
  const secrets = { short: 'abcdefgh', long: 'abcdefghijkl' };
  const text = `abcdefghijklabcdefgh-abcdefghijk`;
  const expected = '[secret:long][secret:short]-[secret:short]ijk';
  expect(scrubber(secrets).text(text)).toBe(expected);
  for (let size = 1; size <= text.length; size++) expect(await streamed(secrets, Buffer.from(text), size)).toBe(expected);
});

test('a stream is scrubbed as the whole text is, however it is cut', async () => {
  const piece = fc.oneof(fc.constant('secretvalue'), fc.constant('secret'), fc.constant('value-ü-x'), fc.string({ maxLength: 5 }));
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 20 }), fc.integer({ min: 1, max: 30 }), async (pieces, size) => {
      const secrets = { a: 'secretvalue', b: 'value-ü-x' };
      const text = pieces.join('');
      expect(await streamed(secrets, Buffer.from(text), size)).toBe(scrubber(secrets).text(Buffer.from(text).toString()));
    }),
    { numRuns: 200 },
  );
});

test('without secrets there is nothing to scrub', () => {
  expect(createScrubber(undefined)).toBeUndefined();
  expect(createScrubber({})).toBeUndefined();
});
