import { isFinalStatus } from '../../src/domain/plan/outcome.ts';
import type { Statement } from '../../src/db/database.ts';
import { MAIN } from '../../src/domain/plan/phases.ts';
import type { Graph } from '../../src/domain/plan/plan.ts';
import { countsAsFailed, newest, type EventRow, type RunRows, type Tables, type TaskRow } from './database/tables.ts';
import { createGraphs, followTurn, type Turns } from './turns.ts';

/** Something that must never be. */
export class Violation extends Error {
  override name = 'Violation';
}

const must = (holds: boolean, what: () => string): void => {
  if (!holds) throw new Violation(what());
};

type Seen = {
  lastSeq: number;
  epoch: number;
  finished: boolean;
  events: number;
  final: Map<string, string>;
  ended: Set<string>;
  turns: Turns;
};
type Shadow = { epoch: number; claims: Map<string, { token: string; attempt: number }> };

export type Watch = { after: (statement: Statement, answer: object[]) => void };

/** Looks at every statement and what it left behind, without believing what the functions of the database say of themselves. */
export function createWatch(tables: Tables): Watch {
  const seen = new Map<string, Seen>();
  const shadows = new Map<string, Shadow>();
  const graphOf = createGraphs(tables);
  const shadowOf = (run: string): Shadow => {
    const shadow = shadows.get(run) ?? { epoch: 0, claims: new Map<string, { token: string; attempt: number }>() };
    shadows.set(run, shadow);
    return shadow;
  };
  return {
    after: (statement, answer) => {
      if (statement.name === 'admit') checkAdmission(shadowOf, answer as { runId: string; epoch: number }[]);
      else if (statement.name === 'reclaim_runs')
        for (const row of answer as { runId: string; epoch: number }[]) noteEpoch(shadowOf(row.runId), [{ answer: row }]);
      else if (statement.name === 'load_run_v2') noteEpoch(shadowOf(String(statement.values[0])), answer);
      else if (statement.name === 'claims') noteClaims(tables, shadowOf(String(statement.values[0])), { statement, answer });
      else if (statement.name === 'journal_commit_v1') checkCommit(shadowOf, statement, answer as CommitAnswer[]);
      for (const rows of tables.runs.values()) {
        const before = seen.get(rows.state.run) ?? newSeen();
        seen.set(rows.state.run, before);
        if (before.lastSeq !== rows.state.lastSeq || before.epoch !== rows.state.epoch) checkRun(rows, before, graphOf);
      }
    },
  };
}

const newSeen = (): Seen => ({ lastSeq: 0, epoch: 0, finished: false, events: 0, final: new Map(), ended: new Set(), turns: new Map() });

function checkAdmission(shadowOf: (run: string) => Shadow, begun: { runId: string; epoch: number }[]): void {
  for (const { runId, epoch } of begun) {
    const shadow = shadowOf(runId);
    must(epoch > shadow.epoch, () => `epoch ${epoch} of run ${runId} was given twice`);
    shadow.epoch = epoch;
  }
}

function noteEpoch(shadow: Shadow, [row]: object[]): void {
  const { epoch } = (row as { answer: { epoch?: number } }).answer;
  if (epoch === undefined) return;
  must(epoch > shadow.epoch, () => `epoch ${epoch} was given twice`);
  shadow.epoch = epoch;
}

function noteClaims(tables: Tables, shadow: Shadow, { statement, answer }: { statement: Statement; answer: object[] }): void {
  const [run, epochs, tasks, items, generations, tokens] = statement.values as [string, number[], number[], number[], number[], string[]];
  for (const row of answer as { i: string; claim: { attempt?: number } }[]) {
    const i = Number(row.i) - 1;
    const { attempt } = row.claim;
    if (attempt === undefined) continue;
    const key = `${tasks[i] ?? 0}/${items[i] ?? -1}/${generations[i] ?? 0}`;
    const known = shadow.claims.get(key);
    must(attempt > (known?.attempt ?? 0), () => `attempt ${attempt} of task ${key} of ${run} was given twice`);
    must(
      items[i] !== -1 || epochs[i] === shadow.epoch,
      () => `task ${key} of ${run} was claimed under epoch ${epochs[i] ?? 0}, the run has ${shadow.epoch}`,
    );
    must(tables.runs.get(run)?.state.finished === null, () => `task ${key} of ${run} was claimed in a closed run`);
    shadow.claims.set(key, { token: tokens[i] ?? '', attempt });
  }
}

type CommitAnswer = { r: number; outcome: string; refused: number[] | null };

/** Whoever wrote a row held it: the newest epoch of the run, or of an effect the token of the newest claim. */
function checkCommit(shadowOf: (run: string) => Shadow, { values }: Statement, answer: CommitAnswer[]): void {
  const [, runs, epochs, , of, , tasks, items, generations, , tokens] = values as [string, string[], number[], ...unknown[][]];
  for (const { r, outcome, refused } of answer) {
    if (outcome !== 'ok') continue;
    const run = runs[r - 1] ?? '';
    const epoch = epochs[r - 1] ?? 0;
    const shadow = shadowOf(run);
    must(epoch === 0 || epoch === shadow.epoch, () => `a commit of epoch ${epoch} of ${run} passed, the run has ${shadow.epoch}`);
    (of as number[]).forEach((group, i) => {
      if (group !== r || refused?.includes(i + 1)) return;
      const key = `${String(tasks?.[i])}/${String(items?.[i])}/${String(generations?.[i])}`;
      const claim = shadow.claims.get(key);
      if (claim && epoch === 0)
        must(claim.token === tokens?.[i], () => `task ${key} of ${run} was written under a token that had been displaced`);
    });
  }
}

