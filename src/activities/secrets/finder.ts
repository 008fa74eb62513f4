import { CODINGS, MAX_ESCAPED, type Coding, type Unit } from './codings.ts';

/** Finds a text as it is, and as JSON, addresses, HTML and base64 have it. */
export type Finder = {
  /** Places where it may begin. */
  head: RegExp;
  /** Where it ends if it begins there, or how many characters were looked at in vain. */
  look: (within: string, start: number) => { end: number } | { looked: number };
  /** Nothing that is found is longer. Characters. */
  longest: number;
};

/** An expression for all of a long text would take megabytes; this many characters are enough to be rare. */
const HEAD = 12;
/** Shorter runs of base64 say nothing. */
const MIN_BASE64 = 8;

export function createFinder(text: string, unit: Unit): Finder {
  const chars = Array.from(text);
  const encoded = inBase64(text);
  const heads = CODINGS.map((coding) => chars.slice(0, HEAD).map((char) => coding(char, unit)).join('')); // prettier-ignore
  const runs = encoded.map((run) => run.slice(0, HEAD).replaceAll('+', '[-+]').replaceAll('/', '[/_]'));
  const readers = CODINGS.map((coding) => createReader(coding, unit));
  return {
    head: new RegExp([...new Set([...heads, ...runs])].join('|'), 'g'),
    longest: MAX_ESCAPED * chars.length,
    look: (within, start) => {
      const reads = readers.map((read) => follow(chars, read, { within, start }));
      const run = encoded.find((each) => isRun(each, within, start));
      const ends = [...reads.flatMap((read) => ('end' in read ? [read.end] : [])), ...(run === undefined ? [] : [start + run.length])];
      if (ends.length > 0) return { end: Math.max(...ends) };
      return { looked: reads.reduce((sum, read) => sum + ('looked' in read ? read.looked : 0), 0) };
    },
  };
}

/** The end of one character there; -1 = it is another. */
type Reader = (char: string, within: string, at: number) => number;

function createReader(coding: Coding, unit: Unit): Reader {
  const known = new Map<string, RegExp>();
  return (char, within, at) => {
    const expression = known.get(char) ?? new RegExp(coding(char, unit), 'y');
    known.set(char, expression);
    expression.lastIndex = at;
    return expression.test(within) ? expression.lastIndex : -1;
  };
}

function follow(chars: readonly string[], read: Reader, { within, start }: { within: string; start: number }): ReturnType<Finder['look']> {
  let at = start;
  for (const [i, char] of chars.entries()) {
    at = read(char, within, at);
    if (at < 0) return { looked: i + 1 };
  }
  return { end: at };
}

/** Inside of a longer text it may begin at each of three places; the characters at the edges belong to what stands around it. */
function inBase64(text: string): string[] {
  const bytes = Buffer.from(text);
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const whole = (before + bytes.length) % 3 === 0 ? encoded : encoded.slice(0, -1);
    const inner = whole.slice(before === 0 ? 0 : before + 1);
    return inner.length < MIN_BASE64 ? [] : [inner];
  });
}

/** In either alphabet. */
const isRun = (run: string, within: string, start: number): boolean =>
  within
    .slice(start, start + run.length)
    .replaceAll('-', '+')
    .replaceAll('_', '/') === run;
