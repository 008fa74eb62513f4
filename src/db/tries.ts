import { createHash } from 'node:crypto';
import type { Rows } from './transaction.ts';

/** `count` within `windowMs`. */
export type CountLimits = { count: number; windowMs: number };
/** `free` failures in a row, then waits from `delayMs`, doubled up to `maxDelayMs`, and `max` in all. */
export type TryLimits = { free: number; delayMs: number; maxDelayMs: number; max: number; network: CountLimits };

/** Why a try is refused, and when the next may be, ms. */
export type RefusedTry = { refused: 'network' | 'delay' | 'disabled'; againMs: number };

const subjectHash = (subject: string): Buffer => createHash('sha256').update(subject).digest();

/**
 * Counts one try of a subject and of a network, before anything is computed: one statement, so that however many come at once
 * no more are let through than may be. @returns undefined when it may go on
 */
export async function takeTry(
  db: Rows,
  input: { subject: string; network: string; now: number; limits: TryLimits },
): Promise<RefusedTry | undefined> {
  const rows = await db.rows<RefusedTry>({
    name: 'try_take',
    text: `select refused, again_ms as "againMs" from take_try_v1($1, $2, $3, $4)`,
    values: [subjectHash(input.subject), subjectHash(`network:${input.network}`), new Date(input.now), JSON.stringify(input.limits)],
  });
  return rows[0];
}

/** Counts one of a network and one of a subject within their windows. @returns ms until both may again; undefined when both may */
export async function takeCounts(
  db: Rows,
  input: { subject: string; network: string; now: number; limits: { subject: CountLimits; network: CountLimits } },
): Promise<number | undefined> {
  const rows = await db.rows<{ again: number | null }>({
    name: 'count_take',
    text: 'select greatest(take_count_v1($1, $3, $4), take_count_v1($2, $3, $5)) as again',
    values: [
      ...[subjectHash(`network:${input.network}`), subjectHash(input.subject), new Date(input.now)],
      ...[JSON.stringify(input.limits.network), JSON.stringify(input.limits.subject)],
    ],
  });
  return rows[0]?.again ?? undefined;
}

/** Forgets the failures of these subjects: somebody has shown that they may. */
export async function clearTries(db: Rows, subjects: readonly string[]): Promise<void> {
  await db.rows({ name: 'try_clear', text: 'delete from auth_try where subject = any($1)', values: [subjects.map(subjectHash)] });
}
