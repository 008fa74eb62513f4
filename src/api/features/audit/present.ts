import type { AuditRow } from '../../../db/repositories/audit.ts';
import { iso } from '../../time.ts';

/** `<kind>:<id>` in two. */
const objectOf = (text: string): { kind: string; id: string } => {
  const colon = text.indexOf(':');
  return colon < 0 ? { kind: text, id: '' } : { kind: text.slice(0, colon), id: text.slice(colon + 1) };
};

export const presentEntry = ({ request, object, at, seq, hash, ...row }: AuditRow) => ({
  seq,
  hash,
  id: row.id,
  at: iso(at),
  actor: row.actor,
  action: row.action,
  object: objectOf(object),
  result: row.result,
  code: row.code,
  requestId: request,
  address: row.address,
  data: row.data,
  before: row.before,
  after: row.after,
});

/** Controls, and what turns or hides text on a terminal or in a viewer. */
// eslint-disable-next-line no-control-regex -- these are what it is about
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The same text with such characters as JSON writes them; within JSON it stays the same JSON. */
export const escaped = (text: string): string =>
  text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
