import type { Database } from './database.ts';

/** More do not fit a notice. */
const MAX_IDS = 150;

/** The payload that names these runs, or, of very many, all. */
export const runsPayload = (runs: readonly string[]): string => (runs.length > MAX_IDS ? '*' : runs.join());

/** Tells all processes, after the commit, that something was committed to these runs. A hint: one that is lost costs a poll. */
export async function notifyRuns(db: Pick<Database, 'rows'>, runs: readonly string[]): Promise<void> {
  if (runs.length > 0) await db.rows({ name: 'notify_run', text: `select pg_notify('run', $1)`, values: [runsPayload(runs)] });
}
