import { isObject, type Json } from '../json.ts';
import type { Marks } from './marks.ts';

export const REDACTED = '[redacted]';

/** The value as it may be shown. A text where something else is marked may be that in other words, and is not shown either. */
export function redact(value: Json, marks: Marks): Json {
  if (marks.whole) return REDACTED;
  if (!marks.any) return value;
  if (Array.isArray(value)) return value.map((entry, i) => redact(entry, marks.element(i)));
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, redact(entry, marks.field(name))]));
  return typeof value === 'string' ? REDACTED : value;
}
