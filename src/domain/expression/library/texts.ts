import type { Json } from '../../json.ts';
import { failed, Fault } from '../fault.ts';
import { MAX_DEPTH, type Meter, spend, spendText } from '../meter.ts';
import { jsonText } from '../value.ts';
import { integerAt, textAt } from './argument.ts';
import type { LibraryFunction } from './function.ts';

/** A string argument that is going to be read through. */
function read(args: readonly Json[], index: number, meter: Meter): string {
  const text = textAt(args, index);
  spendText(meter, text.length);
  return text;
}

/** Both strings of a search; the worst case of a search is their product. */
function readSearch(args: readonly Json[], meter: Meter): { text: string; part: string } {
  const text = read(args, 0, meter);
  const part = textAt(args, 1);
  if (part.length <= text.length) spend(meter, Math.ceil((text.length * part.length) / 4096));
  return { text, part };
}

/** A function of one string whose result is about as long. */
function change(name: string, convert: (text: string) => string): LibraryFunction {
  return { usage: `${name}(text)`, arity: [1, 1], call: (args, meter) => convert(read(args, 0, meter)) };
}

/** A test of a string by another. */
function test(name: string, holds: (text: string, part: string) => boolean): LibraryFunction {
  const call = (args: readonly Json[], meter: Meter): boolean => {
    if (Array.isArray(args[0])) throw failed('looks into a string: for an array write x in xs');
    const { text, part } = readSearch(args, meter);
    return holds(text, part);
  };
  return { usage: `text.${name}(part)`, arity: [2, 2], call };
}

/** A search for the place of a string in another: a position in code points, -1 when not found. */
function find(name: string, unitOf: (text: string, part: string) => number): LibraryFunction {
  const call = (args: readonly Json[], meter: Meter): number => {
    const { text, part } = readSearch(args, meter);
    const unit = unitOf(text, part);
    return unit < 0 ? -1 : Array.from(text.slice(0, unit)).length;
  };
  return { usage: `text.${name}(part)`, arity: [2, 2], call };
}

function split(args: readonly Json[], meter: Meter): string[] {
  const { text, part: separator } = readSearch(args, meter);
  const parts = separator === '' ? Array.from(text) : text.split(separator);
  spend(meter, parts.length);
  const limit = integerAt(args, 2, parts.length);
  if (limit < 1 || parts.length <= limit) return limit === 0 ? [] : parts;
  return [...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)];
}

function replace(args: readonly Json[], meter: Meter): string {
  const { text, part: from } = readSearch(args, meter);
  const to = textAt(args, 2);
  if (from === '') throw failed('needs something to replace, got an empty string');
  const parts = text.split(from);
  spend(meter, parts.length);
  spendText(meter, text.length + (parts.length - 1) * (to.length - from.length));
  return parts.join(to);
}

function substring(args: readonly Json[], meter: Meter): string {
  const points = Array.from(read(args, 0, meter));
  const from = integerAt(args, 1);
  const to = integerAt(args, 2, points.length);
  if (from < 0 || to < from || to > points.length) throw failed(`needs 0 <= from <= to <= ${points.length}; slice() is forgiving`);
  return points.slice(from, to).join('');
}

function checkParsed(value: Json, meter: Meter, depth: number): void {
  spend(meter, 1);
  if (depth > MAX_DEPTH) throw failed(`reads at most ${MAX_DEPTH} levels`);
  if (typeof value === 'number' && !Number.isSafeInteger(value) && (Number.isInteger(value) || !Number.isFinite(value))) {
    throw new Fault('number_out_of_range', 'The JSON text holds a number beyond 2^53 that would be rounded');
  }
  if (typeof value !== 'object' || value === null) return;
  for (const part of Array.isArray(value) ? value : Object.values(value)) checkParsed(part, meter, depth + 1);
}

function fromJson(args: readonly Json[], meter: Meter): Json {
  const text = read(args, 0, meter);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    throw failed('needs JSON text');
  }
  checkParsed(value, meter, 0);
  return value;
}

const ASCII_UPPER = /[A-Z]+/g;
const ASCII_LOWER = /[a-z]+/g;

export const TEXTS: Readonly<Record<string, LibraryFunction>> = {
  lower: change('lower', (text) => text.toLowerCase()),
  upper: change('upper', (text) => text.toUpperCase()),
  lowerAscii: change('lowerAscii', (text) => text.replace(ASCII_UPPER, (run) => run.toLowerCase())),
  upperAscii: change('upperAscii', (text) => text.replace(ASCII_LOWER, (run) => run.toUpperCase())),
  trim: change('trim', (text) => text.trim()),
  contains: test('contains', (text, part) => text.includes(part)),
  startsWith: test('startsWith', (text, part) => text.startsWith(part)),
  endsWith: test('endsWith', (text, part) => text.endsWith(part)),
  indexOf: find('indexOf', (text, part) => text.indexOf(part)),
  lastIndexOf: find('lastIndexOf', (text, part) => text.lastIndexOf(part)),
  substring: { usage: 'text.substring(from) or text.substring(from, to)', arity: [2, 3], call: substring },
  split: { usage: 'split(text, separator) or split(text, separator, limit)', arity: [2, 3], call: split },
  replace: { usage: 'replace(text, from, to)', arity: [3, 3], call: replace },
  toJson: { usage: 'toJson(x)', arity: [1, 1], call: ([x = null], meter) => jsonText(x, meter) },
  fromJson: { usage: 'fromJson(text)', arity: [1, 1], call: fromJson },
};
