import { isObject, type Json, type JsonObject } from '../../json.ts';
import { failed } from '../fault.ts';
import { describe } from '../value.ts';

/** The argument as an array. @throws Fault expression_failed (as the others here) */
export function arrayAt(args: readonly Json[], index: number): Json[] {
  const value = args[index] ?? null;
  if (Array.isArray(value)) return value;
  throw failed(`needs an array, got ${describe(value)}`);
}

export function textAt(args: readonly Json[], index: number): string {
  const value = args[index] ?? null;
  if (typeof value === 'string') return value;
  throw failed(`needs a string, got ${describe(value)}`);
}

export function numberAt(args: readonly Json[], index: number): number {
  const value = args[index] ?? null;
  if (typeof value === 'number') return value;
  throw failed(`needs a number, got ${describe(value)}`);
}

/** A whole number, or the fallback when the argument is not given. */
export function integerAt(args: readonly Json[], index: number, fallback?: number): number {
  if (args[index] === undefined && fallback !== undefined) return fallback;
  const value = numberAt(args, index);
  if (Number.isSafeInteger(value)) return value;
  throw failed('needs a whole number');
}

export function objectOf(value: Json): JsonObject {
  if (isObject(value)) return value;
  throw failed(`needs objects, got ${describe(value)}`);
}
