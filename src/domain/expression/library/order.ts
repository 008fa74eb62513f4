import { isObject, type Json, type JsonObject } from '../../json.ts';
import { failed } from '../fault.ts';
import { type Meter, spend } from '../meter.ts';
import { compareText, describe, own, put, typeOf } from '../value.ts';

/** Checks that values can be put in order: all numbers, all strings or all booleans, nulls aside. Returns the comparison of two that are not null. */
function orderOf(keys: readonly Json[]): (a: Json, b: Json) => number {
  const present = keys.filter((key) => key !== null);
  const [first] = present;
  if (first === undefined) return () => 0;
  const type = typeOf(first);
  if (type === 'array' || type === 'object')
    throw failed(`cannot put ${describe(first)} in order: the key is a number, a string or a boolean`);
  const other = present.find((key) => typeOf(key) !== type);
  if (other !== undefined) throw failed(`cannot put ${describe(first)} and ${describe(other)} in order`);
  if (type === 'string') return (a, b) => compareText(a as string, b as string);
  return (a, b) => Number(a) - Number(b);
}

/** The elements by their keys: stable, nulls last in either direction. One sixteenth of a step for each comparison. */
export function sortByKeys(
  { elements, keys, order }: { elements: readonly Json[]; keys: readonly Json[]; order: Json },
  meter: Meter,
): Json[] {
  if (order !== 'asc' && order !== 'desc') throw failed("needs 'asc' or 'desc' as its order");
  const compare = orderOf(keys);
  const sign = order === 'desc' ? -1 : 1;
  const rank = elements
    .map((_, i) => i)
    .sort((i, j) => {
      spend(meter, 1);
      const a = keys[i] ?? null;
      const b = keys[j] ?? null;
      if (a === null || b === null) return Number(a === null) - Number(b === null);
      return sign * compare(a, b);
    });
  return rank.map((i) => elements[i] ?? null);
}

/** The smallest (sign 1) or greatest (sign -1) of numbers or of strings; null of none. */
export function extreme(values: readonly Json[], sign: 1 | -1): Json {
  if (values.includes(null)) throw failed('needs numbers or strings, got null');
  const compare = orderOf(values);
  let best: Json = null;
  for (const value of values) if (best === null || sign * compare(value, best) < 0) best = value;
  return best;
}

function groupName(key: Json): string {
  if (typeof key === 'string') return key;
  if (key !== null && typeof key === 'object')
    throw failed(`cannot group by ${describe(key)}: the key is a string, a number, a boolean or null`);
  return String(key);
}

/** An object from each key, as text, to the elements that have it, in their order. */
export function groupInto(elements: readonly Json[], keys: readonly Json[]): JsonObject {
  const groups: JsonObject = {};
  elements.forEach((element, i) => {
    const name = groupName(keys[i] ?? null);
    const group = own(groups, name);
    if (Array.isArray(group)) group.push(element);
    else put(groups, name, [element]);
  });
  return groups;
}

/** How many elements an array, keys an object or characters (code points) a string has. */
export function sizeOf(value: Json, meter: Meter): number {
  if (Array.isArray(value)) return value.length;
  if (isObject(value)) {
    const { length } = Object.keys(value);
    spend(meter, length);
    return length;
  }
  if (typeof value !== 'string') throw failed(`needs an array, an object or a string, got ${describe(value)}`);
  spend(meter, 1 + (value.length >> 4));
  let size = 0;
  for (let i = 0; i < value.length; i++) {
    const point = value.codePointAt(i) ?? 0;
    if (point > 0xffff) i++;
    size++;
  }
  return size;
}
