import type { Json, JsonObject } from '../json.ts';
import { compileAccess, isAccess } from './access.ts';
import { compileCall } from './call.ts';
import { type Code, type Context, type Run, optionalCode, refuse } from './code.ts';
import { failed, isPassable, located } from './fault.ts';
import { spendPassedOver } from './meter.ts';
import { OPERATORS } from './operators.ts';
import type { Node } from './parse.ts';
import { describe, put } from './value.ts';

type NodeOf<Op extends Node['op']> = Extract<Node, { op: Op }>;

// Bounds the recursion of the compiler and of the code it makes.
const MAX_DEPTH = 200;

const constant = (literal: Json): Code => ({ run: () => literal, literal });

function compileLiteral(node: NodeOf<'value'>, context: Context): Code {
  const value = node.args;
  if (typeof value === 'bigint') {
    const number = Number(value);
    if (Number.isSafeInteger(number)) return constant(number);
    return refuse(context, node.pos, { code: 'number_out_of_range', message: 'The integer is beyond 2^53 and would be rounded' });
  }
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return constant(value);
  const hint = 'There are no bytes and no unsigned integers here: write "text" and 5';
  return refuse(context, node.pos, { code: 'expression_syntax', message: 'Only JSON values can be written', hint });
}

function compileList(node: NodeOf<'list'>, context: Context): Code {
  const elements = node.args.map((element) => context.compile(element, context).run);
  return { run: (frame) => elements.map((element) => element(frame)) };
}

function compileMap(node: NodeOf<'map'>, context: Context): Code {
  const entries = node.args.map(([key, value]) => ({
    key: context.compile(key, context).run,
    value: context.compile(value, context).run,
    at: key.pos,
  }));
  return {
    run: (frame) => {
      const object: JsonObject = {};
      for (const { key, value, at } of entries) {
        const name = key(frame);
        if (typeof name !== 'string') throw failed(`A key is a string, not ${describe(name)}`, at);
        put(object, name, value(frame));
      }
      return object;
    },
  };
}

function compileNegation(node: NodeOf<'-_'>, context: Context): Code {
  const { run, literal } = context.compile(node.args, context);
  if (typeof literal === 'number') return constant(0 - literal);
  return {
    run: (frame) => {
      const value = run(frame);
      if (typeof value === 'number') return 0 - value;
      throw failed(`- needs a number, got ${describe(value)}`, node.args.pos);
    },
  };
}

function truth(value: Json, what: string, at: number): boolean {
  if (typeof value === 'boolean') return value;
  throw failed(`${what} needs true or false, got ${describe(value)}`, at);
}

function compileNot(node: NodeOf<'!_'>, context: Context): Code {
  const { run } = context.compile(node.args, context);
  return { run: (frame) => !truth(run(frame), '!', node.args.pos) };
}

/** `&&` (decided by false) and `||` (decided by true): a deciding operand wins over a failure of the other, on whichever side. */
function compileLogic(node: NodeOf<'&&' | '||'>, context: Context): Code {
  const decisive = node.op === '||';
  const [left, right] = node.args;
  const first = context.compile(left, context).run;
  const second = context.compile(right, context).run;
  const decide = (frame: Parameters<Run>[0]): boolean => {
    let value: boolean;
    try {
      value = truth(first(frame), node.op, left.pos);
    } catch (error) {
      if (!isPassable(error)) throw error;
      spendPassedOver(frame.meter);
      if (truth(second(frame), node.op, right.pos) === decisive) return decisive;
      throw error;
    }
    return value === decisive ? decisive : truth(second(frame), node.op, right.pos);
  };
  return { run: decide };
}

function compileChoice(node: NodeOf<'?:'>, context: Context): Code {
  const [condition, yes, no] = node.args;
  const test = context.compile(condition, context).run;
  const left = context.compile(yes, context);
  const right = context.compile(no, context);
  if (left.optional === undefined && right.optional === undefined) {
    return { run: (frame) => (truth(test(frame), '?:', condition.pos) ? left.run(frame) : right.run(frame)) };
  }
  const leftOptional = left.optional ?? left.run;
  const rightOptional = right.optional ?? right.run;
  return optionalCode((frame) => (truth(test(frame), '?:', condition.pos) ? leftOptional(frame) : rightOptional(frame)));
}

function compileOperator(node: Node, context: Context): Code {
  const operator = OPERATORS[node.op];
  if (operator === undefined)
    return refuse(context, node.pos, { code: 'expression_syntax', message: `The operator ${node.op} is not supported` });
  const [left, right] = node.args as [Node, Node];
  const first = context.compile(left, context).run;
  const second = context.compile(right, context).run;
  // Between the operands: that is where the operator stands.
  const at = left.end + Math.max(0, context.text.slice(left.end, right.start).search(/[^\s)]/));
  return {
    run: (frame) => {
      const a = first(frame);
      const b = second(frame);
      try {
        return operator(a, b, frame.meter);
      } catch (error) {
        throw located(error, at);
      }
    },
  };
}

function compileOp(node: Node, context: Context): Code {
  if (node.op === 'id' || isAccess(node)) return compileAccess(node, context);
  switch (node.op) {
    case 'value':
      return compileLiteral(node, context);
    case 'list':
      return compileList(node, context);
    case 'map':
      return compileMap(node, context);
    case '-_':
      return compileNegation(node, context);
    case '!_':
      return compileNot(node, context);
    case '&&':
    case '||':
      return compileLogic(node, context);
    case '?:':
      return compileChoice(node, context);
    case 'call':
    case 'rcall':
      return compileCall(node, context);
    default:
      return compileOperator(node, context);
  }
}

/** Compiles a node of the syntax tree into code; faults become issues of the context. */
export function compileNode(node: Node, context: Context): Code {
  if (context.depth > MAX_DEPTH)
    return refuse(context, node.pos, { code: 'expression_syntax', message: 'The expression is nested too deeply' });
  context.shared.nodes++;
  return compileOp(node, { ...context, depth: context.depth + 1 });
}
