/** A piece of a template string: literal text, or the text of one expression and where it starts in the string. */
export type Segment = { text: string } | { expression: string; offset: number };

export type SegmentFault = { message: string; hint: string; offset: number };

/** Index after the string literal or comment that starts at `from`; `from` itself when neither starts there; -1 when it never ends. */
export function skipOpaque(text: string, from: number): number {
  const first = text[from];
  if (first === '/' && text[from + 1] === '/') {
    const newline = text.indexOf('\n', from);
    return newline === -1 ? -1 : newline;
  }
  if (first !== '"' && first !== "'") return from;
  const quote = text.startsWith(first.repeat(3), from) ? first.repeat(3) : first;
  for (let i = from + quote.length; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text.startsWith(quote, i)) return i + quote.length;
  }
  return -1;
}

/** Index of the `}` that closes the expression which starts at `from`, or -1. Braces in string literals and in maps do not close it. */
function closingBrace(text: string, from: number): number {
  let open = 0;
  for (let i = from; i < text.length; i++) {
    const next = skipOpaque(text, i);
    if (next === -1) return -1;
    if (next > i) {
      i = next - 1;
    } else if (text[i] === '{') {
      open++;
    } else if (text[i] === '}' && open-- === 0) {
      return i;
    }
  }
  return -1;
}

/** Splits a template string at its `${…}`; `$${` stands for the characters `${`. A string without either is one text. */
export function splitTemplate(text: string): Segment[] | SegmentFault {
  const segments: Segment[] = [];
  let literal = '';
  let position = 0;
  for (;;) {
    const start = text.indexOf('${', position);
    if (start === -1) break;
    if (text[start - 1] === '$' && start > position) {
      literal += `${text.slice(position, start - 1)}\${`;
      position = start + 2;
      continue;
    }
    const end = closingBrace(text, start + 2);
    if (end === -1) {
      return {
        message: 'The expression is not closed by }',
        hint: 'Close it (mind open quotes), or write $${ for the characters ${',
        offset: start,
      };
    }
    literal += text.slice(position, start);
    if (literal !== '') segments.push({ text: literal });
    segments.push({ expression: text.slice(start + 2, end), offset: start + 2 });
    literal = '';
    position = end + 1;
  }
  literal += text.slice(position);
  if (literal !== '' || segments.length === 0) segments.push({ text: literal });
  return segments;
}
