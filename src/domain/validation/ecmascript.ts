import { commentAfter, commentBefore, enclosing, isComment, meaningful, type SyntaxNode } from './syntaxNode.ts';
import { namesBase, namesNoop, namesNotImplemented, saysNotImplemented } from './words.ts';

/** How functions, names and literals look in the grammars of TypeScript, TSX and JavaScript. */

export const FUNCTIONS = [
  'function_declaration',
  'generator_function_declaration',
  'function_expression',
  'generator_function',
  'arrow_function',
  'method_definition',
] as const;

const CLASSES = ['class_declaration', 'abstract_class_declaration', 'class'];
const WRAPPERS = ['parenthesized_expression', 'as_expression', 'satisfies_expression', 'type_assertion', 'non_null_expression'];
const CONSTANTS = ['null', 'undefined', 'true', 'false', 'number', 'string', 'regex'];

/** Where an expression stands, seen through casts and parentheses. */
function placeOf(node: SyntaxNode): { parent: SyntaxNode | null; inner: SyntaxNode } {
  let inner = node;
  while (inner.parent !== null && WRAPPERS.includes(inner.parent.kind)) inner = inner.parent;
  return { parent: inner.parent, inner };
}

/** Name of a function: its own, or that of what it is assigned to; '' when it has none. */
export function nameOf(fn: SyntaxNode): string {
  const own = fn.field('name');
  if (own !== null) return own.text;
  const { parent } = placeOf(fn);
  return (parent?.field('name') ?? parent?.field('key') ?? parent?.field('left') ?? parent?.field('property'))?.text ?? '';
}

/** The statement that holds a function, on which its leading comment stands. */
function statementOf(fn: SyntaxNode): SyntaxNode {
  const { parent, inner } = placeOf(fn);
  let at =
    parent !== null && ['variable_declarator', 'pair', 'public_field_definition', 'field_definition'].includes(parent.kind)
      ? parent
      : inner;
  while (at.parent !== null && ['lexical_declaration', 'variable_declaration', 'export_statement'].includes(at.parent.kind)) at = at.parent;
  return at;
}

export type Comments = { inside: string; before: string };

/** Comments inside the body or on its closing line, and the one just before the function. */
export function commentsOf(fn: SyntaxNode, body: SyntaxNode): Comments {
  const inside = body.children.filter(isComment).map((comment) => comment.text);
  const after = commentAfter(fn);
  return { inside: [...inside, ...(after ? [after.text] : [])].join('\n'), before: commentBefore(statementOf(fn))?.text ?? '' };
}

/** What the body does, without directives, `void x` and printing. */
export function effectiveStatements(body: SyntaxNode): SyntaxNode[] {
  return meaningful(body).filter((statement) => statement.kind !== 'empty_statement' && !isIdle(statement));
}

/** `console.warn('not implemented')` in a body that does nothing else. */
export function printsNotImplemented(body: SyntaxNode): boolean {
  return meaningful(body).some((statement) => isPrint(statement) && saysNotImplemented(stringIn(statement)));
}

const expressionOf = (statement: SyntaxNode): SyntaxNode | undefined =>
  statement.kind === 'expression_statement' ? meaningful(statement)[0] : undefined;

function isIdle(statement: SyntaxNode): boolean {
  const expression = expressionOf(statement);
  if (expression === undefined) return false;
  return (
    expression.kind === 'string' || (expression.kind === 'unary_expression' && expression.text.startsWith('void ')) || isPrint(statement)
  );
}

const isPrint = (statement: SyntaxNode): boolean => {
  const expression = expressionOf(statement);
  return expression?.kind === 'call_expression' && /^console\.\w+$/.test(expression.field('function')?.text ?? '');
};

/** The first string argument inside a statement, without quotes; '' if there is none. */
function stringIn(node: SyntaxNode): string {
  if (node.kind === 'string' || node.kind === 'template_string') return stringValue(node);
  for (const child of meaningful(node)) {
    const found = stringIn(child);
    if (found !== '') return found;
  }
  return '';
}

/** Text of a string or template literal without its quotes. */
export const stringValue = (literal: SyntaxNode): string => literal.text.slice(1, -1);

