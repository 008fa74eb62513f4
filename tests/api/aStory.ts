import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import type { Journal } from '../../src/db/journal.ts';
import type { CloseRecord, TaskRecord } from '../../src/db/journal/record.ts';

/** Takes a run as an execution does: from here on `tell` may write to it. */
export async function begin(db: Database, run: string): Promise<void> {
  await db.rows({
    name: 'begin_run',
    text: `update run_state set epoch = 1, status = 'running', started = clock_timestamp() where run = $1`,
    values: [run],
  });
}

/** Writes one task row (task 0 completes, unless said otherwise), as a worker does. */
export const tell = (journal: Journal, run: string, chapter: Partial<Omit<TaskRecord, 'type'>> = {}) =>
  journal.push({
    ...base(run),
    type: 'task',
    task: 0,
    item: -1,
    generation: 0,
    attempt: 1,
    token: randomUUID(),
    status: 'completed',
    ...chapter,
  });

export const close = (journal: Journal, run: string, ending: Omit<CloseRecord, 'type'> = { status: 'completed' }) =>
  journal.push({ ...base(run), type: 'close', ...ending });

const base = (run: string) => ({ segment: {}, run, epoch: 1 });
