import { local, remote } from './activities.ts';
import type { Reminder } from './reminder.ts';
import type { Owned, OwnedOrStale } from '../activities/segment.ts';
import type { Steps } from '../domain/plan/next.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import { recordRows, type GraphState, type Intent } from '../domain/plan/state.ts';

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
  intent: Intent | null;
  closed: ClosedStatus | null;
  stale: boolean;
  inFlight: number;
  moved: boolean;
  said: boolean;
  reminder: Reminder;
  signals: Signals;
};

/** Takes in what an activity says. Only the current execution can: a stale answer means continue as new. */
export function absorb(run: Run, answer: OwnedOrStale | Owned): void {
  if ('stale' in answer) return void (run.stale = true);
  recordRows(run.state, answer.rows);
  run.intent ??= answer.intent;
  run.closed ??= answer.closed;
  run.reminder.remind(answer.due);
}

/** Reads what no activity reports: waits that are due or decided, and commands. */
export async function look(run: Run): Promise<void> {
  run.signals.poked = false;
  const changes = await local.readChanges.executeWithOptions({ summary: 'read changes' }, [
    { runId: run.id, epoch: run.epoch, since: run.cursor },
  ]);
  if ('stale' in changes) return void (run.stale = true);
  run.cursor = changes.cursor;
  run.intent = changes.intent;
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
