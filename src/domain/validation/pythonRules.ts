import { commentChecks, credentialFinding, fillerFinding } from './literals.ts';
import * as python from './python.ts';
import { isStrict, type Finding, type Level, type Rule } from './rule.ts';
import { isComment, isKey, isShort, meaningful, type SyntaxNode } from './syntaxNode.ts';
import { saysNothingOnPurpose, saysNotImplemented, saysStandIn, saysStandInStrongly } from './words.ts';

const label = (fn: SyntaxNode): string => `\`${fn.field('name')?.text ?? ''}\``;

function stubFunction(fn: SyntaxNode, level: Level): Finding | null {
  const body = python.bodyOf(fn);
  if (body === null || python.isDeclaration(fn)) return null;
  const statements = body.statements.filter((statement) => !python.isFiller(statement));
  const [only] = statements;
  if (statements.length > 1) return null;
  if (only === undefined) return emptyFunction(fn, body, level);
  if (python.raisesNotImplemented(only)) return python.isOfBaseClass(fn) && !isStrict(level) ? null : notImplemented(fn);
  if (python.isPrint(only)) return saysNotImplemented(python.textIn(only)) ? notImplemented(fn) : null;
  const [value] = meaningful(only);
  const constant = only.kind === 'return_statement' && (value === undefined || (isShort(value) && python.isConstant(value)));
  if (!constant || !standsIn(body, python.commentsOf(fn))) return null;
  return {
    severity: 'error',
    message: `${label(fn)} returns a constant where its comment says the real work is missing`,
    fix: 'Compute the result',
    rule: 'placeholder-return',
    covers: fn,
  };
}

const standsIn = (body: python.PythonBody, comments: python.PythonComments): boolean =>
  saysStandIn(comments.inside) ||
  [body.docstring, comments.before].some((text) => saysStandInStrongly(text) && !saysNothingOnPurpose(text));

const notImplemented = (fn: SyntaxNode): Finding => ({
  severity: 'error',
  message: `${label(fn)} only says that it is not implemented`,
  fix: 'Implement it, or mark it as abstract',
  rule: 'not-implemented',
  covers: fn,
});

function emptyFunction(fn: SyntaxNode, body: python.PythonBody, level: Level): Finding | null {
  const found = { covers: fn, fix: 'Implement it, or say in a comment why it does nothing' };
  const comments = python.commentsOf(fn);
  if (standsIn(body, comments) && !python.isMeantEmpty(fn))
    return { ...found, rule: 'todo-body', severity: 'error', message: `${label(fn)} holds only a note that work is missing` };
  const explained = comments.inside !== '' || comments.before !== '' || saysNothingOnPurpose(body.docstring) || python.isOfBaseClass(fn);
  const excused = explained || python.isMeantEmpty(fn);
  if (excused && !isStrict(level)) return null;
  if (excused) return { ...found, rule: 'empty-body', severity: 'info', message: `${label(fn)} has an empty body` };
  if (body.statements.some(python.isEllipsis))
    return { ...found, rule: 'stub-body', severity: 'error', message: `The body of ${label(fn)} is \`...\`` };
  return level === 'lenient' ? null : { ...found, rule: 'empty-body', severity: 'warning', message: `${label(fn)} has an empty body` };
}

function unfinishedBranch(statement: SyntaxNode, level: Level): Finding | null {
  if (!python.raisesNotImplemented(statement)) return null;
  const fn = statement.parent?.kind === 'block' && statement.parent.parent?.kind === 'function_definition' ? statement.parent.parent : null;
  // The function's own rule has judged a body that is nothing else.
  if (fn !== null && (python.bodyOf(fn)?.statements.length ?? 0) === 1) return null;
  if (!isStrict(level) && !saysNotImplemented(python.textIn(statement))) return null;
  return { severity: 'warning', message: 'This branch only says that it is not implemented', fix: 'Handle the case' };
}

const BROAD = /^(?:except\s*\*?\s*:|except\s*\*?\s*\(?\s*(?:BaseException|Exception)\b)/;

function emptyExcept(clause: SyntaxNode, level: Level): Finding | null {
  const block = clause.children.find((child) => child.kind === 'block');
  if (block === undefined || !meaningful(block).every(python.isFiller)) return null;
  const comments = [...clause.children, ...block.children]
    .filter(isComment)
    .map((comment) => comment.text)
    .join('\n');
  const found = { message: 'The caught exception is dropped', fix: 'Handle it, re-raise it, or say in a comment why it may be dropped' };
  if (comments !== '' && !saysStandIn(comments)) return isStrict(level) ? { ...found, severity: 'info' } : null;
  if (BROAD.test(clause.text)) return { ...found, severity: 'warning' };
  return isStrict(level) ? { ...found, severity: 'info' } : null;
}

function credential(node: SyntaxNode): Finding | null {
  const name = node.field('name') ?? node.field('key') ?? node.field('left');
  const value = node.field('value') ?? node.field('right');
  if (name === null || value?.kind !== 'string' || value.children.some((child) => child.kind === 'interpolation')) return null;
  return credentialFinding(name.kind === 'attribute' ? (name.field('attribute') ?? name) : name, python.textIn(value));
}

function fillerText(node: SyntaxNode): Finding | null {
  return fillerFinding(
    python.textIn(node),
    () => ['assignment', 'return_statement', 'pair'].includes(node.parent?.kind ?? '') && !isKey(node),
  );
}

const CREDENTIAL_PLACES = ['assignment', 'pair', 'keyword_argument', 'default_parameter'];

/** Rules for Python. @param declarations the source holds declarations only, so empty bodies mean nothing */
export function pythonRules(declarations: boolean): Rule[] {
  const bodies: Rule[] = [
    { id: 'stub-function', from: 'lenient', kinds: ['function_definition'], check: stubFunction },
    { id: 'not-implemented', from: 'normal', kinds: ['raise_statement'], check: unfinishedBranch },
    { id: 'empty-catch', from: 'normal', kinds: ['except_clause'], check: emptyExcept },
  ];
  return [
    ...(declarations ? [] : bodies),
    ...commentChecks,
    { id: 'hard-coded-credential', from: 'strict', kinds: CREDENTIAL_PLACES, check: credential },
    { id: 'placeholder-text', from: 'strict', kinds: ['string'], check: fillerText },
  ];
}