function checkRun(rows: RunRows, before: Seen, graphOf: (plan: string) => Graph): void {
  const { state, events } = rows;
  const reopened = before.finished && events[before.events]?.type === 'command.retry' && events[before.events + 1]?.type === 'run.reopened';
  must(!before.finished || reopened, () => `run ${state.run} was closed and changed`);
  must(state.epoch >= before.epoch, () => `the epoch of run ${state.run} fell`);
  must(events.length === state.lastSeq, () => `run ${state.run} has ${events.length} events and last_seq ${state.lastSeq}`);
  for (let i = before.events; i < events.length; i++) {
    checkEvent(rows, events[i] as EventRow, { before, position: i + 1 });
    const fault = followTurn(before.turns, graphOf(rows.plan), events[i] as EventRow);
    must(fault === undefined, () => `event ${i + 1} of run ${state.run}: ${fault ?? ''}`);
  }
  for (const [key, task] of rows.tasks) checkFinal(before, key, task);
  let open = state.total;
  let failed = 0;
  const reopenedAt = events.findLast(({ type }) => type === 'run.reopened')?.seq ?? 0;
  for (const task of newest(rows, null)) {
    if (task.finished === null) open += Number(task.task >= state.total);
    else open -= Number(task.task < state.total);
    // a compensation that failed before the run was opened again counts no more
    if (countsAsFailed(task.status) && (task.task < state.total || task.seq > reopenedAt)) failed++;
  }
  must(state.open === open, () => `run ${state.run} counts ${state.open} open tasks and has ${open}`);
  must(state.failed === failed, () => `run ${state.run} counts ${state.failed} failed tasks and has ${failed}`);
  if (state.finished !== null) checkClosing(rows);
  Object.assign(before, { lastSeq: state.lastSeq, epoch: state.epoch, finished: state.finished !== null, events: events.length });
}

function checkEvent(rows: RunRows, event: EventRow, { before, position }: { before: Seen; position: number }): void {
  const { run } = rows.state;
  must(event.seq === position, () => `event ${position} of run ${run} has the number ${event.seq}`);
  must((position === 1) === (event.type === 'run.accepted'), () => `event ${position} of run ${run} is ${event.type}`);
  const [subject, what = ''] = event.type.split('.');
  if (event.type === 'run.reopened') before.ended.delete('run /');
  if (event.type === 'task.pending') forgetEnds(before.ended, event.task ?? -1);
  if (what === 'compensated') return; // what was completed stays so, and is undone besides
  const isEnd = subject === 'task' ? isFinalStatus(what as 'completed') : what === 'started';
  if (!isEnd || (subject !== 'task' && subject !== 'run')) return;
  const key = `${subject} ${event.task ?? ''}/${event.item ?? ''}`;
  must(!before.ended.has(key), () => `${key} of run ${run} has two events ${event.type}`);
  before.ended.add(key);
}

function checkFinal(before: Seen, key: string, task: TaskRow): void {
  const now = `${task.status} ${task.seq} ${task.attempt} ${task.token ?? ''} ${task.output ?? ''} ${task.failure ?? ''}`;
  const known = before.final.get(key);
  const undone = task.status === 'compensated' && known?.startsWith('completed ') === true;
  if (undone) before.final.set(key, now);
  else if (known !== undefined)
    must(task.finished !== null && known === now, () => `task ${key} was finished and changed: ${known} → ${now}`);
  else if (task.finished !== null) before.final.set(key, now);
}

/** It runs again: each of its items, and itself, may end once more. */
function forgetEnds(ended: Set<string>, task: number): void {
  for (const key of [...ended]) if (key.startsWith(`task ${task}/`)) ended.delete(key);
}

function checkClosing({ state, events, tasks, commands }: RunRows): void {
  const { run, status } = state;
  must(events.at(-1)?.type === `run.${status}`, () => `run ${run} is ${status} and its last event is ${events.at(-1)?.type ?? 'missing'}`);
  must(state.open === 0, () => `run ${run} was closed with ${state.open} open tasks`);
  must(
    [...tasks.values()].every((task) => task.finished !== null),
    () => `run ${run} was closed with an unfinished task`,
  );
  must(state.commandSeq <= state.appliedSeq, () => `run ${run} was closed over a command that nobody had seen`);
  const reopened = events.findLast(({ type }) => type === 'run.reopened')?.seq ?? 0;
  const asked = commands.some(({ type, phase, seq }) => type === 'cancel' && phase === MAIN && seq > reopened);
  if (asked) must(status === 'cancelled' || state.failure !== null, () => `run ${run} was cancelled and is ${status}`);
}
