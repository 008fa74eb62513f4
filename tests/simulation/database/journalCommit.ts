import type { TaskStatus } from '../../../src/domain/plan/outcome.ts';
import { MAIN } from '../../../src/domain/plan/phases.ts';
import {
  addEvent,
  aTask,
  aWait,
  countsAsFailed,
  itemOrNull,
  stopOf,
  taskKey,
  UNFINISHED,
  type RunRows,
  type Tables,
  type TaskRow,
} from './tables.ts';

type Column<T> = readonly (T | null | undefined)[];
type Columns = readonly Column<number | string | Buffer>[];

/** A row of what journal_commit_v1 answers. */
type Answer = {
  r: number;
  base: number | null;
  seq: number | null;
  intent: string | null;
  unseen: boolean | null;
  outcome: 'ok' | 'skipped' | 'refused' | 'closed';
  refused: number[] | null;
};

type Sent = {
  position: number;
  task: number;
  item: number;
  generation: number;
  attempt: number;
  token: string | null;
  status: TaskStatus;
  branch: number | null;
  output: string | null;
  failure: string | null;
  data: string | null;
  deadlineMs: number | null;
  nextMs: number | null;
  lost: number;
};

const number = (column: Column<unknown> | undefined, i: number): number | null => {
  const value = column?.[i];
  return value === null || value === undefined ? null : Number(value);
};
const word = (column: Column<unknown> | undefined, i: number): string | null => {
  const value = column?.[i];
  return typeof value === 'string' ? value : null;
};

const sentRow = (c: Columns, i: number): Sent => ({
  position: i + 1,
  task: number(c[2], i) ?? 0,
  item: number(c[3], i) ?? -1,
  generation: number(c[4], i) ?? 0,
  attempt: number(c[5], i) ?? 0,
  token: word(c[6], i),
  status: word(c[7], i) as TaskStatus,
  branch: number(c[8], i),
  output: word(c[9], i),
  failure: word(c[12], i),
  data: word(c[13], i),
  deadlineMs: number(c[14], i),
  nextMs: number(c[15], i),
  lost: number(c[16], i) ?? 0,
});

/** The fence: an unfinished row of an older attempt, or of the same one. */
const mayReplace = (row: TaskRow, sent: Sent): boolean =>
  row.finished === null && (sent.attempt > row.attempt || (sent.attempt === row.attempt && row.token !== null && sent.token === row.token));

/** Items are refused if their task had ended before this call: one statement does not see its own rows. */
const endedBefore = (row: TaskRow | undefined, base: number): boolean => row !== undefined && row.finished !== null && row.seq <= base;

function upsert(rows: RunRows, sent: Sent, { now, seq, base }: { now: number; seq: number; base: number }): boolean {
  const key = taskKey(sent.task, sent.item, sent.generation);
  const known = rows.tasks.get(key);
  if (known && !mayReplace(known, sent)) return false;
  if (sent.item !== -1 && endedBefore(rows.tasks.get(taskKey(sent.task, -1, sent.generation)), base)) return false;
  const row = known ?? aTask(sent.task, sent.item, sent.generation);
  const { status, branch, attempt, token, output, failure } = sent;
  Object.assign(row, { status, branch, attempt, token, output, failure, seq, losses: row.losses + sent.lost });
  row.started ??= ['skipped', 'blocked', 'cancelled'].includes(status) ? null : now;
  row.finished = UNFINISHED.has(status) ? null : now;
  row.nextAt = sent.nextMs === null ? null : now + sent.nextMs;
  row.deadline ??= sent.deadlineMs === null ? null : now + sent.deadlineMs;
  rows.tasks.set(key, row);
  return true;
}

/** One call, one step: the fence, then the rows, their events and the counters, then the proposal to close. */
export function journalCommit(tables: Tables, values: readonly unknown[], isLocked: (run: string) => boolean): Answer[] {
  const [wait, runs, epochs, applied, ...columns] = values as [string, string[], number[], number[], ...Column<number>[]];
  const now = tables.now();
  const tasks = columns.slice(0, 17);
  const answers: Answer[] = [];
  const closings: Answer[] = [];
  const refusals: Answer[] = [];
  const outcome: Commit[] = [];
  for (const [g, run] of runs.entries()) {
    const rows = tables.runs.get(run);
    const locked = wait !== 't' && isLocked(run);
    const nothing = { r: g + 1, base: null, intent: null, unseen: null, refused: null };
    const epoch = epochs[g] ?? 0;
    if (!rows || locked) refusals.push({ ...nothing, seq: null, outcome: wait === 't' ? 'refused' : 'skipped' });
    else if (rows.state.finished !== null || (epoch !== 0 && epoch !== rows.state.epoch))
      refusals.push({ ...nothing, seq: rows.state.lastSeq, outcome: 'refused' });
    else {
      const commit = {
        g,
        rows,
        epoch,
        applied: applied[g] ?? 0,
        now,
        refused: [],
        base: rows.state.lastSeq,
        isFirst: new Map<number, boolean>(),
      };
      writeTasks(commit, tasks, columns);
      outcome.push(commit);
    }
  }
  const any = outcome.some(({ refused }) => refused.length > 0);
  for (const commit of outcome) {
    const { state } = commit.rows;
    const unseen = state.commandSeq > state.appliedSeq;
    answers.push({
      ...{ r: commit.g + 1, base: commit.base, seq: state.lastSeq, intent: stopOf(state), unseen, outcome: 'ok' },
      refused: any ? commit.refused : null,
    });
    const closed = close(commit, columns.slice(26));
    if (closed) closings.push(closed);
  }
  return [...answers, ...closings, ...refusals];
}

