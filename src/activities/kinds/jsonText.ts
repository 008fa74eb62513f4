import { Problem } from '../../domain/problem.ts';

/** Nested arrays and objects beyond this are refused, as by everything that parses recursively. */
const MAX_DEPTH = 10_000;
const [QUOTE, BACKSLASH, U] = [0x22, 0x5c, 0x75];
const [COMMA, COLON, CLOSE_OBJECT, CLOSE_LIST] = [0x2c, 0x3a, 0x7d, 0x5d];
const OPENS: { [byte: number]: number } = { 0x7b: CLOSE_OBJECT, 0x5b: CLOSE_LIST };
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isHex = (byte: number): boolean => (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'));
const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
/** Of a number or word; longer ones are refused. */
const MAX_SCALAR = 4_096;

/** What may come next: a value, a value or the end of an empty list, a key (or the end of an empty object), `:`, or `,` or an end. */
type Expects = 'value' | 'first' | 'firstKey' | 'key' | 'colon' | 'next';

type Scan = { closers: number[]; expects: Expects; scalar: string; text: 'none' | 'open' | 'escape'; hexLeft: number };

const broken = () => new Problem('http_response_invalid', { detail: 'The body is not JSON' });

function inText(scan: Scan, byte: number): void {
  if (scan.hexLeft > 0) {
    if (!isHex(byte)) throw broken();
    scan.hexLeft--;
  } else if (scan.text === 'escape') {
    if (byte === U) scan.hexLeft = 4;
    else if (!ESCAPED.has(byte)) throw broken();
    scan.text = 'open';
  } else if (byte === BACKSLASH) scan.text = 'escape';
  else if (byte === QUOTE) {
    scan.text = 'none';
    scan.expects = scan.expects === 'key' || scan.expects === 'firstKey' ? 'colon' : 'next';
  } else if (byte < 0x20) throw broken();
}

function close(scan: Scan, byte: number): void {
  const { expects } = scan;
  if (expects === 'value' || expects === 'key' || expects === 'colon' || scan.closers.pop() !== byte) throw broken();
  scan.expects = 'next';
}

function begin(scan: Scan, byte: number): void {
  const closer = OPENS[byte];
  if (closer !== undefined) {
    if (scan.closers.push(closer) > MAX_DEPTH) throw broken();
    scan.expects = closer === CLOSE_OBJECT ? 'firstKey' : 'first';
  } else if (byte === QUOTE) scan.text = 'open';
  else scan.scalar = String.fromCharCode(byte);
}

function structure(scan: Scan, byte: number): void {
  if (isSpace(byte)) return;
  const { expects, closers } = scan;
  if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) close(scan, byte);
  else if (expects === 'next') {
    if (byte !== COMMA || closers.length === 0) throw broken();
    scan.expects = closers.at(-1) === CLOSE_OBJECT ? 'key' : 'value';
  } else if (expects === 'colon') {
    if (byte !== COLON) throw broken();
    scan.expects = 'value';
  } else if (expects === 'key' || expects === 'firstKey') {
    if (byte !== QUOTE) throw broken();
    scan.text = 'open';
  } else begin(scan, byte);
}

function endScalar(scan: Scan): void {
  if (!SCALAR.test(scan.scalar)) throw broken();
  scan.scalar = '';
  scan.expects = 'next';
}

function step(scan: Scan, byte: number): void {
  if (scan.text !== 'none') {
    inText(scan, byte);
    return;
  }
  if (scan.scalar !== '') {
    if (byte !== COMMA && byte !== CLOSE_LIST && byte !== CLOSE_OBJECT && !isSpace(byte)) {
      scan.scalar += String.fromCharCode(byte);
      if (scan.scalar.length > MAX_SCALAR) throw broken();
      return;
    }
    endScalar(scan);
  }
  structure(scan, byte);
}

/**
 * Follows a JSON text (RFC 8259) in pieces of bytes without keeping it.
 * `push` and `end` @throws Problem http_response_invalid
 */
export function createJsonScanner(): { push: (chunk: Uint8Array) => void; end: () => void } {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const scan: Scan = { closers: [], expects: 'value', scalar: '', text: 'none', hexLeft: 0 };
  return {
    push: (chunk) => {
      decode(decoder, chunk);
      for (const byte of chunk) step(scan, byte);
    },
    end: () => {
      decode(decoder);
      if (scan.scalar !== '') endScalar(scan);
      if (scan.text !== 'none' || scan.closers.length > 0 || scan.expects !== 'next') throw broken();
    },
  };
}

type Decoder = Pick<InstanceType<typeof TextDecoder>, 'decode'>;

/** The next part of a UTF-8 text. @throws Problem http_response_invalid */
export function decode(decoder: Decoder, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
  } catch (cause) {
    throw new Problem('http_response_invalid', { detail: 'The body is not UTF-8 text', cause });
  }
}

/** The same JSON text, failing where it is none. @throws Problem http_response_invalid */
export async function* checkedJson(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const scanner = createJsonScanner();
  for await (const chunk of chunks) {
    scanner.push(chunk);
    yield chunk;
  }
  scanner.end();
}

/** Text as a JSON string. @throws Problem http_response_invalid if it is not UTF-8 */
export async function* quoted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const escaped = (text: string) => Buffer.from(JSON.stringify(text).slice(1, -1));
  yield Buffer.from('"');
  for await (const chunk of chunks) yield escaped(decode(decoder, chunk));
  yield escaped(decode(decoder));
  yield Buffer.from('"');
}

/** The text of a JSON string, the reverse of `quoted`. */
export async function* unquoted(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder();
  let held = '';
  let first = true;
  for await (const chunk of chunks) {
    const text = held + decoder.decode(chunk, { stream: true }).slice(first ? 1 : 0);
    first = false;
    const end = Math.max(0, wholeUntil(text));
    held = text.slice(end);
    yield Buffer.from(JSON.parse(`"${text.slice(0, end)}"`) as string);
  }
  yield Buffer.from(JSON.parse(`"${held}`) as string);
}

/** Up to where a text that begins between two characters can be unescaped: no escape or surrogate pair is cut, and the last character, perhaps the closing quote, stays. */
function wholeUntil(text: string): number {
  let end = text.length - 1;
  let last = -1;
  let after: number;
  for (let at = text.indexOf('\\'); at >= 0 && at < end; at = text.indexOf('\\', after)) {
    after = at + (text.charAt(at + 1) === 'u' ? 6 : 2);
    if (after >= text.length) end = at;
    else last = at;
  }
  if (last >= 0 && last + 6 === end && /^\\u[dD][89abAB]/.test(text.slice(last))) return last;
  return /[\uD800-\uDBFF]/.test(text.charAt(end - 1)) ? end - 1 : end;
}
