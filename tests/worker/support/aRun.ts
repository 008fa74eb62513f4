import { createHash, randomUUIDv7, randomUUID } from 'node:crypto';
import type { Database } from '../../../src/db/database.ts';

export type Mode = 'finish' | 'wait' | 'poison' | 'end';

const WORKSPACE = '11111111-1111-4111-8111-111111111111';

/** An accepted run, as submitting leaves it. `started` = its execution began ten seconds ago. */
export async function aRun(
  db: Database,
  options: { mode?: Mode; started?: boolean; total?: number; parent?: string } = {},
): Promise<string> {
  const id = randomUUIDv7();
  const hash = createHash('sha256').update('plan').digest();
  const { mode = 'finish', started = false, total = 1, parent = null } = options;
  const sql = async (text: string, values: unknown[]) => {
    await db.pool.query(text, values);
  };
  await sql(
    `insert into plan (hash, body, created) values ($1, '{"title":"A title","graph":{"names":["a"]}}', now()) on conflict do nothing`,
    [hash],
  );
  await sql(
    `insert into run (id, workspace, definition, plan, input, priority, parent, created, created_by)
      values ($1, $2, 'a-definition', $3, $4, 3, $5, now() - $6::interval, 'key:x')`,
    [id, WORKSPACE, hash, JSON.stringify({ mode }), parent, started ? '20 s' : '0 s'],
  );
  await sql(
    `insert into run_state (run, workspace, status, total, open, last_seq, epoch, started)
      values ($1, $2, $3, $4, $4, 1, $5::int, case when $5::int > 0 then now() - interval '10 s' end)`,
    [id, WORKSPACE, started ? 'running' : 'queued', total, started ? 1 : 0],
  );
  await sql(`insert into run_event (run, seq, workspace, type, at) values ($1, 1, $2, 'run.accepted', now())`, [id, WORKSPACE]);
  return id;
}

/** What a command that cancels leaves. */
export async function cancelCommand(db: Database, runId: string, reason: string): Promise<void> {
  await db.pool.query(
    `with s as (update run_state set last_seq = last_seq + 1, command_seq = last_seq + 1, intent = case when intent is null and $2 = '' then 'cancel' else 'force' end, reason = $2
        where run = $1 and finished is null returning run, last_seq, workspace)
      insert into run_event (run, seq, workspace, type, data, at) select run, last_seq, workspace, 'command.cancel', json_build_object('reason', $2::text), now() from s`,
    [runId, reason],
  );
}

export async function stateOf(db: Database, runId: string) {
  const { rows } = await db.pool.query<{
    status: string;
    intent: string | null;
    reason: string | null;
    epoch: number;
    restarts: number;
    last_seq: string;
    started: Date | null;
    owner: string | null;
    cancel_sent: boolean;
    failure: { code: string } | null;
  }>('select * from run_state where run = $1', [runId]);
  const [row] = rows;
  if (!row) throw new Error('no such run');
  return row;
}

export const aWorkerId = (): string => randomUUID();
