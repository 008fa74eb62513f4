import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  defineSignal,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Ending } from '../activities/endRun.ts';
import { next } from '../domain/plan/next.ts';
import { createState } from '../domain/plan/state.ts';
import { local } from './activities.ts';
import { describeState, describeWaits } from './details.ts';
import { absorb, advance, look, start, sweep, type Run, type Signals } from './flight.ts';
import { createReminder } from './reminder.ts';

/** "Look into PostgreSQL." Carries nothing, so nobody can edit a run past our authorisation. */
export const poke = defineSignal('poke');

/** First starts have a short workflow task timeout; an execution that replays history needs more. */
const again = (runId: string): Promise<never> => makeContinueAsNewFunc({ workflowTaskTimeout: '10s' })({ runId });

// Functions, because signals change between two reads without an assignment in sight.
const isPoked = (signals: Signals): boolean => signals.poked;
const hasChanged = (signals: Signals): boolean => signals.changed;
/** A cancel that came from Temporal, of a run that was asked nothing yet. */
const isUnnoted = ({ signals, intent }: Run): boolean => signals.cancelled && !signals.noted && (intent === null || intent === 'pause');

const MAX_IN_FLIGHT = 500;
const SETTLED_HISTORY = 1_000;
const HARD_HISTORY = 15_000;

/**
 * Carries one run. Order only: what it decides with is in `domain/plan`, what it reads and writes is behind activities.
 * @param run.completed who claimed the run has brought it to its end
 */
export async function taskGraph({ runId, completed }: { runId: string; completed?: boolean }): Promise<{ status: string }> {
  const signals: Signals = { poked: false, cancelled: false, changed: false, noted: false };
  setHandler(poke, () => void (signals.poked = true), { description: 'Look into the database for what is new' });
  if (completed && !isPoked(signals)) return { status: 'completed' };
  CancellationScope.current().cancelRequested.catch(() => void (signals.cancelled = true));
  return CancellationScope.nonCancellable(() => drive(runId, signals)); // else a cancel would end as Failed and could not clean up
}

async function drive(id: string, signals: Signals): Promise<{ status: string }> {
  const loaded = await local.loadRun.executeWithOptions({ summary: 'load run' }, [id]);
  if ('ended' in loaded) return signals.poked ? again(id) : end(id, signals, loaded.ended);
  const state = createState(loaded.graph, loaded.phase);
  state.held = new Set(loaded.held);
  const run: Run = {
    id,
    epoch: loaded.epoch,
    state,
    cursor: loaded.cursor,
    intent: null,
    closed: null,
    stale: false,
    inFlight: 0,
    ...{ batched: new Set(), single: new Set() },
    moved: false,
    said: false,
    reminder: createReminder(
      () => void (signals.poked = true),
      () => describeWaits(state),
    ),
    signals,
  };
  absorb(run, loaded);
  for (;;) {
    while (run.state.open > 0 && !run.closed) await step(run);
    if (run.closed) {
      const ending = run.closed === 'completed' ? { status: run.closed, failedTask: null, code: null } : await local.ending(id);
      return signals.poked ? again(id) : end(id, signals, ending); // poked: somebody wanted something while we closed, look again
    }
    signals.poked = false;
    const finished = await local.finishRun.executeWithOptions({ summary: 'finish run' }, [
      { runId: id, epoch: run.epoch, phase: state.phase },
    ]);
    if ('ended' in finished && !isPoked(signals)) return end(id, signals, finished.ended);
    if ('phase' in finished) advance(run, finished);
    else if ('reopened' in finished) await look(run);
    else return again(id);
  }
}

async function step(run: Run): Promise<void> {
  const { state, signals } = run;
  if (isUnnoted(run)) {
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
  if (run.closed || hasChanged(signals) || state.open === 0) return;
  if (run.inFlight === 0 && state.waiting.size > 0 && !run.said && run.intent === null && !signals.poked) {
    run.said = true;
    await local.markWaiting.executeWithOptions({ summary: describeWaits(state) }, [run.id, run.epoch]);
  }
  // What the next step would not take up must not end the wait: the workflow would turn for ever without letting go of its thread.
  await condition(() => signals.changed || (signals.poked && !run.stale) || isUnnoted(run));
}

/** Timers, waits and children are settled: they live in the database and in the reminder. Activities in flight are not. */
async function continueIfDue(run: Run): Promise<void> {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  const long = run.moved && (historyLength >= SETTLED_HISTORY || continueAsNewSuggested);
  if ((run.stale || long) && run.inFlight === 0) await again(run.id);
}

async function end(id: string, signals: Signals, ending: Ending): Promise<{ status: string }> {
  const { status } = ending;
  if (status === 'completed') return { status };
  if (status === 'cancelled') {
    // only an execution with a cancel request of its own can end Cancelled
    if (!signals.cancelled) await local.requestCancel(id);
    await condition(() => signals.cancelled, '10s');
    throw new CancelledFailure('cancelled');
  }
  const failure = ApplicationFailure.nonRetryable(
    ending.failedTask === null ? status : `task ${ending.failedTask}: ${ending.code ?? status}`,
    ending.code ?? status,
  );
  failure.stack = ''; // else it shows file paths
  throw failure;
}
