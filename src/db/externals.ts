import type { TaskStatus } from '../domain/plan/outcome.ts';
import type { Stop } from '../domain/plan/state.ts';
import type { Failure } from '../domain/problem.ts';
import type { Database } from './database.ts';
import type { LimitRequest } from './limits.ts';

type Rows = Pick<Database, 'rows'>;

/** An execution that calls an activity of a user's, by the task that waits for it. */
export type ExternalKey = { runId: string; task: number; generation: number };

const keyValues = ({ runId, task, generation }: ExternalKey) => [runId, task, generation];

/** Waits for activities without an execution. Claimed; `forgetExternal` takes the claim back. */
export function claimExternals(db: Rows, limit: number): Promise<(ExternalKey & { plan: string })[]> {
  return db.rows<ExternalKey & { plan: string }>({
    name: 'claim_externals',
    text: 'select run as "runId", task, generation, plan from claim_externals_v1($1)',
    values: [limit],
  });
}

/** It is started again. @returns whether it was dispatched and somebody waits for it */
export async function forgetExternal(db: Rows, key: ExternalKey): Promise<boolean> {
  const rows = await db.rows({
    name: 'forget_external',
    text: `update wait set dispatched = false, told_at = null where run = $1 and task = $2 and item = -1 and generation = $3 and kind = 'external' and dispatched
      and not closed and decision is null returning run`,
    values: keyValues(key),
  });
  return rows.length > 0;
}

/** `dispatched`: it may have an execution; `open`: its task waits for its end. */
export type UntoldExternal = ExternalKey & { dispatched: boolean; open: boolean };

/** Executions that are to end, each again every 10 s until it has. */
export function claimUntoldExternals(db: Rows, limit: number): Promise<UntoldExternal[]> {
  return db.rows<UntoldExternal>({
    name: 'claim_untold_externals',
    text: 'select run as "runId", task, generation, dispatched, open from claim_untold_externals_v1($1)',
    values: [limit],
  });
}

/** `untaken`: the task queue from which no worker takes its activity, as far as that is noted. */
export type OpenExternal = ExternalKey & { starts: number; untaken: string | null };

/** Executions that were asked for more than 3 s ago and that somebody waits for. Any of them, so that many are no hurdle. */
export function openExternals(db: Rows, limit: number): Promise<OpenExternal[]> {
  return db.rows<OpenExternal>({
    name: 'open_externals',
    text: `select w.run as "runId", w.task, w.generation, w.starts::int, w.untaken from wait w join run_state s on s.run = w.run and s.finished is null
      where w.kind = 'external' and not w.child_ended and w.dispatched and not w.closed and w.decision is null
        and w.asked_at < clock_timestamp() - interval '3 s' order by random() limit $1`,
    values: [limit],
  });
}

/** @param untaken the task queue from which no worker takes its activity; null: one has */
export async function noteUntaken(db: Rows, key: ExternalKey, untaken: string | null): Promise<void> {
  await db.rows({
    name: 'note_untaken',
    text: `update wait set untaken = $4 where run = $1 and task = $2 and item = -1 and generation = $3 and kind = 'external' and not closed`,
    values: [...keyValues(key), untaken],
  });
}

/** How a task ends whose execution cannot say so. @returns false: it has ended */
export async function decideExternal(
  db: Rows,
  key: ExternalKey,
  end: { status: Extract<TaskStatus, 'failed' | 'cancelled'>; failure: Failure },
): Promise<boolean> {
  const [row] = await db.rows<{ decided: boolean }>({
    name: 'decide_external',
    text: 'select decide_external_v1($1, $2, $3, $4, $5) as decided',
    values: [...keyValues(key), end.status, JSON.stringify(end.failure)],
  });
  return row?.decided === true;
}

/** The task has ended, or nobody waits for it: its run is told, its slots are free. @returns the runs whose turn has come: poke them */
export async function endExternalRow(db: Rows, key: ExternalKey): Promise<string[]> {
  const rows = await db.rows<{ run: string }>({
    name: 'end_external',
    text: 'select end_external_v2($1, $2, $3) as run',
    values: keyValues(key),
  });
  return rows.map(({ run }) => run);
}

/** Takes the slots and tokens that its activity needs, all or none. @returns undefined: it has them; else when to ask again, in the line of the first that lacks */
export async function holdExternal(
  db: Rows,
  key: ExternalKey,
  limits: readonly LimitRequest[],
): Promise<{ retryInMs: number } | undefined> {
  const [row] = await db.rows<{ line: { retryInMs: number } | null }>({
    name: 'hold_external',
    text: 'select hold_external_v1($1, $2, $3, $4) as line',
    values: [...keyValues(key), JSON.stringify(limits)],
  });
  return row?.line ?? undefined;
}

/** The task's row while it waits; undefined when it does not, or its run is closed. */
export async function waitingExternal(
  db: Rows,
  key: ExternalKey,
): Promise<{ attempt: number; token: string; stop: Stop | null } | undefined> {
  const [row] = await db.rows<{ attempt: number; token: string; stop: Stop | null }>({
    name: 'waiting_external',
    text: `select t.attempt, t.token, stop_v1(s) as stop from task t join run_state s on s.run = t.run and s.finished is null
      where t.run = $1 and t.task = $2 and t.item = -1 and t.generation = $3 and t.status = 'waiting'`,
    values: keyValues(key),
  });
  return row;
}
