import { MAIN } from '../../../src/domain/plan/phases.ts';
import type { Plan } from '../../../src/domain/plan/plan.ts';
import { headOf } from './dispatch.ts';
import { command } from './submit.ts';
import { addEvent, aTask, newest, taskKey, toRow, type RunRows, type Tables } from './tables.ts';

const AGAIN_MS = 10_000;
const AT_WORK: ReadonlySet<string> = new Set(['running', 'retrying']);

const cleansUp = (tables: Tables, { plan }: RunRows): boolean => {
  const { graph } = JSON.parse(tables.plans.get(plan) ?? '') as Plan;
  return graph.finally !== undefined || graph.undoes !== undefined;
};

/** Whether a run that was asked to end only waits. */
function onlyWaits(tables: Tables, rows: RunRows): boolean {
  const { state } = rows;
  const now = tables.now();
  if ((state.intent !== 'cancel' && state.intent !== 'force') || state.started === null || state.finished !== null) return false;
  if (state.status !== 'waiting' || state.phase !== MAIN || state.paused || state.held !== null || state.segOpen !== 0) return false;
  if (state.intent === 'cancel' && cleansUp(tables, rows)) return false;
  if (newest(rows, null).some(({ task, status }) => task < state.total && AT_WORK.has(status))) return false;
  return [...rows.waits.values()].every(
    ({ closed, kind, decision, until }) =>
      closed || ((kind === 'timer' || kind === 'deadline') && decision === null && (until === null || until > now)),
  );
}

/** @returns whether it has ended */
function endWaiting(tables: Tables, run: string): boolean {
  const rows = tables.runs.get(run);
  if (!rows || !onlyWaits(tables, rows)) return false;
  const { state } = rows;
  const now = tables.now();
  const known = new Map(newest(rows, null).map((row) => [row.task, row]));
  for (let task = 0; task < state.total; task++) {
    const row = known.get(task) ?? { ...aTask(task, -1, 0), started: now };
    if (row.finished !== null) continue;
    Object.assign(row, { status: 'cancelled', seq: ++state.lastSeq, finished: now, token: null, nextAt: null });
    rows.tasks.set(taskKey(task, -1, row.generation), row);
    addEvent(rows, row.seq, { type: 'task.cancelled', task, at: now });
  }
  addEvent(rows, ++state.lastSeq, { type: 'run.cancelled', at: now });
  for (const wait of rows.waits.values()) wait.closed = true;
  tables.unshown.set(run, { asked: 0, askedAt: null });
  Object.assign(state, { status: 'cancelled', finished: now, open: 0, epoch: state.epoch + 1, owner: null, ownerUntil: null });
  state.appliedSeq = state.lastSeq;
  return true;
}

export function cancel(tables: Tables, values: readonly unknown[]): object[] {
  const [run, workspace, ...rest] = values;
  const seq = command(tables, [run, workspace, 'cancel', ...rest]);
  return [{ seq, ended: seq !== null && seq > 0 && endWaiting(tables, String(run)) }];
}

/** What an execution has missed of a run that was ended without it. */
export function readClosed(tables: Tables, [run, since]: readonly [string, number]): object | null {
  const rows = tables.runs.get(run);
  const end = rows?.state.finished ?? null;
  if (!rows || end === null) return null;
  tables.unshown.delete(run);
  const { lastSeq, intent, phase } = rows.state;
  const news = [...rows.tasks.values()].filter((row) => row.item === -1 && row.seq > since);
  return { cursor: lastSeq, intent, phase, held: null, due: null, rows: news.map((row) => toRow(row).slice(0, 5)) };
}

export function claimUnshown(tables: Tables, [most]: readonly [number]): object[] {
  const now = tables.now();
  const all = [...tables.unshown].sort(([a, x], [b, y]) => x.asked - y.asked || (a < b ? -1 : 1));
  const underWay = all.filter(([, { askedAt }]) => askedAt !== null && askedAt > now - AGAIN_MS).length;
  const due = all.filter(([, { asked, askedAt }]) => askedAt === null || askedAt < now - AGAIN_MS * 2 ** (asked - 1));
  return due.slice(0, Math.max(0, most - underWay)).flatMap(([run, unshown]) => {
    const rows = tables.runs.get(run);
    const end = rows?.state.finished ?? null;
    if (!rows || end === null) {
      tables.unshown.delete(run); // it was opened again
      return [];
    }
    unshown.askedAt = now;
    return [{ ...headOf(rows), asked: unshown.asked++ }];
  });
}

export function forgetUnshown(tables: Tables, [run]: readonly [string]): object[] {
  tables.unshown.delete(run);
  return [];
}
