import { compileExpression, createCollector } from './compileExpression.ts';
import { evaluateIn, withSource } from './evaluation.ts';
import type { CompileResult, ExpressionIssue, ExpressionOptions, Scope } from './expression.ts';
import { failed } from './fault.ts';
import { DEFAULT_STEPS } from './meter.ts';
import { splitTemplate } from './segments.ts';
import { describe } from './value.ts';

/** The expression inside one `${…}` (spaces around it are allowed), or the whole text. */
function expressionOf(text: string): { text: string; offset: number } | { issue: Omit<ExpressionIssue, 'pointer' | 'code'> } {
  const start = text.length - text.trimStart().length;
  if (!text.startsWith('${', start)) return { text, offset: 0 };
  const segments = splitTemplate(text.trim());
  if (!Array.isArray(segments)) return { issue: { ...segments, offset: segments.offset + start } };
  const [only] = segments;
  if (segments.length === 1 && only !== undefined && 'expression' in only) return { text: only.expression, offset: only.offset + start };
  return {
    issue: {
      message: 'A condition is one expression, without text around it',
      hint: 'Write the whole condition inside one ${…}',
      offset: start,
    },
  };
}

/**
 * Compiles one expression, with or without `${…}` around it, that has to give true or false.
 * `evaluate` throws Problem expression_failed when it gives anything else, null included.
 */
export function compileCondition(text: string, scope: Scope, options: ExpressionOptions = {}): CompileResult {
  const inner = expressionOf(text);
  if ('issue' in inner) return { issues: [{ pointer: '', code: 'expression_syntax', ...inner.issue }] };
  const collector = createCollector({ names: scope.names, ...(scope.tasks === undefined ? {} : { tasks: scope.tasks }) });
  const source = { text: inner.text, pointer: '' };
  const { run, whole } = compileExpression(source, inner.offset, collector);
  if (collector.issues.length > 0) return { issues: collector.issues };
  const decide = withSource(source, (frame) => {
    const value = run(frame);
    if (typeof value === 'boolean') return value;
    throw failed(`A condition gives true or false, this one gave ${describe(value)}`);
  });
  const evaluate = evaluateIn(decide, options.steps ?? DEFAULT_STEPS);
  return { compiled: { references: collector.references, evaluate, ...(whole === undefined ? {} : { whole }) } };
}
