import type { Approval } from '../domain/run/approvers.ts';
import type { Database } from './database.ts';

type Rows = Pick<Database, 'rows'>;

/** A reminder that is due and that nobody else will send. */
export type DueReminder = {
  run: string;
  workspace: string;
  definition: string;
  /** hex */
  plan: string;
  task: number;
  generation: number;
  since: string | Date;
  /** How many of its times have passed, from 1. */
  number: number;
  data: Approval;
};

/**
 * Takes reminders of open approvals that are due: each with its event in the log of the run, in one commit, so that no time comes
 * twice, whoever asks and how often. Times that have passed together are one.
 */
export async function claimReminders(db: Rows, limit: number): Promise<DueReminder[]> {
  const due = await db.rows<DueReminder>({
    name: 'remind',
    text: 'select run, workspace, definition, plan, task, generation, since, number, data from remind_v1($1)',
    values: [limit],
  });
  const runs = [...new Set(due.map(({ run }) => run))];
  if (runs.length > 0) await db.rows({ name: 'notify_run', text: `select pg_notify('run', $1)`, values: [runs.join()] });
  return due;
}
