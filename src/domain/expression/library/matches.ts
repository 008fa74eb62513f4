import { RE2JS } from 're2js';
import { type Context, type Frame, type Run, refuse } from '../code.ts';
import { failed } from '../fault.ts';
import { spend } from '../meter.ts';
import type { Node } from '../parse.ts';
import { textAt } from './argument.ts';

const MAX_PATTERN = 1000;

type Pattern = { source: string; program: RE2JS; size: number };

function compilePattern(source: string): Pattern | undefined {
  if (source.length > MAX_PATTERN) return undefined;
  try {
    const program = RE2JS.compile(source);
    return { source, program, size: program.programSize() };
  } catch {
    return undefined;
  }
}

function search(pattern: Pattern, text: string, frame: Frame): boolean {
  // Linear, with the size of the compiled pattern as its factor.
  spend(frame.meter, 1 + Math.ceil((text.length * pattern.size) / 64));
  return pattern.program.test(text);
}

/** `matches(text, pattern)`: whether an RE2 pattern (at most 1000 characters) is found in the text. Undefined when an issue was recorded. */
export function compileMatches(args: readonly Node[], context: Context): Run | undefined {
  const [text, pattern] = args.map((arg) => context.compile(arg, context));
  if (text === undefined || pattern === undefined) return undefined;
  if (typeof pattern.literal === 'string') {
    const compiled = compilePattern(pattern.literal);
    if (compiled !== undefined) return (frame) => search(compiled, textAt([text.run(frame)], 0), frame);
    const hint = 'Patterns are RE2: no back-references, no look-around, at most 1000 characters';
    refuse(context, args[1]?.pos ?? 0, { code: 'invalid_pattern', message: 'The pattern cannot be compiled', hint });
    return undefined;
  }
  let last: Pattern | undefined;
  return (frame) => {
    const subject = textAt([text.run(frame)], 0);
    const source = textAt([pattern.run(frame)], 0);
    // Paid also when the last one is used again: the cost must not depend on earlier evaluations.
    spend(frame.meter, 64 + source.length);
    if (last?.source !== source) last = compilePattern(source);
    if (last === undefined) throw failed('needs an RE2 pattern of at most 1000 characters');
    spend(frame.meter, last.size * 16);
    return search(last, subject, frame);
  };
}
