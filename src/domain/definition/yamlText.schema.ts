import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type Node, type Pair } from 'yaml';
import type { Issue } from '../problem.ts';
import { LIMITS } from './limits.ts';
import { child, stepsOf } from './pointer.ts';
import type { ParsedText } from './parsedText.ts';

const CODES: { [code: string]: string } = { DUPLICATE_KEY: 'duplicate_key' };

/** Reads YAML 1.2 with the core schema, so `on`, `yes` and dates stay text. Aliases are followed a bounded number of times. Never throws. */
export function parseYaml(text: string): ParsedText {
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      uniqueKeys: true,
      intAsBigInt: true,
      prettyErrors: false,
      lineCounter: lines,
      logLevel: 'silent',
    });
    const [document] = documents;
    if (!Array.isArray(documents) || document === undefined)
      return { issues: [{ pointer: '', code: 'syntax', message: 'the text is empty' }] };
    const faults = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]);
    if (documents.length > 1)
      return { issues: [{ pointer: '', ...at(lines, documents[1]?.range?.[0] ?? 0), code: 'syntax', message: 'must be one document' }] };
    if (faults.length > 0)
      return {
        issues: faults.slice(0, LIMITS.issues).map(({ code, message, pos }) => ({
          pointer: code === 'DUPLICATE_KEY' ? pointerAt(document, pos[0]) : '',
          ...at(lines, pos[0]),
          code: CODES[code] ?? 'syntax',
          message: code === 'DUPLICATE_KEY' ? 'the key is there twice' : (message.split('\n')[0] ?? '').slice(0, 300),
        })),
      };
    const value: unknown = document.toJS({ maxAliasCount: LIMITS.aliases });
    return { value, locate: (pointer) => at(lines, offsetOf(document, pointer)) };
  } catch (error) {
    return { issues: [thrown(error)] };
  }
}

/** The parser recurses, and says so by exhausting the stack; it refuses too many aliases by a ReferenceError. */
function thrown(error: unknown): Issue {
  if (error instanceof RangeError) return { pointer: '', code: 'too_deep', message: 'is nested too deeply' };
  if (error instanceof ReferenceError)
    return { pointer: '', code: 'too_large', message: `follows aliases more than ${LIMITS.aliases} times` };
  return { pointer: '', code: 'syntax', message: error instanceof Error ? error.message.slice(0, 300) : 'cannot be read' };
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
      const pair = (node.items as Pair[]).find(({ key }) => keyText(key) === step);
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

const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];

const keyText = (key: unknown): string => String(isScalar(key) ? key.value : key);

/** The pointer of the mapping key that stands at an offset. */
function pointerAt(document: Document, offset: number): string {
  const find = (node: unknown, pointer: string): string | undefined => {
    if (isMap(node))
      for (const { key, value } of node.items as Pair[]) {
        const here = child(pointer, keyText(key));
        if (startOf(key) === offset) return here;
        const inner = find(value, here);
        if (inner !== undefined) return inner;
      }
    if (isSeq(node))
      for (const [i, item] of node.items.entries()) {
        const inner = find(item, child(pointer, i));
        if (inner !== undefined) return inner;
      }
    return undefined;
  };
  return find(document.contents, '') ?? '';
}
