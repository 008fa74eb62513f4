import type { TaskStatus } from '../../../src/domain/plan/outcome.ts';
import { FINALLY, MAIN, type Phase } from '../../../src/domain/plan/phases.ts';
import type { Intent } from '../../../src/domain/plan/state.ts';
import {
  addEvent,
  aTask,
  aWait,
  countsAsFailed,
  dueMs,
  itemOrNull,
  newest,
  stopOf,
  taskKey,
  toRow,
  type RunRows,
  type Tables,
  type WaitRow,
} from './tables.ts';

const STALE = { stale: true };
const json = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

export function loadRun(tables: Tables, [run, worker]: readonly [string, string]): object {
  const rows = tables.runs.get(run);
  if (!rows) return { closed: 'unknown' };
  const { state } = rows;
  if (state.finished !== null) tables.unshown.delete(run);
  if (state.finished !== null) return { closed: state.status, reason: state.reason, failure: json(state.failure) };
  const now = tables.now();
  if (state.started === null && state.epoch > 0) return { closed: 'unknown' };
  const first = state.started === null;
  Object.assign(state, { owner: worker, ownerUntil: null, segOpen: 0 });
  state.epoch++;
  state.status = state.paused ? 'paused' : 'running';
  if (first) {
    state.started = now;
    addEvent(rows, ++state.lastSeq, { type: 'run.started', at: now });
  }
  state.appliedSeq = state.lastSeq;
  return {
    ...{ epoch: state.epoch, cursor: state.lastSeq, intent: stopOf(state), phase: state.phase, held: state.held, due: dueMs(rows, now) },
    rows: newest(rows, null).map(toRow),
  };
}

export function loadOwner(tables: Tables, [run, epoch, tasks]: readonly [string, number, number[]]): object {
  const rows = tables.runs.get(run);
  if (rows?.state.epoch !== epoch || rows.state.finished !== null) return STALE;
  const { state } = rows;
  state.segOpen++;
  const due = dueMs(rows, tables.now());
  return {
    seq: state.lastSeq,
    intent: stopOf(state),
    phase: state.phase,
    held: state.held,
    due,
    careful: state.segOpen > 1,
    rows: newest(rows, tasks).map(toRow),
  };
}

type ClaimArgs = readonly [
  run: string,
  epoch: number,
  task: number,
  item: number,
  generation: number,
  token: string,
  deadlineMs: number | null,
];

const RETRY_SLACK_MS = 20;

export function claim(tables: Tables, [run, epoch, task, item, generation, token, deadlineMs]: ClaimArgs): object {
  const rows = tables.runs.get(run);
  if (rows?.state.finished !== null || (item < 0 && rows.state.epoch !== epoch)) return STALE;
  const { state } = rows;
  if (item >= 0 && (rows.waits.get(`${taskKey(task, -1, generation)}/map`)?.closed ?? true)) return STALE;
  const key = taskKey(task, item, generation);
  const known = rows.tasks.get(key);
  const now = tables.now();
  if (known && known.finished !== null) return { final: toRow(known).slice(0, 5), intent: stopOf(state), due: dueMs(rows, now) };
  if (stopOf(state) !== null) return { intent: stopOf(state) };
  if (state.held?.includes(task)) return { intent: 'pause' };
  if (known?.status === 'retrying' && known.nextAt !== null && known.nextAt > now + RETRY_SLACK_MS)
    return { retryInMs: Math.ceil(known.nextAt - now) };
  const row = known ?? aTask(task, item, generation);
  const deadline = deadlineMs !== null && row.deadline === null ? now + deadlineMs : null;
  row.attempt = known ? known.attempt + 1 : 1;
  row.losses += known?.status === 'running' ? 1 : 0;
  Object.assign(row, { status: 'running', token, seq: ++state.lastSeq, nextAt: null });
  row.started ??= known ? null : now;
  row.deadline ??= deadline;
  rows.tasks.set(key, row);
  const waitKey = `${key}/deadline`;
  if (deadline !== null && !rows.waits.has(waitKey))
    rows.waits.set(waitKey, aWait({ task, item, generation, kind: 'deadline', until: deadline }));
  addEvent(rows, state.lastSeq, { type: 'task.started', task, item: itemOrNull(item), attempt: row.attempt, at: now });
  state.status = state.paused ? 'paused' : 'running';
  return {
    attempt: row.attempt,
    losses: row.losses,
    round: row.branch ?? 0,
    remainingMs: row.deadline === null ? null : row.deadline - now,
    seq: state.lastSeq,
  };
}

/** Unfinished items of a map that ends before them. */
export function endItems(rows: RunRows, task: number, generation: number, now: number): void {
  const open = [...rows.tasks.values()].filter(
    (row) => row.task === task && row.generation === generation && row.item >= 0 && row.finished === null,
  );
  for (const row of open.sort((a, b) => a.item - b.item)) {
    Object.assign(row, { status: 'cancelled', seq: ++rows.state.lastSeq, finished: now, token: null, nextAt: null });
    addEvent(rows, row.seq, { type: 'task.cancelled', task, item: row.item, attempt: row.attempt, at: now });
  }
}

