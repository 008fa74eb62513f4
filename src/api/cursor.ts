import { Problem } from '../domain/problem.ts';

/** Opaque to clients: the key of the last item of a page. */
export const toCursor = (key: string): string => Buffer.from(key).toString('base64url');

/** @throws Problem invalid_request unless the key it holds matches `form` */
export function fromCursor(cursor: string | undefined, form: RegExp): string | undefined {
  if (cursor === undefined) return undefined;
  const key = Buffer.from(cursor, 'base64url').toString();
  if (form.test(key)) return key;
  const issue = { pointer: '/query/cursor', code: 'invalid_cursor', message: 'is not a cursor of this list' };
  throw new Problem('invalid_request', { detail: 'The cursor is not one of this list', issues: [issue] });
}

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A page of `rows` that were read with one more than `limit`, and the cursor of the next. */
export function pageOf<T>(rows: readonly T[], limit: number, key: (row: T) => string): { rows: readonly T[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown, nextCursor: rows.length > limit && last !== undefined ? toCursor(key(last)) : null };
}
