import type { Json } from '../domain/json.ts';
import type { Approval } from '../domain/run/approvers.ts';
import type { Database } from './database.ts';
import { notifyRuns } from './notifyRuns.ts';

type Rows = Pick<Database, 'rows'>;

/** A notice of an open approval that is due, and nobody else's for its lease. */
export type DueNotice = {
  run: string;
  workspace: string;
  definition: string;
  /** hex */
  plan: string;
  task: number;
  generation: number;
  since: string | Date;
  /** Of a reminder: how many of its times have passed, from 1; 0: the approval has been opened. */
  number: number;
  /** This one counted. */
  tries: number;
  data: Approval;
};

/** A reminder that has come: its event is in the log of its run. Without a channel that is all. */
export type Reminded = { run: string; channel: string | null };

/**
 * Takes reminders of open approvals that are due: each with its event in the log of the run and, if it is to be sent, its notice, in one
 * commit, so that no time comes twice, whoever asks and how often. Times that have passed together are one.
 */
export async function claimReminders(db: Rows, limit: number): Promise<Reminded[]> {
  const due = await db.rows<Reminded>({ name: 'remind', text: 'select run, channel from remind_v2($1)', values: [limit] });
  await notifyRuns(db, [...new Set(due.map(({ run }) => run))]);
  return due;
}

/** @param leaseMs for so long they are nobody else's */
export const claimNotices = (db: Rows, limit: number, leaseMs: number): Promise<DueNotice[]> =>
  db.rows<DueNotice>({
    name: 'claim_notices',
    text: 'select run, workspace, definition, plan, task, generation, since, number, tries, data from claim_notices_v1($1, $2)',
    values: [limit, leaseMs],
  });

/** What becomes of a notice after a try: another one later, or its end, which the log of the run tells if it has an event. */
export type NoticeEnd = { retryMs: number } | { event?: { type: 'task.notified' | 'task.notice_failed'; data: Json } };

export async function endNotice(db: Rows, of: DueNotice, end: NoticeEnd): Promise<void> {
  const again = 'retryMs' in end ? end.retryMs : null;
  const event = 'retryMs' in end ? undefined : end.event;
  await db.rows({
    name: 'end_notice',
    text: 'select end_notice_v1($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [of.run, of.task, of.generation, of.number, of.tries, again, event?.type ?? null, event ? JSON.stringify(event.data) : null],
  });
  if (event) await notifyRuns(db, [of.run]);
}
