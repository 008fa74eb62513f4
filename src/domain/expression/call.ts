import { type Code, type Context, type Frame, type Run, optionalCode, refuse, suggestion, withLocal } from './code.ts';
import { Fault, located } from './fault.ts';
import type { LibraryFunction } from './library/function.ts';
import { FUNCTIONS } from './library/functions.ts';
import { compileMatches } from './library/matches.ts';
import { compileHas, compileMacro, isMacro, MACROS } from './macros.ts';
import { nearest } from './nearest.ts';
import type { Node } from './parse.ts';

type CallNode = Extract<Node, { op: 'call' | 'rcall' }>;
/** A call in either spelling: `f(x, a)` and `x.f(a)` are the same, with x as the first argument. */
type Call = { node: CallNode; name: string; args: readonly Node[]; isMethod: boolean };

const OPTIONAL_METHODS = ['orValue', 'or', 'hasValue', 'value'];

/** What people bring from other languages, and what it is called here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  length: 'size',
  len: 'size',
  count: 'size',
  includes: 'contains',
  has_key: 'in',
  indexof: 'indexOf',
  touppercase: 'upper',
  tolowercase: 'lower',
  uppercase: 'upper',
  lowercase: 'lower',
  some: 'exists',
  any: 'exists',
  every: 'all',
  find: 'filter',
  sort: 'sortBy',
  orderBy: 'sortBy',
  unique: 'distinct',
  uniq: 'distinct',
  flat: 'flatten',
  concat: '+',
  parseint: 'int',
  parsefloat: 'double',
  number: 'double',
  uint: 'int',
  tostring: 'string',
  str: 'string',
  stringify: 'toJson',
  parse: 'fromJson',
  replaceall: 'replace',
  strip: 'trim',
  average: 'avg',
  mean: 'avg',
  test: 'matches',
  match: 'matches',
  isempty: 'size',
};

function callOf(node: CallNode): Call {
  if (node.op === 'call') return { node, name: node.args[0], args: node.args[1], isMethod: false };
  const [name, receiver, rest] = node.args;
  return { node, name, args: [receiver, ...rest], isMethod: true };
}

/** Where the name of the called function stands. */
function nameOffset({ node, name, args, isMethod }: Call, context: Context): number {
  const from = isMethod ? (args[0]?.end ?? node.start) : node.start;
  return Math.max(node.start, context.text.indexOf(name, from));
}

const isNamespace = (node: Node | undefined, name: string, context: Context): boolean =>
  node?.op === 'id' && node.args === name && !context.locals.some((local) => local.name === name);

/** `cel.bind(name, value, expression)`: names a value inside an expression. */
function compileBind(call: Call, context: Context): Code {
  const [, name, value, body] = call.args;
  if (name?.op !== 'id' || value === undefined || body === undefined || call.args.length !== 4) {
    return refuse(context, call.node.pos, { code: 'wrong_arguments', message: 'Written cel.bind(name, value, expression)' });
  }
  const bound = context.compile(value, context);
  const { slot, inner } = withLocal(context, name.args, bound.optional !== undefined);
  const code = context.compile(body, inner);
  const get = bound.optional ?? bound.run;
  const within = <T>(run: (frame: Frame) => T) => {
    return (frame: Frame): T => {
      frame.locals[slot] = get(frame);
      return run(frame);
    };
  };
  return code.optional === undefined ? { run: within(code.run) } : optionalCode(within(code.optional));
}

function compileOptionalMethod({ node, name, args }: Call, context: Context): Code {
  const [receiver, argument] = args;
  if (receiver === undefined || (argument === undefined) !== (name === 'hasValue' || name === 'value') || args.length > 2) {
    return refuse(context, node.pos, { code: 'wrong_arguments', message: `Written a.?b.${name}(${name.startsWith('or') ? '…' : ''})` });
  }
  const { optional, run } = context.compile(receiver, context);
  if (optional === undefined) {
    const hint = 'Mark the part that may be missing: input.?name.orValue(default)';
    return refuse(context, receiver.pos, { code: 'wrong_arguments', message: `${name}() follows an optional value`, hint });
  }
  if (name === 'hasValue') return { run: (frame) => run(frame) !== null };
  if (argument === undefined) return { run: (frame) => optional(frame) ?? missingValue(receiver.pos) };
  const other = context.compile(argument, context);
  if (name === 'orValue') return { run: (frame) => optional(frame) ?? other.run(frame) };
  const otherwise = other.optional ?? other.run;
  return optionalCode((frame) => optional(frame) ?? otherwise(frame));
}

function missingValue(at: number): never {
  throw new Fault('expression_failed', 'The optional value is not there', at);
}

/** Makes the library function's failures say which function and where. Failures of its arguments have their place already. */
function guarded(name: string, at: number, run: Run): Run {
  return (frame) => {
    try {
      return run(frame);
    } catch (error) {
      if (error instanceof Fault && error.offset === undefined && error.code === 'expression_failed') {
        throw new Fault(error.code, `${name}() ${error.message}`, at);
      }
      throw located(error, at);
    }
  };
}

function compileFunction(call: Call, definition: LibraryFunction, context: Context): Code {
  const at = nameOffset(call, context);
  const { args, name } = call;
  const [least, most] = definition.arity;
  const codes = args.map((arg) => context.compile(arg, context));
  if (args.length < least || args.length > most) {
    return refuse(context, at, { code: 'wrong_arguments', message: `${name}() is written ${definition.usage}` });
  }
  const runs = codes.map((code) => code.run);
  return {
    run: guarded(name, at, (frame) =>
      definition.call(
        runs.map((arg) => arg(frame)),
        frame.meter,
      ),
    ),
  };
}

function unknownFunction(call: Call, context: Context): Code {
  const known = [...Object.keys(FUNCTIONS), ...Object.keys(MACROS), ...OPTIONAL_METHODS, 'has', 'matches'];
  const elsewhere = Object.hasOwn(ELSEWHERE, call.name.toLowerCase()) ? ELSEWHERE[call.name.toLowerCase()] : undefined;
  const hint = suggestion(elsewhere ?? nearest(call.name, known));
  return refuse(context, nameOffset(call, context), { code: 'unknown_function', message: `Unknown function '${call.name}'`, hint });
}

/** Compiles a call of a macro, a library function or an optional's method. */
export function compileCall(node: CallNode, context: Context): Code {
  const call = callOf(node);
  const { name, args, isMethod } = call;
  if (isMethod && name === 'bind' && isNamespace(args[0], 'cel', context)) return compileBind(call, context);
  if (!isMethod && name === 'has') return compileHas(node, args, context);
  if (isMethod && OPTIONAL_METHODS.includes(name)) return compileOptionalMethod(call, context);
  if (isMacro(name, args)) return compileMacro(name, { node, args }, context);
  if (name === 'matches' && args.length === 2) {
    const run = compileMatches(call.args, context);
    return run === undefined ? { run: () => null } : { run: guarded(name, nameOffset(call, context), run) };
  }
  const definition = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  return definition === undefined ? unknownFunction(call, context) : compileFunction(call, definition, context);
}
