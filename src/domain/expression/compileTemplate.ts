import { isObject, type Json, type JsonObject } from '../json.ts';
import type { Frame, Run } from './code.ts';
import { type Collector, compileExpression, createCollector } from './compileExpression.ts';
import { evaluateIn, withSource } from './evaluation.ts';
import type { CompileResult, ExpressionOptions, Reference, Scope } from './expression.ts';
import { DEFAULT_STEPS, MAX_DEPTH, spendText } from './meter.ts';
import { type Segment, splitTemplate } from './segments.ts';
import { put, textOf } from './value.ts';

/** A compiled part: fixed, or to be run. */
type Part = { fixed: Json } | { run: Run; whole?: Reference; plain?: boolean };

/** Nothing in it computes: each expression is one plain reference. */
const isPlain = (part: Part): boolean => 'fixed' in part || part.whole !== undefined || part.plain === true;

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** Text with expressions in it. The length is paid for before the pieces are joined. */
function compileText(segments: readonly Segment[], place: { text: string; pointer: string }, collector: Collector): Part {
  const pieces = segments.map((segment) => {
    if ('text' in segment) return segment.text;
    return compileExpression({ text: segment.expression, pointer: place.pointer }, segment.offset, collector).run;
  });
  const join = (frame: Frame): string => {
    const texts = pieces.map((piece) => (typeof piece === 'string' ? piece : textOf(piece(frame), frame.meter)));
    spendText(
      frame.meter,
      texts.reduce((length, text) => length + text.length, 0),
    );
    return texts.join('');
  };
  return { run: withSource(place, join) };
}

function compileString(text: string, pointer: string, collector: Collector): Part {
  if (!text.includes('${')) return { fixed: text };
  const segments = splitTemplate(text);
  if (!Array.isArray(segments)) {
    collector.issues.push({ pointer, code: 'expression_syntax', ...segments });
    return { fixed: text };
  }
  const [only] = segments;
  if (segments.length > 1 || only === undefined) return compileText(segments, { text, pointer }, collector);
  if ('text' in only) return { fixed: only.text };
  return compileExpression({ text: only.expression, pointer }, only.offset, collector);
}

const runOf = (part: Part): Run => ('run' in part ? part.run : () => part.fixed);

function compileArray(values: readonly Json[], pointer: string, collector: Collector): Part {
  const parts = values.map((value, i) => compileValue(value, `${pointer}/${i}`, collector));
  if (parts.every((part) => 'fixed' in part)) return { fixed: parts.map((part) => part.fixed) };
  const runs = parts.map(runOf);
  return { run: (frame) => runs.map((run) => run(frame)), plain: parts.every(isPlain) };
}

function objectOf<T>(entries: readonly (readonly [string, T])[], valueOf: (entry: T) => Json): JsonObject {
  const object: JsonObject = {};
  for (const [key, entry] of entries) put(object, key, valueOf(entry));
  return object;
}

function compileObject(value: JsonObject, pointer: string, collector: Collector): Part {
  const parts = Object.entries(value).map(
    ([key, entry]) => [key, compileValue(entry, `${pointer}/${escapePointer(key)}`, collector)] as const,
  );
  if (parts.every(([, part]) => 'fixed' in part)) return { fixed: objectOf(parts, (part) => ('fixed' in part ? part.fixed : null)) };
  const runs = parts.map(([key, part]) => [key, runOf(part)] as const);
  return { run: (frame) => objectOf(runs, (run) => run(frame)), plain: parts.every(([, part]) => isPlain(part)) };
}

function compileValue(value: Json, pointer: string, collector: Collector): Part {
  if (typeof value === 'string') return compileString(value, pointer, collector);
  if (!Array.isArray(value) && !isObject(value)) return { fixed: value };
  if (pointer.length > MAX_DEPTH * 2 && pointer.split('/').length > MAX_DEPTH) {
    collector.issues.push({ pointer, code: 'expression_syntax', message: `Templates are nested at most ${MAX_DEPTH} levels` });
    return { fixed: null };
  }
  return Array.isArray(value) ? compileArray(value, pointer, collector) : compileObject(value, pointer, collector);
}

/**
 * Compiles any JSON value whose strings may hold `${…}`; keys are taken as they are. All issues at once. A string that is exactly one
 * expression keeps the expression's type. `options.steps` bounds one `evaluate` of the whole value.
 */
export function compileTemplate(value: Json, scope: Scope, options: ExpressionOptions = {}): CompileResult {
  const collector = createCollector(scope);
  const part = compileValue(value, '', collector);
  if (collector.issues.length > 0) return { issues: collector.issues };
  const { references } = collector;
  if ('fixed' in part) return { compiled: { references, evaluate: () => part.fixed } };
  const evaluate = evaluateIn(part.run, options.steps ?? DEFAULT_STEPS);
  return { compiled: { references, evaluate, plain: isPlain(part), ...(part.whole === undefined ? {} : { whole: part.whole }) } };
}