const DEADLINE = JSON.stringify({ code: 'deadline_exceeded', message: 'The deadline has passed' });

type AtDeadline = { onDeadline?: { status: TaskStatus; output?: unknown; failure?: unknown; as?: string } };

/** What a wait comes to: what was decided, or what its time makes of it. */
function endOfWait({ kind, decision, failure, output, data }: WaitRow): {
  status: TaskStatus;
  failure: string | null;
  output: string | null;
} {
  if (kind === 'timer') return { status: decision ?? 'completed', failure, output: JSON.stringify('2026') };
  if (decision !== null) return { status: decision, failure, output };
  const { onDeadline } = JSON.parse(data ?? '{}') as AtDeadline;
  const status = kind === 'deadline' || kind === 'event' ? (onDeadline?.status ?? 'timed_out') : 'completed';
  const known = onDeadline?.failure === undefined ? null : JSON.stringify(onDeadline.failure);
  const given = onDeadline?.output === undefined ? null : JSON.stringify(onDeadline.output);
  return { status, failure: status === 'timed_out' ? (known ?? DEADLINE) : known, output: given };
}

function settleWait(rows: RunRows, wait: WaitRow, now: number): void {
  const { task, item, generation, kind } = wait;
  const { status, failure, output } = endOfWait(wait);
  for (const other of rows.waits.values())
    if (other.task === task && other.item === item && other.generation === generation && (other.kind === kind || kind === 'deadline'))
      other.closed = true;
  const row = rows.tasks.get(taskKey(task, item, generation));
  if (row?.finished !== null) return;
  if (kind === 'deadline') endItems(rows, task, generation, now);
  Object.assign(row, { status, seq: ++rows.state.lastSeq, finished: now, token: null, nextAt: null, failure, output });
  if (item === -1) {
    rows.state.open--;
    if (countsAsFailed(status)) rows.state.failed++;
  }
  const data = failure ?? (kind === 'event' && wait.decision === null ? JSON.stringify({ onDeadline: 'continue' }) : null);
  addEvent(rows, row.seq, { type: `task.${status}`, task, item: itemOrNull(item), data, at: now });
}

const byDue = (a: { until: number | null; task: number; item: number; kind: string }, b: typeof a): number =>
  (a.until ?? -1) - (b.until ?? -1) || a.task - b.task || a.item - b.item || (a.kind < b.kind ? -1 : 1);

export function readChanges(tables: Tables, [run, epoch, since, asked]: readonly [string, number, number, number[]]): object {
  const rows = tables.runs.get(run);
  if (rows?.state.epoch !== epoch || rows.state.finished !== null) return STALE;
  const { state } = rows;
  const now = tables.now();
  const before = state.lastSeq;
  const due = [...rows.waits.values()].filter(
    (wait) => !wait.closed && (wait.decision !== null || (wait.until !== null && wait.until <= now)),
  );
  for (const wait of due.sort(byDue)) settleWait(rows, wait, now);
  if (state.deadline !== null && state.deadline <= now) {
    if (state.phase === MAIN) state.intent ??= 'timeout';
    else if (state.phase === FINALLY) state.intent = 'force';
  }
  state.appliedSeq = state.lastSeq;
  if (state.lastSeq > before && !state.paused) state.status = 'running';
  const waited = new Set([...rows.waits.values()].map((wait) => taskKey(wait.task, wait.item, wait.generation)));
  const news = [...rows.tasks.values()].filter(
    (row) =>
      row.item === -1 &&
      row.seq > since &&
      (row.status === 'pending' ||
        waited.has(taskKey(row.task, -1, row.generation)) ||
        (row.finished !== null && asked.includes(row.task)) ||
        rows.commands.some(({ task, seq }) => task === row.task && seq > since)),
  );
  return {
    cursor: state.lastSeq,
    intent: stopOf(state),
    phase: state.phase,
    held: state.held,
    due: dueMs(rows, now),
    rows: news.map((row) => toRow(row).slice(0, 5)),
  };
}

export function sweep(tables: Tables, [run, epoch, tasks, intent]: readonly [string, number, number[], Intent]): object {
  const rows = tables.runs.get(run);
  if (rows?.state.epoch !== epoch || rows.state.finished !== null) return STALE;
  const { state } = rows;
  const now = tables.now();
  for (const task of tasks) {
    const generation = newest(rows, [task])[0]?.generation ?? 0;
    endItems(rows, task, generation, now);
    const key = taskKey(task, -1, generation);
    const row = rows.tasks.get(key) ?? { ...aTask(task, -1, generation), started: now };
    if (row.finished !== null) continue;
    Object.assign(row, { status: 'cancelled', seq: ++state.lastSeq, finished: now, token: null, nextAt: null });
    rows.tasks.set(key, row);
    state.open--;
    addEvent(rows, row.seq, { type: 'task.cancelled', task, at: now });
    for (const wait of rows.waits.values()) if (wait.task === task) wait.closed = true;
  }
  state.intent ??= intent;
  return { intent: stopOf(state), due: dueMs(rows, now), rows: newest(rows, tasks).map(toRow) };
}

