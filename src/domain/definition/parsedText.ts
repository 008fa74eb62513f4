import { isObject, type Json } from '../json.ts';
import type { Issue } from '../problem.ts';
import { LIMITS } from './limits.ts';
import { child } from './pointer.ts';

/** What a parser gives: a value and the place of any pointer in its text (from 1), or why there is none. */
export type ParsedText = { value: unknown; locate: (pointer: string) => { line: number; column: number } } | { issues: Issue[] };

/** A parsed value as JSON: whole numbers beyond 2^53 refused, nothing that JSON cannot say, bounded in size and depth. */
export function toJson(parsed: unknown): { value: Json } | { issues: Issue[] } {
  const issues: Issue[] = [];
  let values = 0;
  let bytes = 0;
  const convert = (value: unknown, at: string, depth: number): Json => {
    if (++values > LIMITS.values || bytes > LIMITS.textBytes) return null;
    if (depth > LIMITS.depth) {
      issues.push({ pointer: at, code: 'too_deep', message: `is nested more than ${LIMITS.depth} deep` });
      return null;
    }
    if (typeof value === 'number') return numberOf(value, at, issues);
    if (typeof value === 'string') {
      bytes += value.length;
      return value;
    }
    if (typeof value === 'boolean' || value === null || value === undefined) return value ?? null;
    if (Array.isArray(value)) return value.map((item, i) => convert(item, child(at, i), depth + 1));
    if (isObject(value)) {
      bytes += Object.keys(value).reduce((sum, key) => sum + key.length, 0);
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, convert(item, child(at, key), depth + 1)]));
    }
    issues.push({ pointer: at, code: 'invalid_type', message: 'is no JSON value' });
    return null;
  };
  const value = convert(parsed, '', 0);
  if (values > LIMITS.values || bytes > LIMITS.textBytes)
    return {
      issues: [{ pointer: '', code: 'too_large', message: `holds more than ${LIMITS.values} values or ${LIMITS.textBytes} characters` }],
    };
  return issues.length > 0 ? { issues: issues.slice(0, LIMITS.issues) } : { value };
}

function numberOf(value: number, at: string, issues: Issue[]): Json {
  const whole = Number.isInteger(value);
  if (!Number.isFinite(value) || (whole && !Number.isSafeInteger(value)))
    issues.push({
      pointer: at,
      code: 'number_out_of_range',
      message: whole ? 'is a whole number beyond 2^53 and would be rounded' : 'is no finite number',
      ...(whole ? { hint: 'write it as text' } : {}),
    });
  return value;
}
