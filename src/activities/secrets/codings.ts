/** How characters are looked for: as text, or as bytes, of which each is one character of the text that is searched. */
export type Unit = 'text' | 'bytes';

/** Source of an expression for one character, escaped or not as writers of the coding like. No character has two readings. */
export type Coding = (char: string, unit: Unit) => string;

/** What a character takes at most, however it is escaped. */
export const MAX_ESCAPED = 16;

const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
const either = (alternatives: readonly string[]): string =>
  alternatives.length === 1 ? (alternatives[0] ?? '') : `(?:${alternatives.join('|')})`;
/** In capitals or not. */
const hex = (code: number, length = 1): string =>
  code
    .toString(16)
    .padStart(length, '0')
    .replaceAll(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);

/** As it is; of bytes, in UTF-8 or Latin-1. */
const plain: Coding = (char, unit) => {
  if (unit === 'text') return literally(char);
  const utf8 = Buffer.from(char).toString('latin1');
  return either([...new Set(/^[\x80-\xff]$/.test(char) ? [utf8, char] : [utf8])].map(literally));
};

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  ...{ '"': '\\\\"', '\\': '\\\\\\\\', '/': '\\\\\\/', '\b': '\\\\b', '\f': '\\\\f', '\n': '\\\\n', '\r': '\\\\r', '\t': '\\\\t' },
};

const inJson: Coding = (char, unit) => {
  const units = Array.from({ length: char.length }, (_, i) => `\\\\u${hex(char.charCodeAt(i), 4)}`).join('');
  const short = SHORT_ESCAPES[char];
  const mustBeEscaped = char === '"' || char === '\\' || char < ' ';
  return either([...(mustBeEscaped ? [] : [plain(char, unit)]), units, ...(short === undefined ? [] : [short])]);
};

const inUrl: Coding = (char, unit) => {
  const bytes = [...Buffer.from(char)].map((byte) => `%${hex(byte, 2)}`).join('');
  return either([...(char === '%' || char === '+' ? [] : [plain(char, unit)]), bytes, ...(char === ' ' ? ['\\+'] : [])]);
};

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

const inHtml: Coding = (char, unit) => {
  const code = char.codePointAt(0) ?? 0;
  const named = ENTITIES[char];
  const numeric = `&#(?:0{0,3}${code}|[xX]0{0,3}${hex(code)});`;
  return either([...(char === '&' ? [] : [plain(char, unit)]), numeric, ...(named === undefined ? [] : [named])]);
};

export const CODINGS: readonly Coding[] = [plain, inJson, inUrl, inHtml];
