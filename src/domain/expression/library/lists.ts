import type { Json, JsonObject } from '../../json.ts';
import { failed } from '../fault.ts';
import { type Meter, spend, spendText } from '../meter.ts';
import { canonicalText, put } from '../value.ts';
import { arrayAt, integerAt, objectOf, textAt } from './argument.ts';
import type { LibraryFunction } from './function.ts';

// Setting a key costs more than reading an element.
const KEY_UNITS = 4;

function flattenInto(out: Json[], { values, depth }: { values: readonly Json[]; depth: number }, meter: Meter): void {
  spend(meter, 1 + values.length);
  for (const value of values) {
    if (depth > 0 && Array.isArray(value)) flattenInto(out, { values: value, depth: depth - 1 }, meter);
    else out.push(value);
  }
}

function flatten(args: readonly Json[], meter: Meter): Json[] {
  const depth = integerAt(args, 1, 1);
  if (depth < 0 || depth > 100) throw failed('flattens 0 to 100 levels');
  const out: Json[] = [];
  flattenInto(out, { values: arrayAt(args, 0), depth }, meter);
  return out;
}

function slice(args: readonly Json[], meter: Meter): Json {
  const from = integerAt(args, 1);
  const to = args[2] === undefined ? undefined : integerAt(args, 2);
  if (typeof args[0] === 'string') {
    spendText(meter, args[0].length);
    return Array.from(args[0]).slice(from, to).join('');
  }
  const part = arrayAt(args, 0).slice(from, to);
  spend(meter, part.length);
  return part;
}

function distinct(values: readonly Json[], meter: Meter): Json[] {
  const seen = new Set<string>();
  return values.filter((value) => {
    const text = canonicalText(value, meter);
    return !seen.has(text) && seen.add(text);
  });
}

function merge(args: readonly Json[], meter: Meter): JsonObject {
  const merged: JsonObject = {};
  const objects = args.length === 1 && Array.isArray(args[0]) ? args[0] : args;
  for (const value of objects) {
    const entries = Object.entries(objectOf(value));
    spend(meter, 1 + KEY_UNITS * entries.length);
    for (const [key, entry] of entries) put(merged, key, entry);
  }
  return merged;
}

function zip(args: readonly Json[], meter: Meter): Json[] {
  const lists = args.map((_, i) => arrayAt(args, i));
  const length = Math.min(...lists.map((list) => list.length));
  spend(meter, length * (1 + lists.length));
  return Array.from({ length }, (_, i) => lists.map((list) => list[i] ?? null));
}

function range(args: readonly Json[], meter: Meter): number[] {
  const isEndOnly = args.length === 1;
  const from = isEndOnly ? 0 : integerAt(args, 0);
  const to = integerAt(args, isEndOnly ? 0 : 1);
  const step = integerAt(args, 2, 1);
  if (step === 0) throw failed('needs a step other than 0');
  const length = Math.max(0, Math.ceil((to - from) / step));
  // Paid before it is made: range(1e9) costs nothing but the refusal.
  spend(meter, length);
  return Array.from({ length }, (_, i) => from + i * step);
}

function join(args: readonly Json[], meter: Meter): string {
  const separator = args[1] === undefined ? '' : textAt(args, 1);
  const parts = arrayAt(args, 0).map((part) => {
    if (part !== null && typeof part === 'object')
      throw failed('joins strings, numbers and booleans: turn other elements into text with toJson(x)');
    return part === null ? '' : String(part);
  });
  spend(meter, parts.length);
  spendText(
    meter,
    parts.reduce((length, part) => length + part.length + separator.length, 0),
  );
  return parts.join(separator);
}

export const LISTS: Readonly<Record<string, LibraryFunction>> = {
  flatten: { usage: 'flatten(xs) or flatten(xs, depth)', arity: [1, 2], call: flatten },
  slice: { usage: 'slice(xs, from) or slice(xs, from, to)', arity: [2, 3], call: slice },
  distinct: { usage: 'distinct(xs)', arity: [1, 1], call: (args, meter) => distinct(arrayAt(args, 0), meter) },
  merge: { usage: 'merge(a, b, …) or merge(objects)', arity: [1, 32], call: merge },
  zip: { usage: 'zip(xs, ys, …)', arity: [2, 32], call: zip },
  range: { usage: 'range(end), range(from, end) or range(from, end, step)', arity: [1, 3], call: range },
  join: { usage: 'join(xs) or join(xs, separator)', arity: [1, 2], call: join },
};
