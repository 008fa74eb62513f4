import type { Json } from '../../json.ts';
import { failed, Fault } from '../fault.ts';
import { spend, type Meter } from '../meter.ts';
import { describe, exact, textOf, typeOf } from '../value.ts';
import { arrayAt, integerAt, numberAt } from './argument.ts';
import type { LibraryFunction } from './function.ts';
import { extreme, sizeOf } from './order.ts';

function total(values: readonly Json[], meter: Meter): number {
  spend(meter, values.length);
  let sum = 0;
  for (const value of values) {
    if (typeof value !== 'number') throw failed(`needs numbers, got ${describe(value)}`);
    sum += value;
  }
  return exact(sum);
}

function average(values: readonly Json[], meter: Meter): Json {
  const sum = total(values, meter);
  return values.length === 0 ? null : exact(sum / values.length);
}

function extremeOf(args: readonly Json[], sign: 1 | -1, meter: Meter): Json {
  const values = args.length === 1 ? arrayAt(args, 0) : args;
  spend(meter, values.length);
  return extreme(values, sign);
}

/** Moves the decimal point on the printed number, so that 1.005 is rounded as it reads. */
function shift(value: number, digits: number): number {
  const [mantissa, exponent] = String(value).split('e');
  return Number(`${mantissa ?? '0'}e${Number(exponent ?? 0) + digits}`);
}

/** Half away from zero. */
function round(args: readonly Json[]): number {
  const value = numberAt(args, 0);
  const digits = integerAt(args, 1, 0);
  if (digits < 0 || digits > 15) throw failed('rounds to 0 to 15 digits');
  const rounded = shift(Math.round(shift(Math.abs(value), digits)), -digits);
  // Too large to have digits after the point.
  if (!Number.isFinite(rounded) || Math.abs(value) >= 2 ** 52) return exact(value);
  return exact(value < 0 ? -rounded : rounded);
}

const DECIMAL = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function toNumber(value: Json): number {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') throw failed(`needs a number or a string, got ${describe(value)}`);
  if (!DECIMAL.test(value) || value.length > 400) throw failed('needs a string that is a decimal number');
  const number = Number(value);
  if (Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number))) return number + 0;
  throw new Fault('number_out_of_range', 'The number is beyond 2^53 and would be rounded');
}

function toBoolean(value: Json): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  throw failed("needs a boolean, 'true' or 'false'");
}

export const NUMBERS: Readonly<Record<string, LibraryFunction>> = {
  size: { usage: 'size(x)', arity: [1, 1], call: ([x = null], meter) => sizeOf(x, meter) },
  sum: { usage: 'sum(numbers)', arity: [1, 1], call: (args, meter) => total(arrayAt(args, 0), meter) },
  avg: { usage: 'avg(numbers)', arity: [1, 1], call: (args, meter) => average(arrayAt(args, 0), meter) },
  min: { usage: 'min(xs) or min(a, b, …)', arity: [1, 32], call: (args, meter) => extremeOf(args, 1, meter) },
  max: { usage: 'max(xs) or max(a, b, …)', arity: [1, 32], call: (args, meter) => extremeOf(args, -1, meter) },
  round: { usage: 'round(number) or round(number, digits)', arity: [1, 2], call: round },
  int: { usage: 'int(x)', arity: [1, 1], call: ([x = null]) => exact(Math.trunc(toNumber(x))) },
  double: { usage: 'double(x)', arity: [1, 1], call: ([x = null]) => toNumber(x) },
  string: { usage: 'string(x)', arity: [1, 1], call: ([x = null], meter) => textOf(x, meter) },
  bool: { usage: 'bool(x)', arity: [1, 1], call: ([x = null]) => toBoolean(x) },
  type: { usage: 'type(x)', arity: [1, 1], call: ([x = null]) => typeOf(x) },
};
