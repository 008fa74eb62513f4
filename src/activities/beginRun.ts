import { loadRunRow } from '../db/execution.ts';
import type { Graph } from '../domain/plan/plan.ts';
import { createState, recordRows } from '../domain/plan/state.ts';
import type { ActivityDeps } from './deps.ts';
import { namedRows, readEnding, type Ending } from './endRun.ts';
import type { RunContext } from './plans.ts';
import { mayOwn, type Owned, type OwnedOrStale, type OwnRequest } from './segment.ts';

export type BegunRun = (Owned & { epoch: number; cursor: number; graph: Graph }) | { ended: Ending };

type BeginDeps = Pick<ActivityDeps, 'db' | 'started'> & {
  contextOf: (run: string) => Promise<RunContext>;
  own: (context: RunContext, request: OwnRequest) => Promise<OwnedOrStale>;
};

/** Begins an execution under a new epoch, and runs the first segment in the same breath where it can. */
export async function beginRun(deps: BeginDeps, runId: string, sliceMs: number): Promise<BegunRun> {
  try {
    const loaded = await loadRunRow(deps.db, runId);
    if ('closed' in loaded) return { ended: await readEnding(deps, runId) };
    const context = await deps.contextOf(runId);
    const { graph } = context.compiled.plan;
    const { epoch, cursor, intent, due } = loaded;
    const base = { epoch, cursor, graph, rows: namedRows(graph, loaded.rows), intent, due, closed: null };
    const first = await firstSegment(deps, context, { ...base, sliceMs });
    return first && !('stale' in first) ? { ...base, ...first, rows: [...base.rows, ...first.rows] } : base;
  } finally {
    deps.started(runId);
  }
}

/** When nothing but inline tasks and waits is ready: saves a workflow task. */
async function firstSegment(
  deps: BeginDeps,
  context: RunContext,
  loaded: Owned & { epoch: number; sliceMs: number },
): Promise<OwnedOrStale | undefined> {
  const state = createState(context.compiled.plan.graph);
  recordRows(state, loaded.rows);
  const roots = [...state.ready];
  if (roots.length === 0 || !roots.every(mayOwn(state)) || loaded.intent !== null || loaded.due !== null) return undefined;
  return deps.own(context, { run: context.facts.run, epoch: loaded.epoch, roots, sliceMs: loaded.sliceMs });
}
