import { FINALLY, MAIN } from '../../../src/domain/plan/phases.ts';
import { endItems } from './execution.ts';
import { addEvent, aTask, countsAsFailed, itemOrNull, newest, taskKey, type RunRows, type Tables } from './tables.ts';

type Order = { type: string; task: number | null; payload: string; data: string };

/** Event, command row and the mark that the run is to be told, under the next number. */
function note(tables: Tables, rows: RunRows, { type, task, payload, data }: Order): number {
  const { state } = rows;
  const seq = ++state.lastSeq;
  addEvent(rows, seq, { type: `command.${type}`, task, data, at: tables.now() });
  rows.commands.push({ seq, type, payload, task, phase: state.phase });
  tables.untold.set(state.run, { pokeAfter: null });
  state.commandSeq = seq;
  return seq;
}

type PauseArgs = readonly [run: string, workspace: string, isPause: boolean, tasks: number[] | null, payload: string, data: string];

/** @returns as `command`; -1: it is so already, or all tasks have ended */
export function pause(tables: Tables, [run, workspace, isPause, tasks, payload, data]: PauseArgs): number | null {
  const rows = tables.runs.get(run);
  if (rows?.state.workspace !== workspace) return 0;
  const { state } = rows;
  if (state.finished !== null) return null;
  const named = isPause ? tasks?.filter((task) => (newest(rows, [task])[0]?.finished ?? null) === null) : tasks;
  const held = tasks === null ? (isPause ? state.held : null) : heldWith(state.held ?? [], named ?? [], isPause);
  if (tasks === null ? state.paused === isPause && (isPause || state.held === null) : JSON.stringify(held) === JSON.stringify(state.held))
    return -1;
  const seq = note(tables, rows, { type: isPause ? 'pause' : 'resume', task: null, payload, data });
  state.held = held;
  if (tasks === null) {
    state.paused = isPause;
    if (state.started !== null) state.status = isPause ? 'paused' : 'running';
  }
  if (!isPause)
    for (const wait of rows.waits.values()) if (wait.kind === 'map' && !wait.closed && wait.decision === null) wait.dispatched = false;
  return seq;
}

function heldWith(held: readonly number[], tasks: readonly number[], isPause: boolean): number[] | null {
  const now = isPause ? [...new Set([...held, ...tasks])] : held.filter((task) => !tasks.includes(task));
  return now.length === 0 ? null : now.sort((a, b) => a - b);
}

type ReopenArgs = readonly [run: string, workspace: string, seq: number, tasks: number[], keep: number[], payload: string, data: string];

/** @returns as `command`; -1: it is open, -2: it has changed */
export function reopen(tables: Tables, [run, workspace, seen, tasks, keep, payload, data]: ReopenArgs): number | null {
  const rows = tables.runs.get(run);
  if (rows?.state.workspace !== workspace) return 0;
  const { state } = rows;
  if (state.finished === null) return -1;
  if (state.lastSeq !== seen) return -2;
  const now = tables.now();
  const seq = note(tables, rows, { type: 'retry', task: null, payload, data });
  addEvent(rows, ++state.lastSeq, { type: 'run.reopened', at: now });
  for (const task of tasks) {
    const generation = (newest(rows, [task])[0]?.generation ?? -1) + 1;
    rows.tasks.set(taskKey(task, -1, generation), { ...aTask(task, -1, generation), seq: ++state.lastSeq });
    const kept = keep.includes(task) ? [...rows.tasks.values()] : [];
    for (const row of kept)
      if (
        row.task === task &&
        row.item >= 0 &&
        row.generation === generation - 1 &&
        (row.status === 'completed' || row.status === 'skipped')
      )
        rows.tasks.set(taskKey(task, row.item, generation), { ...row, generation, token: null, seq: state.lastSeq });
    addEvent(rows, state.lastSeq, {
      type: 'task.pending',
      task,
      data: JSON.stringify({ generation, keptItems: keep.includes(task) }),
      at: now,
    });
  }
  rows.output = null;
  for (const wait of rows.waits.values()) wait.closed = true;
  Object.assign(state, {
    ...{ status: 'queued', intent: null, reason: null, failure: null, phase: MAIN, decided: null, paused: false, held: null },
    ...{
      finished: null,
      started: null,
      owner: null,
      ownerUntil: null,
      segOpen: 0,
      restarts: 0,
      cancelSent: false,
      pokedSeq: 0,
      pokeAfter: null,
    },
    deadline: rows.deadlineMs === null ? null : now + rows.deadlineMs,
    open: tasks.length,
    failed: newest(rows, null).filter((row) => row.task < state.total && countsAsFailed(row.status)).length,
    appliedSeq: state.lastSeq,
  });
  return seq;
}

type SettleArgs = readonly [
  ...[run: string, workspace: string, task: number, main: number, item: number, status: 'skipped' | 'completed', output: string | null],
  ...[ref: unknown, size: unknown, payload: string, data: string],
];

/** @returns as `command`; -1: it has ended, or how the run ends is decided */
export function settle(tables: Tables, [run, workspace, task, main, item, status, output, , , payload, data]: SettleArgs): number | null {
  const rows = tables.runs.get(run);
  if (rows?.state.workspace !== workspace) return 0;
  const { state } = rows;
  if (state.finished !== null) return null;
  const generation = newest(rows, [task])[0]?.generation ?? 0;
  const key = taskKey(task, item, generation);
  const whole = rows.tasks.get(taskKey(task, -1, generation));
  const known = rows.tasks.get(key);
  if (state.phase !== (task < main ? MAIN : FINALLY) || (whole?.finished ?? null) !== null || (known?.finished ?? null) !== null) return -1;
  const now = tables.now();
  const seq = note(tables, rows, { type: status === 'skipped' ? 'skip' : 'complete', task, payload, data });
  if (item === -1) endItems(rows, task, generation, now);
  const row = known ?? { ...aTask(task, item, generation), started: status === 'completed' ? now : null };
  Object.assign(row, { status, token: null, nextAt: null, failure: null, output, seq: ++state.lastSeq, finished: now });
  rows.tasks.set(key, row);
  addEvent(rows, row.seq, { type: `task.${status}`, task, item: itemOrNull(item), data, at: now });
  if (item === -1) {
    state.open--;
    for (const wait of rows.waits.values()) if (wait.task === task) wait.closed = true;
  }
  return seq;
}
