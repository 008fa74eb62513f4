import { createHash } from 'node:crypto';
import type { Rows } from './transaction.ts';

/** `free` failures in a row, then waits from `delayMs`, doubled up to `maxDelayMs`, and `max` in all. */
type TryLimits = { free: number; delayMs: number; maxDelayMs: number; max: number };

/** Why a try is refused, and when the next may be, ms. */
type RefusedTry = { refused: 'delay' | 'disabled'; againMs: number };

const subjectHash = (subject: string): Buffer => createHash('sha256').update(subject).digest();

/**
 * Counts one try of a subject, before anything is computed: one statement, so that however many come at once no more are let
 * through than may be. @returns undefined when it may go on
 */
export async function takeTry(db: Rows, input: { subject: string; now: number; limits: TryLimits }): Promise<RefusedTry | undefined> {
  const rows = await db.rows<RefusedTry>({
    name: 'try_take',
    text: `select refused, again_ms as "againMs" from take_try_v1($1, $2, $3)`,
    values: [subjectHash(input.subject), new Date(input.now), JSON.stringify(input.limits)],
  });
  return rows[0];
}

/** Forgets the failures of these subjects: somebody has shown that they may. @returns of how many there were some */
export async function clearTries(db: Rows, subjects: readonly string[]): Promise<number> {
  const text = 'delete from auth_try where subject = any($1) returning 1';
  return (await db.rows({ name: 'try_clear', text, values: [subjects.map(subjectHash)] })).length;
}
