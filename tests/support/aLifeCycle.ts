import { cleanupOf, generationOfUndoing, undoesThis } from '../../src/domain/plan/cleanup.ts';
import { next } from '../../src/domain/plan/next.ts';
import { COMPENSATED, COMPLETED, isFinalStatus, statusOf, type ClosedStatus } from '../../src/domain/plan/outcome.ts';
import { COMPENSATE, countedTasks, FINALLY, mainTasks, undoneBy, type Phase } from '../../src/domain/plan/phases.ts';
import { decide, enter, type GraphState, type Intent } from '../../src/domain/plan/state.ts';
import { aRow, drive, look, rowOf, stateOf, stopOf, sweep, type Play } from './aPlay.ts';

/** How a run has ended. `stop`: what ended its tasks before they were done, if anything did. */
export type Ended = { status: ClosedStatus; stop: Intent | null; isCleaned: boolean; isForced: boolean };

/** Lives a run to its end as the engine does: tasks settle, what has to be undone is, `finally` runs. */
export function liveToEnd(play: Play): Ended {
  settleAll(play);
  const stop = play.intent;
  const status = decide(stateOf(play), stop);
  const cleanup = cleanupOf(stateOf(play), status, stop);
  if (cleanup?.phase === COMPENSATE) undo(play, cleanup.begin);
  if (cleanup) {
    goOn(play, FINALLY);
    settleAll(play);
  }
  if (play.open !== 0) play.faults.push(`it is over and ${play.open} tasks are open`);
  for (let task = 0; task < countedTasks(play.graph); task++)
    if (!isFinalStatus(rowOf(play, task).status)) play.faults.push(`it is over and ${task} is ${rowOf(play, task).status}`);
  return { status, stop, isCleaned: cleanup !== null, isForced: play.intent === 'force' };
}

/** Until the rows say so too. One that is forced has no turn for what would clean up. */
function settleAll(play: Play): void {
  do {
    drive(play);
    look(play);
  } while (stateOf(play).open > 0);
  const left = stopOf(play) === 'force' ? next(stateOf(play), 'force', 0).sweep?.tasks : undefined;
  if (left && left.length > 0) sweep(play, { tasks: left, intent: 'force' });
}

function goOn(play: Play, phase: Phase): void {
  const { graph, faults } = play;
  const left = stopOf(play) === 'force' ? 0 : countedTasks(graph) - mainTasks(graph);
  if (play.open !== left) faults.push(`phase ${phase} begins with ${play.open} open tasks, ${left} are to come`);
  play.phase = phase;
  enter(play.state, phase);
  look(play);
}

function undo(play: Play, begin: readonly number[]): void {
  const { rows, graph, faults } = play;
  const before = stateOf(play);
  goOn(play, COMPENSATE);
  play.open += begin.length;
  for (const task of begin) {
    const generation = generationOfUndoing(before, task);
    // a row that is there stays as it is
    if (rows.get(task)?.generation !== generation || !isFinalStatus(rowOf(play, task).status))
      rows.set(task, aRow('pending', ++play.seq, generation));
  }
  const since = play.ended.length;
  look(play);
  settleAll(play);
  const done = play.ended.slice(since).flatMap(({ task, outcome }) => (outcome === COMPLETED ? [undoneBy(graph, task) ?? -1] : []));
  if (done.some((task, i) => i > 0 && seqOf(before, task) > seqOf(before, done[i - 1])))
    faults.push(`${done.join()} were undone in this order`);
  const after = stateOf(play);
  for (const task of after.begun) {
    const undone = undoneBy(graph, task) ?? -1;
    if (!undoesThis(after, task) || after.outcome[task] !== COMPLETED || after.outcome[undone] !== COMPLETED) continue;
    rows.set(undone, { ...rowOf(play, undone), status: statusOf(COMPENSATED), seq: ++play.seq });
  }
}

const seqOf = (state: GraphState, task = -1): number => state.seq[task] ?? 0;
