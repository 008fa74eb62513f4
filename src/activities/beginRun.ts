import { loadRunRow, readStanding } from '../db/execution.ts';
import { MAIN, type Phase } from '../domain/plan/phases.ts';
import { mayOwn } from '../domain/plan/places.ts';
import type { Graph } from '../domain/plan/plan.ts';
import { createState, recordRows, type OutcomeRow } from '../domain/plan/state.ts';
import { turnOf } from '../domain/plan/turn.ts';
import type { ActivityDeps } from './deps.ts';
import { namedRows, readEnding, type Ending } from './endRun.ts';
import type { RunContext } from './plans.ts';
import type { Owned, OwnedOrStale, OwnRequest } from './segment.ts';

type Loaded = Owned & { epoch: number; cursor: number; graph: Graph; phase?: Phase; held?: number[] };
/** What an execution starts from. Of a run that is over already: how it ended, and its first outcomes for those who look into the history. */
export type BegunRun = Loaded | { ended: Ending; rows?: OutcomeRow[] };

type BeginDeps = Pick<ActivityDeps, 'db' | 'started' | 'worker'> & {
  contextOf: (run: string) => Promise<RunContext>;
  own: (context: RunContext, request: OwnRequest) => Promise<OwnedOrStale>;
  /** What the worker that claimed the run has made of it in this process; undefined: it is to be loaded. */
  take: (run: string) => Promise<BegunRun | undefined>;
};

const SHOWN_ROWS = 100;

/** Begins an execution: takes over what this process has carried, or loads the run under a new epoch. */
export async function beginRun(deps: BeginDeps, runId: string, sliceMs: number): Promise<BegunRun> {
  try {
    const taken = await deps.take(runId);
    return taken !== undefined && (await isCurrent(deps, runId, taken)) ? taken : await loadRun(deps, runId, sliceMs);
  } finally {
    deps.started(runId);
  }
}

/** Others may have carried the run on since this process claimed it: what it made of it then is no beginning any more. */
async function isCurrent(deps: Pick<ActivityDeps, 'db'>, runId: string, taken: BegunRun): Promise<boolean> {
  if ('ended' in taken) return true;
  const standing = await readStanding(deps.db, runId);
  return standing?.status === 'open' && standing.epoch === taken.epoch;
}

async function loadRun(deps: BeginDeps, runId: string, sliceMs: number): Promise<BegunRun> {
  const loaded = await loadRunRow(deps.db, runId, deps.worker);
  if ('closed' in loaded) return { ended: await readEnding(deps, runId) };
  const context = await deps.contextOf(runId);
  const { graph } = context.compiled.plan;
  const { epoch, cursor, intent, due, phase, held } = loaded;
  const standing = { ...(phase !== MAIN && { phase }), ...(held && { held }) };
  const base = { epoch, cursor, graph, rows: namedRows(graph, loaded.rows), intent, due, closed: null, ...standing };
  const roots = phase === MAIN && held === null ? firstRoots(base) : [];
  if (roots.length === 0) return base;
  const first = await deps.own(context, { run: runId, epoch, roots, sliceMs, known: base.rows });
  return 'stale' in first ? base : begunWith(deps, runId, { ...base, ...first, rows: [...base.rows, ...first.rows] });
}

/** When nothing but inline tasks and waits is ready: to run them in the same breath saves a workflow task. */
export function firstRoots(loaded: Pick<Loaded, 'graph' | 'rows' | 'intent'> & { due: number | null }): number[] {
  const state = createState(loaded.graph);
  recordRows(state, loaded.rows);
  const roots = state.graph.inTurn ? turnOf(state) : [...state.ready];
  return roots.every(mayOwn(state)) && loaded.intent === null && loaded.due === null ? roots : [];
}

/** A graph is of no use to the execution of a run that is over. */
export async function begunWith(deps: Pick<ActivityDeps, 'db'>, runId: string, loaded: Loaded): Promise<BegunRun> {
  if (loaded.closed === null) return loaded;
  const ended = loaded.closed === 'completed' ? { status: loaded.closed, failedTask: null, code: null } : await readEnding(deps, runId);
  return { ended, rows: loaded.rows.slice(0, SHOWN_ROWS) };
}
