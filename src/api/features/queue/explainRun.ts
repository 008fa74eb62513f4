import { findQueued, holdersOf, pendingOf, workersNow, type PendingRow, type QueuedRow } from '../../../db/admission.ts';
import { readTaskRows } from '../../../db/execution.ts';
import type { RunRow } from '../../../db/repositories/runs.ts';
import { isClosed } from '../../../domain/plan/outcome.ts';
import type { Deps } from '../../deps.ts';
import { iso } from '../../time.ts';
import type { Cause, QueueReason } from './schemas.ts';

/** A worker that was not heard of for this long counts as gone, ms. */
const WORKER_SEEN_MS = 10_000;
const HOLDERS = 10;
/** Paused tasks that are named. */
const MAX_HELD = 100;

type ExplainDeps = Pick<Deps, 'db' | 'plans' | 'config'>;
export type Workers = { workers: number; temporal: number; used: number; slots: number };

export async function readWorkers({ db, config }: Pick<Deps, 'db' | 'config'>): Promise<Workers> {
  const now = await workersNow(db, WORKER_SEEN_MS);
  return { ...now, slots: now.workers * config.TIU_MAX_RUNS };
}

/** Why a queued run has not begun: the first that holds. */
export function reasonOf(row: QueuedRow, { workers, temporal, used, slots }: Workers): QueueReason {
  if (row.delayed) return 'delay';
  if (row.ckey !== null && row.held + row.ahead >= (row.climit ?? 1)) return 'concurrency';
  if (workers === 0) return 'no_worker';
  if (temporal === 0) return 'temporal_down';
  return used >= slots ? 'slot' : 'turn';
}

/** Exactly what an open run waits for; nothing once it is closed. */
export async function explainRun(deps: ExplainDeps, run: RunRow): Promise<Cause[]> {
  if (isClosed(run.status)) return [];
  const workers = await readWorkers(deps);
  if (run.started === null) {
    const queued = await findQueued(deps.db, run.id);
    if (queued) return [await queuedCause(deps, run, { queued, workers })];
  }
  const { names } = (await deps.plans.get(run.plan)).plan.graph;
  const causes = (await pendingOf(deps.db, run.id)).map((row) => pendingCause(row, names[row.task] ?? String(row.task)));
  if (run.held) causes.push(...(await heldCauses(deps, run, names)));
  if (run.paused === true) causes.unshift({ kind: 'paused', message: 'it is paused: nothing new begins until it is resumed' });
  if (run.intent !== null) causes.unshift({ kind: 'command', message: `it was asked to end (${run.intent})` });
  if (workers.workers === 0) causes.unshift({ kind: 'no_worker', message: 'no worker is running' });
  else if (workers.temporal === 0) causes.unshift({ kind: 'temporal_down', message: 'no worker reaches Temporal' });
  return causes.length > 0 ? causes : [{ kind: 'engine', message: 'its next step is being decided' }];
}

/** Tasks that are paused and have not begun. */
async function heldCauses({ db }: ExplainDeps, { id, held }: RunRow, names: readonly string[]): Promise<Cause[]> {
  const begun = new Set((await readTaskRows(db, id)).flatMap(([task, status]) => (status === 'pending' ? [] : [task])));
  const waiting = (held ?? []).filter((task) => !begun.has(task)).slice(0, MAX_HELD);
  return waiting.map((task) => ({ kind: 'paused', message: `${names[task] ?? ''} is paused`, task: names[task] ?? '' }));
}

async function queuedCause(
  deps: ExplainDeps,
  run: RunRow,
  seen: { queued: QueuedRow & { position: number }; workers: Workers },
): Promise<Cause> {
  const { queued, workers } = seen;
  const { position, ckey, climit, ahead } = queued;
  const kind = reasonOf(queued, workers);
  const base = { kind, position, sinceAt: iso(queued.created) };
  switch (kind) {
    case 'delay':
      return { ...base, message: 'its time has not come', ...(queued.not_before !== null && { untilAt: iso(queued.not_before) }) };
    case 'concurrency': {
      const holders = await holdersOf(deps.db, { workspace: run.workspace, key: ckey ?? '', limit: HOLDERS });
      const message = `${climit ?? 1} of the concurrency key ${ckey ?? ''} may be open, and ${ahead} wait before it`;
      return { ...base, message, key: ckey ?? '', limit: climit ?? 1, holders };
    }
    case 'no_worker':
      return { ...base, message: 'no worker is running' };
    case 'temporal_down':
      return { ...base, message: 'no worker reaches Temporal' };
    case 'slot':
      return { ...base, message: `all ${workers.slots} run slots of the workers are used`, limit: workers.slots };
    case 'turn':
      return { ...base, message: `it is number ${position} in the queue of the workspace` };
  }
}

function pendingCause(row: PendingRow, task: string): Cause {
  const until = row.until === null ? {} : { untilAt: iso(row.until) };
  const since = row.since === null ? {} : { sinceAt: iso(row.since) };
  switch (row.kind) {
    case 'limit': {
      const message = `${task} is number ${row.position ?? 1} in the line of the limit ${row.key ?? ''}`;
      return {
        kind: 'limit',
        message,
        task,
        key: row.key ?? '',
        position: row.position ?? 1,
        holders: row.holders ?? [],
        ...since,
        ...until,
      };
    }
    case 'running':
      return { kind: 'effect', message: `${task} is at work`, task, attempt: row.attempt ?? 1, ...since };
    case 'retrying':
      return {
        ...{ kind: 'retry', message: `${task} is tried again`, task, attempt: row.attempt ?? 1, ...until },
        ...(row.failure && { code: row.failure.code }),
      };
    case 'map':
      return { kind: 'items', message: `${task} has ${row.done ?? 0} of ${row.parts ?? 0} parts done`, task };
    case 'child':
      return { kind: 'child', message: `${task} waits for the run that it has started`, task, ...since, ...until };
    case 'external':
      return { kind: 'activity', message: `${task} waits for its activity`, task, ...since, ...until };
    case 'event':
    case 'approval':
      return {
        kind: row.kind,
        message: row.kind === 'event' ? `${task} waits for its event` : `${task} waits for somebody to decide`,
        task,
        ...since,
        ...until,
      };
    default:
      return { kind: 'timer', message: `${task} waits for its time`, task, ...until };
  }
}
