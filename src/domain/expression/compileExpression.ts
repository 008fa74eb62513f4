import type { Context, Run } from './code.ts';
import { compileNode } from './compile.ts';
import type { ExpressionIssue, Reference, Scope } from './expression.ts';
import { type Source, withSource } from './evaluation.ts';
import { parseExpression } from './parse.ts';
import { plainReference } from './reference.ts';
import { checkResult } from './value.ts';

/** Collects what all expressions of one value have in common. */
export type Collector = { scope: Scope; references: Reference[]; issues: ExpressionIssue[]; shared: { slots: number; nodes: number } };

export const createCollector = (scope: Scope): Collector => ({ scope, references: [], issues: [], shared: { slots: 0, nodes: 0 } });

/** One expression: its code, and the reference when it is nothing more than one. Issues go to the collector, at `offset` in the string. */
export function compileExpression(source: Source, offset: number, collector: Collector): { run: Run; whole?: Reference } {
  const { text, pointer } = source;
  const report = (issues: Context['issues']): void => {
    for (const issue of issues) collector.issues.push({ pointer, ...issue, offset: offset + (issue.offset ?? 0) });
  };
  const ast = parseExpression(text);
  if (!('op' in ast)) {
    report([{ code: 'expression_syntax', ...ast }]);
    return { run: () => null };
  }
  const { scope, references, shared } = collector;
  const context: Context = { scope, text, locals: [], depth: 0, shared, references, issues: [], compile: compileNode };
  const { run } = compileNode(ast, context);
  report(context.issues);
  const whole = plainReference(text);
  if (whole !== undefined) return { run: withSource(source, run), whole };
  const checked = withSource(source, (frame) => {
    const value = run(frame);
    // What an expression made may share parts: unfolded, it must still fit.
    if (typeof value === 'object' && value !== null) checkResult(value, frame.meter);
    return value;
  });
  return { run: checked };
}
