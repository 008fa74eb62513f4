import { findQueued, holdersOf, pendingOf, workersNow, type PendingRow, type QueuedRow } from '../../../db/admission.ts';
import { readTaskRows } from '../../../db/execution.ts';
import type { RunRow } from '../../../db/repositories/runs.ts';
import { isObject } from '../../../domain/json.ts';
import { heldBack } from '../../../domain/plan/heldBack.ts';
import { isAtWork, isClosed } from '../../../domain/plan/outcome.ts';
import type { Graph } from '../../../domain/plan/plan.ts';
import { createState, recordRows, type GraphState } from '../../../domain/plan/state.ts';
import type { Deps } from '../../deps.ts';
import { iso } from '../../time.ts';
import type { Cause, QueueReason } from './schemas.ts';

/** A worker that was not heard of for this long counts as gone, ms. */
const WORKER_SEEN_MS = 10_000;
const HOLDERS = 10;
/** Paused tasks that are named, and tasks that are held back. */
const MAX_HELD = 100;
/** Tasks that hold others back. */
const MAX_BY = 10;

type ExplainDeps = Pick<Deps, 'db' | 'engine' | 'plans' | 'config'>;
export type Workers = { workers: number; temporal: number; used: number; slots: number };

/** Workers are of the installation: a workspace is told how many there are. */
export async function readWorkers({ engine, config }: Pick<Deps, 'engine' | 'config'>): Promise<Workers> {
  const now = await workersNow(engine, WORKER_SEEN_MS);
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
  const { graph } = (await deps.plans.get(run.plan)).plan;
  const causes = (await pendingOf(deps.db, run.id)).map((row) => pendingCause(row, graph.names[row.task] ?? String(row.task)));
  if (run.held || graph.inTurn || graph.places !== undefined) causes.push(...(await heldCauses(deps, run, graph)));
  if (run.paused === true) causes.unshift({ kind: 'paused', message: 'it is paused: nothing new begins until it is resumed' });
  if (run.intent !== null) causes.unshift({ kind: 'command', message: `it was asked to end (${run.intent})` });
  if (workers.workers === 0) causes.unshift({ kind: 'no_worker', message: 'no worker is running' });
  else if (workers.temporal === 0) causes.unshift({ kind: 'temporal_down', message: 'no worker reaches Temporal' });
  return causes.length > 0 ? causes : [{ kind: 'engine', message: 'its next step is being decided' }];
}

/** Tasks that are paused and have not begun, and those that could begin if it were their turn or there were a place. */
async function heldCauses({ db }: ExplainDeps, run: RunRow, graph: Graph): Promise<Cause[]> {
  const nameOf = (task: number): string => graph.names[task] ?? '';
  const { state, begun } = await stateOf(db, run, graph);
  const paused = (run.held ?? []).filter((task) => !begun.has(task)).slice(0, MAX_HELD);
  return [
    ...paused.map((task): Cause => ({ kind: 'paused', message: `${nameOf(task)} is paused`, task: nameOf(task) })),
    ...heldBack(state)
      .slice(0, MAX_HELD)
      .map(({ task, why, by, position }): Cause => {
        const tasks = by.slice(0, MAX_BY).map(nameOf);
        const base = { kind: why, task: nameOf(task), position, tasks };
        if (why === 'max_concurrency')
          return {
            ...base,
            message: `${nameOf(task)} waits for one of the ${graph.places ?? 0} places of the run`,
            limit: graph.places ?? 0,
          };
        return { ...base, message: `${nameOf(task)} waits for its turn: tasks go one at a time, now ${tasks.join()}` };
      }),
  ];
}

async function stateOf(db: ExplainDeps['db'], run: RunRow, graph: Graph): Promise<{ state: GraphState; begun: Set<number> }> {
  const rows = await readTaskRows(db, run.id);
  const state = createState(graph, run.phase);
  state.held = new Set(run.held);
  recordRows(
    state,
    rows.map(([task, status, seq, generation, branch]) => [graph.names[task] ?? '', status, seq, generation, branch]),
  );
  for (const [task, status] of rows) if (isAtWork(status)) state.busy.add(task);
  return { state, begun: new Set(rows.flatMap(([task, status]) => (status === 'pending' ? [] : [task]))) };
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
  const attempt = { attempt: row.attempt ?? 1 };
  switch (row.kind) {
    case 'limit':
      return { ...limitCause(row, task), ...since, ...until };
    case 'running':
      return { kind: 'effect', message: `${task} is at work`, task, ...attempt, ...since };
    case 'retrying':
      return { ...retryCause(row, task), ...attempt, ...until };
    case 'map':
      return { kind: 'items', message: `${task} has ${row.done ?? 0} of ${row.parts ?? 0} parts done`, task };
    case 'child':
      return { kind: 'child', message: `${task} waits for the run that it has started`, task, ...since, ...until };
    case 'external':
      return { ...activityCause(row, task), ...since, ...until };
    case 'event':
      return { kind: 'event', message: `${task} waits for its event`, task, ...since, ...until };
    case 'approval':
      return { kind: 'approval', message: `${task} waits for somebody to decide`, task, ...since, ...until };
    default:
      return { kind: 'timer', message: `${task} waits for its time`, task, ...until };
  }
}

function limitCause({ key, position, holders, items, slots }: PendingRow, task: string): Cause {
  const who = items === null ? `${task} is` : `${items} items of ${task} are in line, the first`;
  return {
    kind: 'limit',
    message: `${who} number ${position ?? 1} in the line of the limit ${key ?? ''}`,
    ...{ task, key: key ?? '', position: position ?? 1, holders: holders ?? [] },
    ...(slots !== null && { limit: slots }),
    ...(items !== null && { items }),
  };
}

function retryCause({ failure }: PendingRow, task: string): Cause {
  if (failure?.code !== 'circuit_open')
    return { kind: 'retry', message: `${task} is tried again`, task, ...(failure && { code: failure.code }) };
  const host = isObject(failure.data) && typeof failure.data.host === 'string' ? failure.data.host : '';
  return { kind: 'circuit', message: `${task} waits until ${host} is probed, which has failed too often of late`, task, host };
}

const activityCause = ({ untaken: key }: PendingRow, task: string): Cause =>
  key === null
    ? { kind: 'activity', message: `${task} waits for its activity`, task }
    : { kind: 'no_activity_worker', message: `${task} waits for a worker to take its activity from the task queue ${key}`, task, key };