export function markWaiting(tables: Tables, [run, epoch]: readonly [string, number]): null {
  const rows = tables.runs.get(run);
  if (rows?.state.epoch !== epoch || rows.state.status !== 'running' || rows.state.finished !== null || stopOf(rows.state) !== null)
    return null;
  rows.state.status = 'waiting';
  addEvent(rows, ++rows.state.lastSeq, { type: 'run.waiting', at: tables.now() });
  return null;
}

type SliceArgs = readonly [run: string, task: number, generation: number, k: number];

export function loadSlice(tables: Tables, [run, task, generation, k]: SliceArgs): object {
  const rows = tables.runs.get(run);
  const own = rows?.slices.filter((slice) => slice.task === task && slice.generation === generation) ?? [];
  const slice = own.find((one) => one.k === k);
  const wait = rows?.waits.get(`${taskKey(task, -1, generation)}/map`);
  const over = !rows || !slice || slice.done || !wait || wait.closed || wait.decision !== null;
  if (over || rows.state.finished !== null || (stopOf(rows.state) ?? 'pause') !== 'pause') return { over: true };
  if (rows.state.paused || rows.state.held?.includes(task)) return { paused: true };
  const left = Array.from({ length: slice.hi - slice.lo }, (_, i) => slice.lo + i).filter(
    (item) => (rows.tasks.get(taskKey(task, item, generation))?.finished ?? null) === null,
  );
  return { left, slices: own.length };
}

export function finishSlice(tables: Tables, [run, task, generation, k, count, percent]: readonly [...SliceArgs, number, number]): boolean {
  const rows = tables.runs.get(run);
  if (!rows) return false;
  const own = rows.slices.filter((slice) => slice.task === task && slice.generation === generation);
  for (const slice of own) if (slice.k === k) slice.done = true;
  if (own.some((slice) => !slice.done)) return false;
  const items = Math.max(...own.map((slice) => slice.hi));
  const failed = [...rows.tasks.values()].filter(
    (row) => row.task === task && row.generation === generation && row.item >= 0 && row.status !== 'completed' && row.status !== 'skipped',
  ).length;
  const wait = rows.waits.get(`${taskKey(task, -1, generation)}/map`);
  if (!wait || wait.closed || wait.decision !== null) return false;
  const tolerated = failed <= Math.max(count, (percent / 100) * items);
  wait.decision = tolerated ? 'completed' : 'failed';
  wait.failure = tolerated ? null : JSON.stringify({ code: 'items_failed', message: `${failed} of ${items} items failed` });
  return true;
}

const MEANT: { readonly [intent: string]: string } = { timeout: 'timed_out', fail: 'failed', cancel: 'cancelled' };

type AdvanceArgs = readonly [
  ...[run: string, epoch: number, phase: Phase, main: number, status: 'completed' | 'failed' | 'cancelled' | 'timed_out'],
  ...[failure: string | null, data: string | null, timeoutMs: number | null],
  ...[begin: number[], beginGenerations: number[], undone: number[], undoneGenerations: number[]],
];

export function advance(tables: Tables, args: AdvanceArgs): object {
  const [run, epoch, phase, main, status, failure, data, timeoutMs, begin, generations, undone, undoneGenerations] = args;
  const rows = tables.runs.get(run);
  if (rows?.state.epoch !== epoch || rows.state.finished !== null) return STALE;
  const { state } = rows;
  if (state.phase >= phase) return { phase: state.phase, rows: newest(rows, null).map(toRow) };
  if (state.commandSeq > state.appliedSeq || state.open !== (state.intent === 'force' ? 0 : state.total - main)) return { reopened: true };
  if (state.phase === MAIN && (state.intent === 'force' || status !== (MEANT[state.intent ?? ''] ?? status))) return { reopened: true };
  const now = tables.now();
  const what = phase < FINALLY ? 'run.compensating' : state.phase > MAIN ? 'run.compensated' : 'run.finishing';
  addEvent(rows, ++state.lastSeq, { type: what, data, at: now });
  for (const [i, task] of begin.entries()) {
    const key = taskKey(task, -1, generations[i] ?? 0);
    const seq = ++state.lastSeq;
    if (!rows.tasks.has(key)) rows.tasks.set(key, { ...aTask(task, -1, generations[i] ?? 0), seq }); // on conflict do nothing
    addEvent(rows, state.lastSeq, { type: 'task.pending', task, at: now });
  }
  for (const [i, task] of undone.entries()) {
    Object.assign(rows.tasks.get(taskKey(task, -1, undoneGenerations[i] ?? 0)) ?? {}, { status: 'compensated', seq: ++state.lastSeq });
    addEvent(rows, state.lastSeq, { type: 'task.compensated', task, at: now });
  }
  Object.assign(state, { phase, decided: status, failure, appliedSeq: state.lastSeq, open: state.open + begin.length });
  if (phase === FINALLY) state.deadline = timeoutMs === null ? null : now + timeoutMs;
  return { phase, rows: newest(rows, null).map(toRow) };
}
