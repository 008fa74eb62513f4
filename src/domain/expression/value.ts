import { isObject, type Json, type JsonObject } from '../json.ts';
import { Fault, failed } from './fault.ts';
import { MAX_DEPTH, type Meter, spend, spendNode, spendText } from './meter.ts';

/** JSON Schema's name of a value's type. */
export function typeOf(value: Json): 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value as 'boolean' | 'number' | 'string' | 'object';
}

/** The type with its article, for messages. Never the value: it may be private. */
export function describe(value: Json): string {
  const type = typeOf(value);
  if (type === 'null') return 'null';
  return `${type === 'array' || type === 'object' ? 'an' : 'a'} ${type}`;
}

/** The own property, or undefined. Nothing inherited is ever seen. */
export function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sets an own property, also for the key `__proto__`. */
export function put(object: JsonObject, key: string, value: Json): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

function checkDepth(depth: number): void {
  if (depth > MAX_DEPTH) throw failed(`The value is nested deeper than ${MAX_DEPTH} levels`);
}

/** Deep equality. Values of different types are not equal; the order of an object's keys does not matter. */
export function equals(a: Json, b: Json, meter: Meter): boolean {
  return a === b || deepEquals({ a, b, depth: 0 }, meter);
}

function deepEquals({ a, b, depth }: { a: Json; b: Json; depth: number }, meter: Meter): boolean {
  spend(meter, 1);
  checkDepth(depth);
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((x, i) => deepEquals({ a: x, b: b[i] ?? null, depth: depth + 1 }, meter));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  spend(meter, keys.length);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => {
    const other = own(b, key);
    return other !== undefined && deepEquals({ a: a[key] ?? null, b: other, depth: depth + 1 }, meter);
  });
}

/** Order of two strings by code point (not by UTF-16 unit): negative, 0 or positive. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above every other unit.
    const isXSurrogate = x >= 0xd800 && x <= 0xdfff;
    const isYSurrogate = y >= 0xd800 && y <= 0xdfff;
    return isXSurrogate === isYSurrogate ? x - y : isXSurrogate ? 1 : -1;
  }
  return a.length - b.length;
}

/** An object's keys by code point: an object has no order of its own that results may depend on. */
export function sortedKeys(object: JsonObject, meter: Meter): string[] {
  return Object.keys(object).sort((a, b) => {
    spend(meter, 1 + (Math.min(a.length, b.length) >> 4));
    return compareText(a, b);
  });
}

/** One string for all values that are equal. */
export function canonicalText(value: Json, meter: Meter, depth = 0): string {
  spend(meter, 4);
  checkDepth(depth);
  if (typeof value === 'string') spendText(meter, value.length);
  if (Array.isArray(value)) return `[${value.map((x) => canonicalText(x, meter, depth + 1)).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  return `{${sortedKeys(value, meter)
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key] ?? null, meter, depth + 1)}`)
    .join(',')}}`;
}

/** Counts a value that an expression made, so that shared parts cannot unfold into more than can be stored. @throws Fault expression_too_costly */
export function checkResult(value: Json, meter: Meter, depth = 0): void {
  spendNode(meter);
  checkDepth(depth);
  if (typeof value === 'string') {
    meter.nodes -= value.length >> 6;
    return;
  }
  if (Array.isArray(value)) {
    for (const part of value) checkResult(part, meter, depth + 1);
  } else if (isObject(value)) {
    for (const [key, part] of Object.entries(value)) {
      meter.nodes -= key.length >> 6;
      checkResult(part, meter, depth + 1);
    }
  }
}

function spendTree(value: Json, meter: Meter, depth: number): void {
  spend(meter, 2);
  checkDepth(depth);
  if (typeof value === 'string') spendText(meter, value.length);
  if (Array.isArray(value)) {
    for (const part of value) spendTree(part, meter, depth + 1);
  } else if (isObject(value)) {
    for (const [key, part] of Object.entries(value)) {
      spend(meter, key.length >> 4);
      spendTree(part, meter, depth + 1);
    }
  }
}

/** JSON text without spaces. */
export function jsonText(value: Json, meter: Meter): string {
  spendTree(value, meter, 0);
  const text = JSON.stringify(value);
  spendText(meter, text.length);
  return text;
}

/** The text that interpolation puts into a string: strings as they are, null as nothing, arrays and objects as JSON. */
export function textOf(value: Json, meter: Meter): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  return typeof value === 'object' ? jsonText(value, meter) : String(value);
}

/** A result of arithmetic: finite, no negative zero, and not so large that an integer would have been rounded. @throws Fault number_out_of_range */
export function exact(result: number): number {
  if (result >= Number.MIN_SAFE_INTEGER && result <= Number.MAX_SAFE_INTEGER) return result + 0;
  throw new Fault('number_out_of_range', 'The number is beyond 2^53 and would be rounded');
}
