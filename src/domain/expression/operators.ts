import { isObject, type Json } from '../json.ts';
import { failed } from './fault.ts';
import { type Meter, spend, spendText } from './meter.ts';
import { compareText, describe, equals, exact, own } from './value.ts';

export type Operator = (left: Json, right: Json, meter: Meter) => Json;

const VERBS: Readonly<Record<string, string>> = { '+': 'add', '-': 'subtract', '*': 'multiply', '/': 'divide', '%': 'divide' };

function mismatch(symbol: string, left: Json, right: Json): Error {
  const hint =
    symbol === '+' && (typeof left === 'string' || typeof right === 'string')
      ? '; make both strings with string(x), or interpolate: "…${x}…"'
      : '';
  return failed(`Cannot ${VERBS[symbol] ?? 'compare'} ${describe(left)} and ${describe(right)} with ${symbol}${hint}`);
}

function arithmetic(symbol: string, compute: (left: number, right: number) => number): Operator {
  return (left, right) => {
    if (typeof left === 'number' && typeof right === 'number') return exact(compute(left, right));
    throw mismatch(symbol, left, right);
  };
}

function nonZero(divisor: number): number {
  if (divisor === 0) throw failed('Division by zero');
  return divisor;
}

function add(left: Json, right: Json, meter: Meter): Json {
  if (typeof left === 'number' && typeof right === 'number') return exact(left + right);
  if (typeof left === 'string' && typeof right === 'string') {
    spendText(meter, left.length + right.length);
    return left + right;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    spend(meter, left.length + right.length);
    return [...left, ...right];
  }
  throw mismatch('+', left, right);
}

function comparison(symbol: string, holds: (order: number) => boolean): Operator {
  return (left, right, meter) => {
    if (typeof left === 'number' && typeof right === 'number') return holds(left < right ? -1 : left > right ? 1 : 0);
    if (typeof left === 'boolean' && typeof right === 'boolean') return holds(Number(left) - Number(right));
    if (typeof left !== 'string' || typeof right !== 'string') throw mismatch(symbol, left, right);
    spend(meter, 1 + (Math.min(left.length, right.length) >> 4));
    return holds(compareText(left, right));
  };
}

function isIn(value: Json, container: Json, meter: Meter): Json {
  if (Array.isArray(container)) {
    spend(meter, container.length);
    return container.some((element) => equals(element, value, meter));
  }
  if (!isObject(container))
    throw failed(`"in" looks into an array or an object, not into ${describe(container)}; for strings use contains()`);
  return typeof value === 'string' && own(container, value) !== undefined;
}

/** The binary operators that take both operands' values. `&&`, `||` and `?:` are compiled apart: they may leave an operand unread. */
export const OPERATORS: Readonly<Record<string, Operator>> = {
  '+': add,
  '-': arithmetic('-', (a, b) => a - b),
  '*': arithmetic('*', (a, b) => a * b),
  '/': arithmetic('/', (a, b) => a / nonZero(b)),
  '%': arithmetic('%', (a, b) => a % nonZero(b)),
  '==': equals,
  '!=': (a, b, meter) => !equals(a, b, meter),
  '<': comparison('<', (order) => order < 0),
  '<=': comparison('<=', (order) => order <= 0),
  '>': comparison('>', (order) => order > 0),
  '>=': comparison('>=', (order) => order >= 0),
  in: isIn,
};
