import {
  advanceRun,
  readChangesSince,
  readStanding,
  readTaskRows,
  sweepTasks,
  type Advance,
  type RunStanding,
  type TaskRow,
} from '../db/execution.ts';
import { Stale } from '../db/journal/record.ts';
import { next } from '../domain/plan/next.ts';
import { cleanupOf, generationOfUndoing, undoesThis } from '../domain/plan/cleanup.ts';
import { COMPLETED, type ClosedStatus } from '../domain/plan/outcome.ts';
import { COMPENSATE, FINALLY, MAIN, mainTasks, undoneBy, type Phase } from '../domain/plan/phases.ts';
import type { Graph } from '../domain/plan/plan.ts';
import { createState, recordRows, type GraphState, type OutcomeRow, type Stop } from '../domain/plan/state.ts';
import { closingRecord, type Closing } from './closing.ts';
import type { ActivityDeps } from './deps.ts';
import { createOutputs } from './outputs.ts';
import type { RunContext } from './plans.ts';

/** What a run that is over says of itself: no data, no stack. */
export type Ending = { status: ClosedStatus | 'unknown'; failedTask: string | null; code: string | null };
export type Ended = { ended: Ending } | { reopened: true } | { stale: true } | { phase: Phase; rows: OutcomeRow[] };

export const namedRows = (graph: Graph, rows: readonly TaskRow[]): OutcomeRow[] =>
  rows.map(([task, status, seq, generation, branch]): OutcomeRow => {
    const name = graph.names[task] ?? '';
    return generation || branch ? [name, status, seq, generation, branch] : [name, status, seq];
  });

export async function readEnding(deps: Pick<ActivityDeps, 'db'>, runId: string): Promise<Ending> {
  const standing = await readStanding(deps.db, runId);
  const data = standing?.failure?.data as { task?: string } | undefined;
  return {
    status: !standing || standing.status === 'open' ? 'unknown' : standing.status,
    failedTask: data?.task ?? null,
    code: standing?.failure?.code ?? null,
  };
}

/** Proposes the end of a run whose tasks have all settled. `reopened`: a command or a task came in between. */
export async function endRun(
  deps: ActivityDeps,
  context: RunContext,
  { epoch, phase = MAIN }: { epoch: number; phase?: Phase },
): Promise<Ended> {
  const { run } = context.facts;
  const standing = await readStanding(deps.db, run);
  if (standing?.status !== 'open') return { ended: await readEnding(deps, run) };
  const changes = await readChangesSince(deps.db, { run, epoch, since: standing.lastSeq });
  if ('stale' in changes) return { stale: true };
  const state = createState(context.compiled.plan.graph, standing.phase);
  const rows = namedRows(state.graph, await readTaskRows(deps.db, run));
  recordRows(state, rows);
  if (phase < standing.phase) return { phase: standing.phase, rows }; // it went on before, and the workflow was not told
  if (state.open > 0) return { reopened: true };
  const left = changes.intent === 'force' ? (next(state, 'force', 0).sweep?.tasks ?? []) : []; // of finally: they have no turn any more
  if (left.length > 0 && 'stale' in (await sweepTasks(deps.db, { run, epoch, tasks: left, intent: 'force' }))) return { stale: true };
  const record = await recordOf(deps, { context, state, standing, stop: changes.intent });
  const advance = advanceOf(context, { state, record, stop: changes.intent });
  if (advance) {
    const advanced = await advanceRun(deps.db, { run, epoch, ...advance });
    if ('phase' in advanced) deps.journal.notify(run);
    return 'phase' in advanced ? { ...advanced, rows: namedRows(state.graph, advanced.rows) } : advanced;
  }
  try {
    const { closed } = await deps.journal.push({ ...record, segment: {}, run, epoch });
    return closed ? { ended: await readEnding(deps, run) } : { reopened: true };
  } catch (error) {
    if (!(error instanceof Stale)) throw error;
    const now = await readStanding(deps.db, run);
    return now?.status === 'open' ? { stale: true } : { ended: await readEnding(deps, run) };
  }
}

type Settled = { context: RunContext; state: GraphState; standing: RunStanding; stop: Stop | null };

/** How the run ends: decided when its tasks had settled, and kept whatever becomes of what cleans up. */
async function recordOf(deps: ActivityDeps, { context, state, standing, stop }: Settled): Promise<Closing> {
  const { decided, failure } = standing;
  const kept = decided !== null && decided !== 'completed';
  if (kept) return { type: 'close', status: decided, ...(failure && { failure: JSON.stringify(failure) }) };
  return closingRecord(deps, { context, state, outputs: createOutputs(deps, context) }, decided === null ? stop : null);
}

/** What comes before the end, as the database is told of it; undefined: nothing. */
function advanceOf(
  context: RunContext,
  { state, record, stop }: { state: GraphState; record: Closing; stop: Stop | null },
): Omit<Advance, 'run' | 'epoch'> | undefined {
  const { graph, finallyTimeoutMs } = context.compiled.plan;
  if (state.phase === FINALLY) return undefined;
  const names = (tasks: readonly number[]) => tasks.map((task) => graph.names[task] ?? '');
  const keys = (tasks: readonly number[]) => tasks.map((task) => ({ task, generation: state.generation[task] ?? 0 }));
  const base = { main: mainTasks(graph), status: record.status, failure: record.failure ?? null, timeoutMs: finallyTimeoutMs ?? null };
  if (state.phase === MAIN) {
    const cleanup = cleanupOf(state, record.status, stop === 'pause' ? null : stop);
    if (!cleanup) return undefined;
    const undone = cleanup.begin.map((task) => undoneBy(graph, task) ?? 0);
    const begin = cleanup.begin.map((task) => ({ task, generation: generationOfUndoing(state, task) }));
    const data =
      cleanup.phase === COMPENSATE
        ? JSON.stringify({ status: record.status, tasks: names(undone) })
        : JSON.stringify({ status: record.status });
    return { ...base, phase: cleanup.phase, begin, undone: [], data };
  }
  const inOrder = [...state.begun].sort((a, b) => (state.seq[a] ?? 0) - (state.seq[b] ?? 0));
  const compensations = inOrder.map((task) => ({ task, undone: undoneBy(graph, task) ?? 0 }));
  const current = compensations.filter(({ task }) => undoesThis(state, task));
  const done = current.filter(({ task }) => state.outcome[task] === COMPLETED).map(({ undone }) => undone);
  const left = current.filter(({ task }) => state.outcome[task] !== COMPLETED).map(({ undone }) => undone);
  const data = JSON.stringify({ status: record.status, compensated: names(done), failed: names(left) });
  return { ...base, phase: FINALLY, begin: [], undone: keys(done.filter((task) => state.outcome[task] === COMPLETED)), data };
}
