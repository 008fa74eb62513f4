import { durationMs } from '../definition/duration.ts';
import { LIMITS } from '../definition/limits.ts';
import { child } from '../definition/pointer.ts';
import { type Json, type JsonObject } from '../json.ts';
import type { Channel } from '../kinds/notice.ts';

/** How somebody is told of an open approval: a part of the data of its wait. */
export type Notice = { channel: Channel; to: string | string[]; subject?: string; text?: string };

/** When an open approval reminds, and how: a part of the data of its wait. */
export type Reminders = Partial<Notice> & {
  /** After it was opened, ascending. */
  atMs: number[];
};

type Fault = { pointer: string; message: string };

/** `remind` of an approval as it was written, once it has matched its schema; or what is wrong with it still. */
export function readReminders(written: JsonObject): { reminders: Reminders } | { faults: Fault[] } {
  const { every, after, max, ...how } = written;
  const faults: Fault[] = [];
  if ((every === undefined) === (after === undefined)) faults.push({ pointer: '', message: 'must have either `every` or `after`' });
  if (max !== undefined && every === undefined) faults.push({ pointer: '/max', message: 'goes with `every`' });
  if ((how.channel === undefined) !== (how.to === undefined))
    faults.push({ pointer: '', message: 'must have both `channel` and `to`, or neither' });
  faults.push(...noticeFaults(how));
  const times = (Array.isArray(after) ? after : []).map((time, i) => timeOf(time, child('/after', i), faults));
  const period = every === undefined ? 0 : timeOf(every, '/every', faults);
  if (faults.length > 0) return { faults };
  const count = typeof max === 'number' ? max : LIMITS.reminders;
  const atMs = every === undefined ? [...new Set(times)].sort((a, b) => a - b) : Array.from({ length: count }, (_, i) => (i + 1) * period);
  return { reminders: { atMs, ...how } };
}

/** What is wrong with where a notice is to go, once it has matched its schema. */
export const noticeFaults = ({ channel, to }: JsonObject): Fault[] =>
  (channel === 'webhook' || channel === 'slack') && Array.isArray(to) ? [{ pointer: '/to', message: 'must be one address (URL)' }] : [];

/** How an approval tells somebody: the first notice as `notify` says, a reminder as `remind` does or, without a channel of its own, as `notify`. */
export function noticeOf({ notify, remind }: { notify?: Notice; remind?: Reminders }, number: number): Notice | undefined {
  if (number === 0 || !remind) return notify;
  const { channel = notify?.channel, to = notify?.to, subject = notify?.subject, text = notify?.text } = remind;
  if (channel === undefined || to === undefined) return undefined;
  return { channel, to, ...(subject !== undefined && { subject }), ...(text !== undefined && { text }) };
}

function timeOf(written: Json, pointer: string, faults: Fault[]): number {
  const ms = durationMs(written);
  if (ms === undefined || ms < LIMITS.reminderMs)
    faults.push({ pointer, message: `must be a duration of at least ${LIMITS.reminderMs / 1_000} s` });
  return ms ?? 0;
}
