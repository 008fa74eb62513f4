import { compileTemplate } from '../expression/compileTemplate.ts';
import type { CompileResult } from '../expression/expression.ts';
import type { Json } from '../json.ts';
import { Problem } from '../problem.ts';
import { HOOK_LIMITS } from './hook.ts';

/** What a hook computes from a delivery sees its payload alone. */
export const compileOfPayload = (value: Json): CompileResult => compileTemplate(value, { names: ['payload'], tasks: new Set() });

/** The key of the event that a payload becomes. @throws Problem event_mismatch when the payload gives none */
export function eventKey(template: string, payload: Json): string {
  const value = evaluateOn(template, payload);
  const key = typeof value === 'number' ? String(value) : value;
  if (typeof key === 'string' && key.length <= HOOK_LIMITS.keyLength && !key.includes('\0')) return key;
  throw unfit(`the key of the event must be text of at most ${HOOK_LIMITS.keyLength} characters`);
}

/** A template of a hook for one payload. @throws Problem event_mismatch */
export function evaluateOn(template: Json, payload: Json): Json {
  const result = compileOfPayload(template);
  if ('issues' in result) throw unfit(result.issues[0]?.message ?? 'an expression cannot be read');
  try {
    return result.compiled.evaluate({ payload });
  } catch (error) {
    throw error instanceof Problem ? unfit(error.message) : error;
  }
}

const unfit = (message: string): Problem =>
  new Problem('event_mismatch', { detail: message, issues: [{ pointer: '', code: 'invalid_value', message }] });
