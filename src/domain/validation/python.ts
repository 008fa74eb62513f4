import { commentBefore, enclosing, isComment, meaningful, type SyntaxNode } from './syntaxNode.ts';
import { namesBase, namesNoop, namesNotImplemented, saysNotImplemented } from './words.ts';

/** How functions, classes and literals look in the grammar of Python. */

const CONSTANTS = ['none', 'true', 'false', 'integer', 'float', 'ellipsis'];
const DECLARING = /^@\s*(?:\w+\.)*(?:abstractmethod|abstractproperty|abstractclassmethod|abstractstaticmethod|overload)\b/;

export type PythonBody = { docstring: string; statements: SyntaxNode[] };
export type PythonComments = { inside: string; before: string };

const docstringOf = (statement: SyntaxNode | undefined): SyntaxNode | undefined => {
  const expression = statement?.kind === 'expression_statement' ? meaningful(statement)[0] : undefined;
  return expression?.kind === 'string' || expression?.kind === 'concatenated_string' ? expression : undefined;
};

/** The decorated definition of a function, or the function itself. */
const outermost = (fn: SyntaxNode): SyntaxNode => (fn.parent?.kind === 'decorated_definition' ? fn.parent : fn);

/** Body of a function apart from its docstring. */
export function bodyOf(fn: SyntaxNode): PythonBody | null {
  const block = fn.field('body');
  if (block === null) return null;
  const all = meaningful(block);
  const docstring = docstringOf(all[0]);
  return { docstring: docstring?.text ?? '', statements: docstring ? all.slice(1) : all };
}

/** Comments in a function and on its last lines, and the one just before it. */
export function commentsOf(fn: SyntaxNode): PythonComments {
  const inside = [...fn.children, ...(fn.field('body')?.children ?? [])].filter(isComment);
  const after = outermost(fn).next;
  if (after !== null && isComment(after) && belongsTo(after, fn)) inside.push(after);
  return { inside: inside.map((comment) => comment.text).join('\n'), before: commentBefore(outermost(fn))?.text ?? '' };
}

/** The grammar puts a comment after the last statement outside the function: on its last line, or indented below it. */
const belongsTo = (comment: SyntaxNode, fn: SyntaxNode): boolean =>
  comment.start.offset >= fn.end.offset &&
  (comment.start.line === fn.end.line || (comment.start.line === fn.end.line + 1 && comment.start.column > fn.start.column));

/** `pass` or `...` */
export function isFiller(statement: SyntaxNode): boolean {
  return statement.kind === 'pass_statement' || isEllipsis(statement);
}

export const isEllipsis = (statement: SyntaxNode): boolean =>
  statement.kind === 'expression_statement' && meaningful(statement)[0]?.kind === 'ellipsis';

/** `print("not implemented")`, `logger.warning("…")`. */
export function isPrint(statement: SyntaxNode): boolean {
  const call = statement.kind === 'expression_statement' ? meaningful(statement)[0] : undefined;
  return call?.kind === 'call' && /^(?:print|warnings\.warn|(?:self\.)?_?log(?:ger|ging)?\.\w+)$/.test(call.field('function')?.text ?? '');
}

/** `raise NotImplementedError`, or any error whose message says so; `assert False, "not implemented"`. */
export function raisesNotImplemented(statement: SyntaxNode): boolean {
  const value = meaningful(statement)[0];
  if (statement.kind === 'assert_statement') return value?.kind === 'false' && saysNotImplemented(textIn(statement));
  if (statement.kind !== 'raise_statement' || value === undefined) return false;
  const name = value.field('function') ?? value;
  return name.text === 'NotImplemented' || namesNotImplemented(name.text) || saysNotImplemented(textIn(value));
}

/** Content of the first string below a node; '' if there is none. */
export function textIn(node: SyntaxNode): string {
  if (node.kind === 'string_content') return node.text;
  for (const child of node.children) {
    const found = textIn(child);
    if (found !== '') return found;
  }
  return '';
}

/** A literal or an empty or constant collection. */
export function isConstant(node: SyntaxNode | undefined): boolean {
  if (node === undefined || CONSTANTS.includes(node.kind)) return true;
  if (node.kind === 'string') return !node.children.some((child) => child.kind === 'interpolation');
  if (['list', 'tuple', 'dictionary', 'set', 'expression_list', 'parenthesized_expression', 'unary_operator'].includes(node.kind))
    return meaningful(node).every(isConstant);
  return node.kind === 'pair' && isConstant(node.field('value') ?? node);
}

const superclassesOf = (owner: SyntaxNode): string => owner.field('superclasses')?.text ?? '';

/** Abstract and overloaded functions and members of a Protocol: their bodies are never run. */
export function isDeclaration(fn: SyntaxNode): boolean {
  const decorators = outermost(fn).children.filter((child) => child.kind === 'decorator');
  if (decorators.some((decorator) => DECLARING.test(decorator.text))) return true;
  const owner = classOf(fn);
  return owner !== null && /\bProtocol\b/.test(superclassesOf(owner));
}

/** The class of which this is a method, not a function inside a method. */
function classOf(fn: SyntaxNode): SyntaxNode | null {
  const owner = enclosing(fn, ['class_definition', 'function_definition']);
  return owner?.kind === 'class_definition' ? owner : null;
}

/** A method of a class that others are meant to extend: by its bases, its name, or because a class here does. */
export function isOfBaseClass(fn: SyntaxNode): boolean {
  const owner = classOf(fn);
  if (owner === null) return false;
  const name = owner.field('name')?.text ?? '';
  let root: SyntaxNode = owner;
  while (root.parent !== null) root = root.parent;
  const classes = root.children.flatMap((child) => (child.kind === 'decorated_definition' ? child.children : [child]));
  const extended = classes.some((at) => at.kind === 'class_definition' && new RegExp(`\\b${name}\\b`).test(superclassesOf(at)));
  return extended || namesBase(name) || /\bABC(?:Meta)?\b/.test(superclassesOf(owner));
}

/** Names whose empty body is the point: no-ops, constructors and the other special methods. */
export const isMeantEmpty = (fn: SyntaxNode): boolean => {
  const name = fn.field('name')?.text ?? '';
  return namesNoop(name) || /^__\w+__$/.test(name);
};
