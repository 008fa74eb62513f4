import { patched } from '@temporalio/workflow';
import { local, remote } from './activities.ts';
import type { Reminder } from './reminder.ts';
import type { BatchEnd } from '../activities/effectBatch.ts';
import type { Owned, OwnedOrStale } from '../activities/segment.ts';
import type { Steps } from '../domain/plan/next.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import { MAIN, type Phase } from '../domain/plan/phases.ts';
import { enter, recordRows, type GraphState, type OutcomeRow, type Stop } from '../domain/plan/state.ts';

/** So many effects that are ready at once share activities, in about so many batches. */
const MANY = 8;
const BATCHES = 8;
const MAX_BATCH = 25;
/** Names in a summary. */
const SHOWN = 5;
const LOCAL_SLICE_MS = 1_000;
const REMOTE_SLICE_MS = 5_000;

/** What has come from outside since the main loop last looked. */
export type Signals = { poked: boolean; cancelled: boolean; changed: boolean; noted: boolean };

/** An execution of a run, as its workflow sees it. */
export type Run = {
  id: string;
  epoch: number;
  state: GraphState;
  cursor: number;
  /** Why nothing new begins. */
  intent: Stop | null;
  closed: ClosedStatus | null;
  stale: boolean;
  inFlight: number;
  /** Effects at work in batches: their ends are read as they come. */
  batched: Set<number>;
  /** Effects that a batch left for later: each gets an activity of its own, which Temporal repeats in time. */
  single: Set<number>;
  moved: boolean;
  said: boolean;
  reminder: Reminder;
  signals: Signals;
};

/** Takes in what an activity says. Only the current execution can: a stale answer means continue as new. */
export function absorb(run: Run, answer: OwnedOrStale | Owned): void {
  if ('stale' in answer) return void (run.stale = true);
  recordRows(run.state, answer.rows);
  heed(run, answer.intent);
  run.closed ??= answer.closed;
  run.reminder.remind(answer.due);
}

/** An activity may bring old news: of a pause that is over by now, or of what ended the tasks while the run cleans up. */
function heed(run: Run, stop: Stop | null): void {
  if (stop === 'pause') run.signals.poked = true;
  else if (run.state.phase === MAIN || stop === 'force') run.intent ??= stop;
}

/** The tasks have settled, and the run goes on with what cleans up after them. */
export function advance(run: Run, { phase, rows }: { phase: Phase; rows: readonly OutcomeRow[] }): void {
  enter(run.state, phase);
  recordRows(run.state, rows);
  run.intent = null;
  run.said = false;
  run.signals.poked = true;
}

/** Reads what no activity reports: waits that are due or decided, and commands. */
export async function look(run: Run): Promise<void> {
  run.signals.poked = false;
  const changes = await local.readChanges.executeWithOptions({ summary: 'read changes' }, [
    { runId: run.id, epoch: run.epoch, since: run.cursor, ...(run.batched.size > 0 && { tasks: [...run.batched] }) },
  ]);
  // A later phase than this execution was told of: it missed more than changes can tell.
  if ('stale' in changes || changes.phase > run.state.phase) return void (run.stale = true);
  run.cursor = changes.cursor;
  run.intent = changes.intent;
  run.state.held = new Set(changes.held);
  run.said &&= changes.rows.length === 0;
  recordRows(run.state, changes.rows);
  run.reminder.remind(changes.due);
}

export async function sweep(run: Run, what: NonNullable<Steps['sweep']>): Promise<void> {
  run.moved = true;
  run.intent ??= what.intent;
  absorb(
    run,
    await local.sweep.executeWithOptions({ summary: `cancel ${what.tasks.length} tasks` }, [{ runId: run.id, epoch: run.epoch, ...what }]),
  );
}

/** Starts an activity for each effect, and one segment for the rest. */
export function start(run: Run, steps: Steps): void {
  startEffects(run, steps.effects);
  if (steps.roots.length === 0) return;
  const summary = `segment: ${some(run, steps.roots)}`;
  const request = { runId: run.id, epoch: run.epoch, roots: steps.roots };
  // Core holds back all commands and signals while a local activity runs: only when there is nothing to hold back.
  const alone = run.inFlight === 0 && !run.reminder.within(LOCAL_SLICE_MS);
  if (alone) fly(run, steps.roots, local.runSegment.executeWithOptions({ summary }, [{ ...request, sliceMs: LOCAL_SLICE_MS }]));
  else fly(run, steps.roots, remote.runSegment.executeWithOptions({ summary }, [{ ...request, sliceMs: REMOTE_SLICE_MS }]));
}

function some({ state }: Run, tasks: readonly number[]): string {
  const names = tasks.slice(0, SHOWN).map((task) => state.graph.names[task] ?? String(task));
  return `${names.join(', ')}${tasks.length > SHOWN ? ` and ${tasks.length - SHOWN} more` : ''}`;
}

/** One activity each; many at once share some. */
function startEffects(run: Run, effects: readonly number[]): void {
  const { state, id: runId, epoch } = run;
  const alone = (task: number) => run.single.has(task) || state.graph.limited?.[task] === 1; // who waits in a line waits by itself
  const many = effects.filter((task) => !alone(task));
  const shared = many.length >= MANY && patched('effects share an activity');
  const one = (task: number) => ({ task, generation: state.generation[task] ?? 0 });
  for (const task of shared ? effects.filter(alone) : effects) {
    const summary = `${state.graph.kinds[task] ?? ''} ${some(run, [task])}`;
    fly(run, [task], remote.runTask.executeWithOptions({ summary }, [{ runId, epoch, ...one(task) }]));
  }
  if (!shared) return;
  const size = Math.min(MAX_BATCH, Math.ceil(many.length / BATCHES));
  for (let from = 0; from < many.length; from += size) {
    const tasks = many.slice(from, from + size);
    for (const task of tasks) run.batched.add(task);
    const batch = remote.runTasks.executeWithOptions({ summary: some(run, tasks) }, [{ runId, epoch, tasks: tasks.map(one) }]);
    fly(
      run,
      tasks,
      batch.then((end) => landed(run, tasks, end)),
    );
  }
}

function landed(run: Run, tasks: readonly number[], end: BatchEnd): OwnedOrStale {
  for (const task of tasks) run.batched.delete(task);
  if ('stale' in end) return end;
  for (const task of end.later) {
    run.single.add(task);
    run.state.resumed.add(task);
  }
  return { rows: end.rows, intent: end.intent, due: null, closed: null };
}

function fly(run: Run, tasks: readonly number[], flight: Promise<OwnedOrStale>): void {
  run.inFlight++;
  run.moved = true;
  run.said = false;
  flight
    .then(
      (answer) => {
        absorb(run, answer);
      },
      () => {
        run.stale = true;
      },
    )
    .finally(() => {
      run.inFlight--;
      for (const task of tasks) run.state.busy.delete(task);
      run.signals.changed = true;
    });
}
