import { createHash, randomUUID, randomUUIDv7 } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import type { JournalRecord, TaskRecord } from '../../src/db/journal/record.ts';
import type { Submit } from '../../src/db/submit.ts';

export const WORKSPACE = '00000000-0000-7000-8000-000000000001';

export const sha256 = (of: string): Buffer => createHash('sha256').update(of).digest();

export const statement = (text: string, values: readonly unknown[] = []) => ({ name: sha256(text).toString('base64url'), text, values });

/** Runs as a dispatcher has just started them: epoch 1, running. */
export async function someRuns(db: Pick<Database, 'rows'>, count: number, tasks = 10): Promise<string[]> {
  const runs = Array.from({ length: count }, () => randomUUIDv7()).sort();
  // In one statement: whoever sees a run sees that it was accepted before anything happened to it.
  await db.rows({
    name: 'some_runs',
    text: `with s as (insert into run_state (run, workspace, status, epoch, total, open, last_seq)
        select r, $2, 'running', 1, $3, $3, 1 from unnest($1::uuid[]) r returning run)
      insert into run_event (run, seq, workspace, type, at) select run, 1, $2, 'run.accepted', clock_timestamp() from s`,
    values: [runs, WORKSPACE, tasks],
  });
  return runs;
}

const TOKEN = '00000000-0000-4000-8000-00000000000a';

type Given = Partial<Omit<TaskRecord, 'type'>> & { segment?: { dead?: Error }; epoch?: number; applied?: number };

/** A record of task 0 that completes, unless said otherwise. */
export function aRecord(run: string, given: Given = {}): JournalRecord {
  return {
    segment: {},
    run,
    epoch: 1,
    type: 'task',
    task: 0,
    item: -1,
    generation: 0,
    attempt: 1,
    token: TOKEN,
    status: 'completed',
    ...given,
  };
}

export const aSubmit = (given: Partial<Submit> = {}): Submit => ({
  workspace: WORKSPACE,
  principal: 'key:1',
  key: randomUUID(),
  requestHash: sha256('request'),
  definition: 'greet',
  plan: { hash: sha256('plan'), body: '{"format":1}' },
  tasks: 2,
  priority: 0,
  labels: {},
  artifacts: [],
  createdBy: 'key:1',
  ...given,
});
