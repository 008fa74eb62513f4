import { ApplicationFailure, CancellationScope, CancelledFailure, condition, continueAsNew, defineSignal, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import type { Ending, LoadedRun } from '../activities/index.ts';
import type { OwnedOrStale } from '../activities/segment.ts';
import { next, type Steps } from '../domain/plan/next.ts';
import { createState, recordRows, type GraphState, type Intent } from '../domain/plan/state.ts';
import { local, remote } from './activities.ts';
import { describeState } from './details.ts';
import { createReminder, type Reminder } from './reminder.ts';

/** "Look into PostgreSQL." Carries nothing, so nobody can edit a run past our authorisation. */
export const poke = defineSignal('poke');

type Signals = { poked: boolean; cancelled: boolean; changed: boolean; noted: boolean };
type Open = Exclude<LoadedRun, { ended: Ending }>;
type Run = { id: string; epoch: number; state: GraphState; cursor: number; intent: Intent | null; closed: boolean; stale: boolean; inFlight: number; moved: boolean; said: boolean; reminder: Reminder; signals: Signals };

const MAX_IN_FLIGHT = 500;
const SETTLED_HISTORY = 1_000;
const HARD_HISTORY = 15_000;
const LOCAL_SLICE_MS = 1_000;
const REMOTE_SLICE_MS = 5_000;

/** Carries one run. Order only: what it decides with is in `domain/plan`, what it reads and writes is behind activities. */
export async function taskGraph({ runId }: { runId: string }): Promise<{ status: string }> {
  const signals: Signals = { poked: false, cancelled: false, changed: false, noted: false };
  setHandler(poke, () => void (signals.poked = true), { description: 'Look into the database for what is new' });
  CancellationScope.current().cancelRequested.catch(() => void (signals.cancelled = true));
  return CancellationScope.nonCancellable(() => drive(runId, signals)); // else a cancel would end as Failed and could not clean up
}

async function drive(id: string, signals: Signals): Promise<{ status: string }> {
  const loaded = await local.loadRun.executeWithOptions({ summary: 'load run' }, [id]);
  if ('ended' in loaded) return end(id, signals, loaded.ended);
  const run: Run = { id, epoch: loaded.epoch, state: createState(loaded.graph), cursor: loaded.cursor, intent: null, closed: false, stale: false, inFlight: 0, moved: false, said: false, reminder: createReminder(() => void (signals.poked = true)), signals };
  absorb(run, loaded);
  for (;;) {
    while (run.state.open > 0 && !run.closed) await step(run);
    if (run.closed && !signals.poked) return end(id, signals, await local.ending(id));
    if (run.closed) return continueAsNew({ runId: id }); // somebody wanted something while we closed: look again
    signals.poked = false;
    const finished = await local.finishRun.executeWithOptions({ summary: 'finish run' }, [{ runId: id, epoch: run.epoch, intent: run.intent }]);
    if ('ended' in finished && !signals.poked) return end(id, signals, finished.ended);
    if (!('reopened' in finished)) return continueAsNew({ runId: id });
    await look(run);
  }
}

async function step(run: Run): Promise<void> {
  const { state, signals } = run;
  if (signals.cancelled && run.intent === null && !signals.noted) {
    signals.noted = true;
    await local.noteCancel(run.id);
    signals.poked = true;
  }
  while (signals.poked && !run.stale) await look(run);
  await continueIfDue(run);
  signals.changed = false;
  if (!run.stale && workflowInfo().historyLength < HARD_HISTORY) {
    const steps = next(state, run.intent, MAX_IN_FLIGHT - run.inFlight);
    if (steps.sweep) return sweep(run, steps.sweep);
    start(run, steps);
  }
  setCurrentDetails(describeState(state));
  if (run.closed || signals.changed || state.open === 0) return;
  if (run.inFlight === 0 && state.waiting > 0 && !run.said && run.intent === null && !signals.poked) {
    run.said = true;
    await local.markWaiting(run.id, run.epoch);
  }
  await condition(() => signals.changed || signals.poked || (signals.cancelled && !signals.noted));
}

/** Takes in what an activity says. Only the current execution can: a stale answer means continue as new. */
function absorb(run: Run, answer: OwnedOrStale | Open): void {
  if ('stale' in answer) return void (run.stale = true);
  recordRows(run.state, answer.rows);
  run.intent ??= answer.intent;
  if (answer.closed) run.closed = true;
  run.reminder.remind(answer.due);
}

async function look(run: Run): Promise<void> {
  run.signals.poked = false;
  const changes = await local.readChanges.executeWithOptions({ summary: 'read changes' }, [{ runId: run.id, epoch: run.epoch, since: run.cursor }]);
  if ('stale' in changes) return void (run.stale = true);
  run.cursor = changes.cursor;
  run.intent = changes.intent;
  run.said &&= changes.rows.length === 0;
  recordRows(run.state, changes.rows);
  run.reminder.remind(changes.due);
}

async function sweep(run: Run, what: NonNullable<Steps['sweep']>): Promise<void> {
  run.moved = true;
  run.intent ??= what.intent;
  absorb(run, await local.sweep.executeWithOptions({ summary: `cancel ${what.tasks.length} tasks` }, [{ runId: run.id, epoch: run.epoch, ...what }]));
}

/** Timers, waits and children are settled: they live in the database and in the reminder. Activities in flight are not. */
async function continueIfDue(run: Run): Promise<void> {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  const long = run.moved && (historyLength >= SETTLED_HISTORY || continueAsNewSuggested);
  if ((run.stale || long) && run.inFlight === 0) await continueAsNew({ runId: run.id });
}

function start(run: Run, steps: Steps): void {
  const { state } = run;
  const name = (task: number) => state.graph.names[task] ?? String(task);
  for (const task of steps.effects) {
    const generation = state.generation[task] ?? 0;
    const summary = `${state.graph.kinds[task] ?? ''} ${name(task)}`;
    fly(run, [task], remote.runTask.executeWithOptions({ summary }, [{ runId: run.id, epoch: run.epoch, task, generation }]));
  }
  if (steps.roots.length === 0) return;
  const summary = `segment: ${steps.roots.slice(0, 5).map(name).join(', ')}${steps.roots.length > 5 ? ` and ${steps.roots.length - 5} more` : ''}`;
  const request = { runId: run.id, epoch: run.epoch, roots: steps.roots };
  // Core holds back all commands and signals while a local activity runs: only when there is nothing to hold back.
  const alone = run.inFlight === 0 && !run.reminder.within(LOCAL_SLICE_MS);
  if (alone) fly(run, steps.roots, local.runSegment.executeWithOptions({ summary }, [{ ...request, sliceMs: LOCAL_SLICE_MS }]));
  else fly(run, steps.roots, remote.runSegment.executeWithOptions({ summary }, [{ ...request, sliceMs: REMOTE_SLICE_MS }]));
}

function fly(run: Run, tasks: number[], flight: Promise<OwnedOrStale>): void {
  run.inFlight++;
  run.moved = true;
  run.said = false;
  flight
    .then((answer) => { absorb(run, answer); }, () => { run.stale = true; })
    .finally(() => {
      run.inFlight--;
      for (const task of tasks) run.state.busy.delete(task);
      run.signals.changed = true;
    });
}

async function end(id: string, signals: Signals, ending: Ending): Promise<{ status: string }> {
  const { status } = ending;
  if (status === 'completed') return { status };
  if (status === 'cancelled') { // only an execution with a cancel request of its own can end Cancelled
    if (!signals.cancelled) await local.requestCancel(id);
    await condition(() => signals.cancelled, '10s');
    throw new CancelledFailure(ending.reason ?? 'cancelled');
  }
  const failure = ApplicationFailure.nonRetryable(ending.failedTask === null ? status : `task ${ending.failedTask}: ${ending.code ?? status}`, ending.code ?? status);
  failure.stack = ''; // else it shows file paths
  throw failure;
}
