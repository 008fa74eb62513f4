import {
  commentsOf,
  effectiveStatements,
  FUNCTIONS,
  isConstant,
  isDeclaringConstructor,
  isMeantEmpty,
  isOfBaseClass,
  nameOf,
  printsNotImplemented,
  stringValue,
  throwsNotImplemented,
  type Comments,
} from './ecmascript.ts';
import { commentChecks, credentialFinding, fillerFinding } from './literals.ts';
import { isStrict, type Finding, type Level, type Rule } from './rule.ts';
import { enclosing, isComment, isKey, isShort, meaningful, type Language, type SyntaxNode } from './syntaxNode.ts';
import { namesNoop, saysNothingOnPurpose, saysStandIn, saysStandInStrongly } from './words.ts';

const label = (fn: SyntaxNode): string => {
  const name = nameOf(fn);
  return name === '' ? 'The function' : `\`${name}\``;
};

function stubFunction(fn: SyntaxNode, level: Level): Finding | null {
  const body = fn.field('body');
  if (body === null) return null;
  if (body.kind !== 'statement_block') return isShortConstant(body) && standsIn(commentsOf(fn, fn)) ? standIn(fn) : null;
  const statements = effectiveStatements(body);
  const [only] = statements;
  if (statements.length > 1) return null;
  if (only === undefined) {
    if (printsNotImplemented(body)) return notImplemented(fn);
    const comments = commentsOf(fn, body);
    return meaningful(body).length === 0 ? emptyFunction(fn, comments, level) : standsIn(comments) ? standIn(fn) : null;
  }
  if (throwsNotImplemented(only)) return isExcusedThrow(fn, level) ? null : notImplemented(fn);
  const returnsConstant = only.kind === 'return_statement' && isShortConstant(meaningful(only)[0]);
  return returnsConstant && standsIn(commentsOf(fn, body)) ? standIn(fn) : null;
}

const isShortConstant = (node: SyntaxNode | undefined): boolean => node === undefined || (isShort(node) && isConstant(node));

const standsIn = (comments: Comments): boolean =>
  saysStandIn(comments.inside) || (saysStandInStrongly(comments.before) && !saysNothingOnPurpose(comments.before));

const notImplemented = (fn: SyntaxNode): Finding => ({
  severity: 'error',
  message: `${label(fn)} only says that it is not implemented`,
  fix: 'Implement it, or remove it and its callers',
  rule: 'not-implemented',
  covers: fn,
});

const standIn = (fn: SyntaxNode): Finding => ({
  severity: 'error',
  message: `${label(fn)} returns a constant where its comment says the real work is missing`,
  fix: 'Compute the result',
  rule: 'placeholder-return',
  covers: fn,
});

function emptyFunction(fn: SyntaxNode, comments: Comments, level: Level): Finding | null {
  const found = { rule: 'empty-body', covers: fn };
  if (standsIn(comments) && !namesNoop(nameOf(fn)))
    return {
      ...found,
      rule: 'todo-body',
      severity: 'error',
      message: `${label(fn)} holds only a note that work is missing`,
      fix: 'Implement it',
    };
  if (level === 'lenient' || isDeclaringConstructor(fn)) return null;
  const excused = comments.inside !== '' || isMeantEmpty(fn);
  if (excused && !isStrict(level)) return null;
  return {
    ...found,
    severity: excused ? 'info' : 'warning',
    message: `${label(fn)} has an empty body`,
    fix: 'Implement it, or say in a comment why it does nothing',
  };
}

function isExcusedThrow(fn: SyntaxNode, level: Level): boolean {
  if (isStrict(level)) return false;
  return isOfBaseClass(fn, (name) => isSubclassed(fn, name));
}

/** Whether a class of the same source extends the one of this name. */
function isSubclassed(node: SyntaxNode, name: string): boolean {
  let root = node;
  while (root.parent !== null) root = root.parent;
  const extending = (at: SyntaxNode): boolean =>
    at.kind === 'class_heritage' && new RegExp(`^extends\\s+${name.replace(/\W/g, '')}\\b`).test(at.text);
  const classes = root.children.flatMap((child) => (child.kind === 'export_statement' ? child.children : [child]));
  return name !== '' && classes.some((at) => at.children.some(extending));
}

function unfinishedBranch(statement: SyntaxNode, level: Level): Finding | null {
  if (!throwsNotImplemented(statement)) return null;
  const fn = enclosing(statement, FUNCTIONS);
  const body = fn?.field('body');
  if (fn && body && effectiveStatements(body).length === 1 && statement.parent?.start.offset === body.start.offset)
    return isExcusedThrow(fn, level) ? null : notImplemented(fn);
  return { severity: 'warning', message: 'This branch only says that it is not implemented', fix: 'Handle the case' };
}

function emptyCatch(clause: SyntaxNode, level: Level): Finding | null {
  const body = clause.field('body');
  if (body === null || meaningful(body).length > 0) return null;
  const comments = body.children
    .filter(isComment)
    .map((comment) => comment.text)
    .join('\n');
  const found = { message: 'The caught error is dropped', fix: 'Handle it, rethrow it, or say in a comment why it may be dropped' };
  if (comments === '') return { ...found, severity: 'warning' };
  return saysStandIn(comments)
    ? { ...found, severity: 'warning', covers: clause }
    : isStrict(level)
      ? { ...found, severity: 'info' }
      : null;
}

const ASSIGNMENTS = ['variable_declarator', 'pair', 'assignment_expression'];

function credential(node: SyntaxNode): Finding | null {
  const name = node.field('name') ?? node.field('key') ?? node.field('left') ?? node.field('property');
  const value = node.field('value') ?? node.field('right');
  if (name === null || value?.kind !== 'string') return null;
  return credentialFinding(name.kind === 'member_expression' ? (name.field('property') ?? name) : name, stringValue(value));
}

const VALUE_PLACES = ['variable_declarator', 'pair', 'return_statement', 'assignment_expression', 'arrow_function'];

function fillerText(node: SyntaxNode): Finding | null {
  if (node.kind === 'jsx_text') return fillerFinding(node.text, () => false);
  return fillerFinding(stringValue(node), () => VALUE_PLACES.includes(node.parent?.kind ?? '') && !isKey(node));
}

/** Rules for TypeScript, TSX and JavaScript. */
export function ecmascriptRules(language: Language): Rule[] {
  const field = language === 'javascript' ? 'field_definition' : 'public_field_definition';
  return [
    { id: 'stub-function', from: 'lenient', kinds: FUNCTIONS, check: stubFunction },
    { id: 'not-implemented', from: 'normal', kinds: ['throw_statement'], check: unfinishedBranch },
    { id: 'empty-catch', from: 'normal', kinds: ['catch_clause'], check: emptyCatch },
    ...commentChecks,
    { id: 'hard-coded-credential', from: 'strict', kinds: [...ASSIGNMENTS, field], check: credential },
    {
      id: 'placeholder-text',
      from: 'strict',
      kinds: ['string', 'template_string', ...(language === 'typescript' ? [] : ['jsx_text'])],
      check: fillerText,
    },
  ];
}