/** A literal, `[]`, `{}`, or one of these in `Promise.resolve(…)`, a cast, a sign or a template without holes. */
export function isConstant(node: SyntaxNode | undefined): boolean {
  if (node === undefined) return true;
  if (CONSTANTS.includes(node.kind)) return true;
  if (node.kind === 'template_string') return !node.children.some((child) => child.kind === 'template_substitution');
  if (node.kind === 'array') return meaningful(node).every(isConstant);
  if (node.kind === 'object') return meaningful(node).every((pair) => pair.kind === 'pair' && isConstant(pair.field('value') ?? pair));
  if (WRAPPERS.includes(node.kind) || node.kind === 'unary_expression' || node.kind === 'await_expression')
    return isConstant(meaningful(node)[0]);
  if (node.kind !== 'call_expression' || node.field('function')?.text !== 'Promise.resolve') return false;
  return meaningful(node.field('arguments') ?? node).every(isConstant);
}

/** `throw new Error('not implemented')` in its variants, or a rejected promise of one. */
export function throwsNotImplemented(statement: SyntaxNode): boolean {
  const value = meaningful(statement)[0];
  if (value === undefined) return false;
  if (statement.kind === 'throw_statement') return isNotImplementedError(value);
  if (statement.kind !== 'return_statement' && statement.kind !== 'expression_statement') return false;
  return value.kind === 'call_expression' && value.field('function')?.text === 'Promise.reject' && rejects(value);
}

const rejects = (call: SyntaxNode): boolean => {
  const reason = meaningful(call.field('arguments') ?? call)[0];
  return reason !== undefined && isNotImplementedError(reason);
};

function isNotImplementedError(value: SyntaxNode): boolean {
  if (value.kind === 'string' || value.kind === 'template_string') return saysNotImplemented(stringValue(value));
  const callee = value.field('constructor') ?? value.field('function');
  if (callee === null) return namesNotImplemented(value.text);
  return (
    namesNotImplemented(callee.text) ||
    meaningful(value.field('arguments') ?? value).some((argument) => saysNotImplemented(stringIn(argument)))
  );
}

/** A method of a class that others are meant to extend: abstract, named as a base, or extended in the same file. */
export function isOfBaseClass(method: SyntaxNode, subclassed: (name: string) => boolean): boolean {
  if (method.kind !== 'method_definition') return false;
  const owner = enclosing(method, CLASSES);
  const name = owner?.field('name')?.text ?? '';
  return owner !== null && (owner.kind === 'abstract_class_declaration' || namesBase(name) || subclassed(name));
}

/** An empty body that is the point of the function. */
export function isMeantEmpty(fn: SyntaxNode): boolean {
  if (namesNoop(nameOf(fn)) || ignoresItsParameters(fn)) return true;
  if (fn.kind === 'method_definition') return isMeantEmptyMethod(fn);
  if (fn.kind.endsWith('declaration')) return false;
  const { parent } = placeOf(fn);
  if (parent?.kind === 'variable_declarator') return parent.parent?.children[0]?.text !== 'const';
  const isField = parent?.kind === 'public_field_definition' || parent?.kind === 'field_definition';
  return !isField || !parent.children.some((child) => child.kind === 'readonly');
}

/** All of its parameters are named as unused: `_event`. */
function ignoresItsParameters(fn: SyntaxNode): boolean {
  const parameters = meaningful(fn.field('parameters') ?? fn);
  return fn.field('parameters') !== null && parameters.length > 0 && parameters.every((parameter) => parameter.text.startsWith('_'));
}

function isMeantEmptyMethod(method: SyntaxNode): boolean {
  const modifiers = method.children.filter((child) => child.kind === 'accessibility_modifier' || child.kind === 'override_modifier');
  if (method.parent?.kind === 'object') return true;
  return method.field('name')?.text === 'constructor' || modifiers.some((m) => m.kind === 'override_modifier');
}

/** A constructor whose parameters are properties, or one that only restricts who may construct. */
export function isDeclaringConstructor(method: SyntaxNode): boolean {
  if (method.kind !== 'method_definition' || method.field('name')?.text !== 'constructor') return false;
  const restricts = method.children.some((child) => child.kind === 'accessibility_modifier' && child.text !== 'public');
  const declares = meaningful(method.field('parameters') ?? method).some((parameter) =>
    parameter.children.some((child) => ['accessibility_modifier', 'readonly', 'override_modifier'].includes(child.kind)),
  );
  return restricts || declares;
}
