import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import { skipOpaque } from './segments.ts';

/** A node of the syntax tree, as the library parses it. */
export type Node = ASTNode;

export type SyntaxFault = { message: string; offset: number; hint?: string };

const MAX_LENGTH = 10_000;

const environment = new Environment({
  enableOptionalTypes: true,
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
  limits: { maxAstNodes: 1000, maxDepth: 100 },
});

const OPTIONAL = /^\?\.(?=[A-Za-z_[])/;

/** `a?.b` and `a?.[b]` as CEL spells them, `a.?b` and `a[?b]`, without moving any other character. */
function spellOptionals(text: string): string {
  if (!text.includes('?.')) return text;
  let out = '';
  let position = 0;
  for (let i = 0; i < text.length; i++) {
    const next = skipOpaque(text, i);
    if (next === -1) break;
    if (next > i) {
      i = next - 1;
    } else if (OPTIONAL.test(text.slice(i, i + 3))) {
      const isIndex = text[i + 2] === '[';
      out += text.slice(position, i) + (isIndex ? '[? ' : '.?');
      position = i + (isIndex ? 3 : 2);
      i = position - 1;
    }
  }
  return out + text.slice(position);
}

/** What a person most likely meant by the characters around a syntax error. */
function hintFor(text: string, offset: number): string | undefined {
  const around = text.slice(Math.max(0, offset - 3), offset + 3);
  if (around.includes('===') || around.includes('!==')) return 'Equality is written == and !=';
  if (around.includes('??')) return 'Give a default with a.?b.orValue(default)';
  if (around.includes('=>')) return 'Macros take a name and an expression: xs.map(x, x.name)';
  if (text[offset] === '=') return 'Equality is written ==';
  if (text[offset] === '&' || text[offset] === '|') return 'Logical operators are && and ||';
  if (text[offset] === '`') return 'Strings are written in single or double quotes';
  if (text[offset] === '$') return 'Inside ${…} names are written without $';
  if (/^(and|or|not)\b/.test(text.slice(offset))) return 'Logical operators are &&, || and !';
  if (/\.\s*(in|true|false|null)$/.test(text.slice(0, offset)) || /^(in|true|false|null)\b/.test(text.slice(offset))) {
    return 'A field with a reserved name is written input["in"]';
  }
  if ((text.codePointAt(offset) ?? 0) > 127) return 'A field with other characters than letters, digits and _ is written input["größe"]';
  return undefined;
}

const TOKENS: Readonly<Record<string, string>> = {
  EOF: 'the end of the expression',
  IDENTIFIER: 'a name',
  NUMBER: 'a number',
  STRING: 'a string',
  LPAREN: '(',
  RPAREN: ')',
  LBRACKET: '[',
  RBRACKET: ']',
  LBRACE: '{',
  RBRACE: '}',
  DOT: '.',
  COMMA: ',',
  COLON: ':',
  QUESTION: '?',
  PLUS: '+',
  MINUS: '-',
  MULTIPLY: '*',
  DIVIDE: '/',
  MODULO: '%',
  EQ: '==',
  NE: '!=',
  LT: '<',
  LE: '<=',
  GT: '>',
  GE: '>=',
  AND: '&&',
  OR: '||',
  NOT: '!',
  IN: 'in',
  BOOLEAN: 'true or false',
  NULL: 'null',
  BYTES: 'bytes',
};

const readable = (summary: string): string => summary.replace(/\b[A-Z]{2,}\b/g, (token) => TOKENS[token] ?? token);

function faultOf(error: ParseError, text: string): SyntaxFault {
  const offset = error.range?.start ?? 0;
  const hint = hintFor(text, offset);
  if (error.code === 'invalid_macro_argument') return { message: 'The first argument of a macro is a name: xs.map(x, x.name)', offset };
  const message = error.code === 'limit_exceeded' ? 'The expression is too large or nested too deeply' : readable(error.summary);
  return { message, offset, ...(hint === undefined ? {} : { hint }) };
}

/** Parses one CEL expression of at most 10_000 characters and 1000 nodes. */
export function parseExpression(text: string): Node | SyntaxFault {
  if (text.trim() === '') return { message: 'The expression is empty', offset: 0, hint: 'Write $${ for the characters ${' };
  if (text.length > MAX_LENGTH) return { message: `The expression is longer than ${MAX_LENGTH} characters`, offset: 0 };
  try {
    return environment.parse(spellOptionals(text)).ast;
  } catch (error) {
    if (error instanceof ParseError) return faultOf(error, text);
    // The parser itself recurses: only a stack overflow is left.
    return { message: 'The expression is nested too deeply', offset: 0 };
  }
}