type Commit = {
  g: number;
  rows: RunRows;
  epoch: number;
  applied: number;
  now: number;
  base: number;
  refused: number[];
};

function writeTasks(commit: Commit, tasks: Columns, columns: Columns): void {
  const { rows, now } = commit;
  const { state } = rows;
  const ranked = (tasks[0] ?? []).flatMap((r, i) =>
    r === commit.g + 1 ? [{ rank: number(tasks[1], i) ?? 0, sent: sentRow(tasks, i) }] : [],
  );
  for (const { sent } of ranked.sort((a, b) => a.rank - b.rank)) {
    const seq = state.lastSeq + 1;
    if (!upsert(rows, sent, { now, seq, base: commit.base })) {
      commit.refused.push(sent.position);
      continue;
    }
    state.lastSeq = seq;
    const { task, item, attempt, status } = sent;
    const type = status === 'running' ? 'task.started' : `task.${status}`;
    addEvent(rows, seq, { type, task, item: itemOrNull(item), attempt, data: sent.data ?? sent.failure, at: now });
    if (item === -1 && !UNFINISHED.has(status)) {
      state.open--;
      if (countsAsFailed(status)) state.failed++;
    }
    openWaits(commit, sent, columns);
  }
  state.appliedSeq = Math.max(state.appliedSeq, commit.applied);
  if (commit.epoch > 0) state.segOpen = 0;
  if (state.status === 'queued' || state.status === 'waiting') state.status = 'running';
  if (state.phase === MAIN && state.intent === null && state.deadline !== null && state.deadline <= now) state.intent = 'timeout';
}

function openWaits({ rows, now }: Commit, sent: Sent, columns: Columns): void {
  const [waitOf, kinds, ms, until] = columns.slice(17);
  waitOf?.forEach((position, i) => {
    if (position !== sent.position) return;
    const kind = word(kinds, i) ?? '';
    const key = `${taskKey(sent.task, sent.item, sent.generation)}/${kind}`;
    const delay = number(ms, i);
    const at = word(until, i);
    const due = at === null ? (delay === null ? null : now + delay) : Date.parse(at);
    const { task, item, generation, data } = sent;
    if (!rows.waits.has(key))
      rows.waits.set(key, { ...aWait({ task, item, generation, kind, until: due }), data: kind === 'event' ? data : null });
  });
  const [sliceOf, ks, los, his] = columns.slice(22);
  sliceOf?.forEach((position, i) => {
    const { task, generation } = sent;
    const k = number(ks, i) ?? 0;
    if (position !== sent.position || rows.slices.some((slice) => slice.task === task && slice.generation === generation && slice.k === k))
      return;
    rows.slices.push({ task, generation, k, lo: number(los, i) ?? 0, hi: number(his, i) ?? 0, done: false });
  });
}

const MEANT: { readonly [intent: string]: string } = { timeout: 'timed_out', fail: 'failed', cancel: 'cancelled', force: 'cancelled' };

function close({ g, rows, now }: Commit, columns: Columns): Answer | undefined {
  const i = columns[0]?.indexOf(g + 1) ?? -1;
  if (i < 0) return undefined;
  const { state } = rows;
  const status = word(columns[1], i) as 'completed' | 'failed' | 'cancelled' | 'timed_out';
  if (state.open !== 0 || state.commandSeq > state.appliedSeq) return undefined;
  if (state.phase > MAIN && status !== state.decided) return undefined;
  if (state.phase === MAIN && state.intent !== null && status !== MEANT[state.intent]) return undefined;
  const failure = word(columns[2], i);
  Object.assign(state, { status, failure, finished: now, lastSeq: state.lastSeq + 1 });
  addEvent(rows, state.lastSeq, { type: `run.${status}`, data: failure, at: now });
  if (number(columns[5], i) !== null) rows.output = word(columns[3], i);
  return { r: g + 1, base: null, seq: state.lastSeq, intent: state.intent, unseen: false, outcome: 'closed', refused: null };
}
