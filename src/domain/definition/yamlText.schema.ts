import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, parseAllDocuments, type Document } from 'yaml';
import type { Issue } from '../problem.ts';
import { LIMITS } from './limits.ts';
import { child, stepsOf } from './pointer.ts';
import type { ParsedText } from './parsedText.ts';

const START = { pointer: '', line: 1, column: 1 };
const TOO_DEEP: Issue = { ...START, code: 'too_deep', message: `is nested more than ${LIMITS.depth} deep` };

const TOO_MANY_ALIASES: Issue = { ...START, code: 'too_large', message: `follows aliases more than ${LIMITS.aliases} times` };

/** Reads YAML 1.2 with the core schema, so `on`, `yes` and dates stay text. Aliases are followed a bounded number of times. Never throws. */
export function parseYaml(text: string): ParsedText {
  if (text.length > LIMITS.yamlBytes)
    return { issues: [{ ...START, code: 'too_large', message: `at most ${LIMITS.yamlBytes} bytes of YAML`, hint: 'JSON may be larger' }] };
  const fault = boundsFault(text);
  if (fault !== undefined) return { issues: [fault] };
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      // The library compares each pair of keys: minutes for a large mapping. Found below instead.
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: lines,
      logLevel: 'silent',
    });
    const [document] = documents;
    if (!Array.isArray(documents) || document === undefined)
      return { issues: [{ ...START, code: 'syntax', message: 'the text is empty' }] };
    const issues = faultsOf(documents, lines);
    if (issues.length > 0) return { issues: issues.slice(0, LIMITS.issues) };
    const value: unknown = document.toJS({ maxAliasCount: LIMITS.aliases });
    return { value, locate: (pointer) => at(lines, offsetOf(document, pointer)) };
  } catch (error) {
    return { issues: [thrown(error)] };
  }
}

function faultsOf(documents: readonly Document[], lines: LineCounter): Issue[] {
  const [first, second] = documents;
  const issues = documents
    .flatMap(({ errors, warnings }) => [...errors, ...warnings])
    .map(({ message, pos }) => ({
      pointer: '',
      ...at(lines, pos[0]),
      code: 'syntax',
      message: (message.split('\n')[0] ?? '').slice(0, 300),
    }));
  if (second !== undefined)
    issues.push({ pointer: '', ...at(lines, startOf(second) ?? 0), code: 'syntax', message: 'must be one document' });
  for (const { pointer, offset } of first === undefined ? [] : repeatedKeys(first.contents, ''))
    issues.push({ pointer, ...at(lines, offset), code: 'duplicate_key', message: 'the key is there twice' });
  return issues;
}

type Repeated = { pointer: string; offset: number };

function repeatedKeys(node: unknown, pointer: string): Repeated[] {
  if (isSeq(node)) return node.items.flatMap((item, i) => repeatedKeys(item, child(pointer, i)));
  if (!isMap(node)) return [];
  const seen = new Set<string>();
  return node.items.flatMap(({ key, value }) => {
    const name = keyText(key);
    const here = child(pointer, name);
    const inner = repeatedKeys(value, here);
    if (seen.has(name)) return [{ pointer: here, offset: startOf(key) ?? 0 }, ...inner];
    seen.add(name);
    return inner;
  });
}

/** Told before parsing, which recurses and takes seconds to notice. The quick look may be wrong inside text, so the lexer decides. */
function boundsFault(text: string): Issue | undefined {
  const bound = LIMITS.depth * 2;
  const suspect = deepestBracket(text) > bound || /(?:[-?:][ \t]+){128}/.test(text) || text.split('*').length > LIMITS.aliases;
  if (!suspect) return undefined;
  let aliases = 0;
  let brackets = 0;
  let onLine = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') brackets++;
    else if (token === ']' || token === '}') brackets--;
    else if (token === '-' || token === '?' || token === ':') onLine++;
    else if (token === '\n') onLine = 0;
    else if (token.startsWith('*') && ++aliases > LIMITS.aliases) return TOO_MANY_ALIASES;
    if (brackets > bound || onLine > bound) return TOO_DEEP;
  }
  return undefined;
}

function deepestBracket(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth = Math.max(0, depth - 1);
  }
  return deepest;
}

/** The parser recurses, and says so by exhausting the stack; it refuses too many aliases by a ReferenceError. */
function thrown(error: unknown): Issue {
  if (error instanceof RangeError) return TOO_DEEP;
  if (error instanceof ReferenceError) return TOO_MANY_ALIASES;
  return { ...START, code: 'syntax', message: error instanceof Error ? error.message.slice(0, 300) : 'cannot be read' };
}

function at(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** Where the value of a pointer stands, or as much of it as is there: a key for what is in a mapping, so that it points to the name. */
function offsetOf(document: Document, pointer: string): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const step of stepsOf(pointer)) {
    if (isAlias(node)) node = node.resolve(document);
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => keyText(key) === step);
      offset = startOf(pair?.key) ?? offset;
      next = pair?.value;
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
      offset = startOf(next) ?? offset;
    }
    if (next === undefined) return offset;
    node = next;
  }
  return offset;
}

const startOf = (node: unknown): number | undefined => (node as { range?: readonly number[] | null } | null | undefined)?.range?.[0];

const keyText = (key: unknown): string => String(isScalar(key) ? key.value : key);
