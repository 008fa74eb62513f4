import { readChangesSince, readStanding, readTaskRows, type TaskRow } from '../db/execution.ts';
import { Stale } from '../db/journal/record.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import type { Graph } from '../domain/plan/plan.ts';
import { createState, recordRows, type OutcomeRow } from '../domain/plan/state.ts';
import { closingRecord } from './closing.ts';
import type { ActivityDeps } from './deps.ts';
import { createOutputs } from './outputs.ts';
import type { RunContext } from './plans.ts';

/** What a run that is over says of itself: no data, no stack. */
export type Ending = { status: ClosedStatus | 'unknown'; failedTask: string | null; code: string | null };
export type Ended = { ended: Ending } | { reopened: true } | { stale: true };

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
export async function endRun(deps: ActivityDeps, context: RunContext, epoch: number): Promise<Ended> {
  const { run } = context.facts;
  const standing = await readStanding(deps.db, run);
  if (standing?.status !== 'open') return { ended: await readEnding(deps, run) };
  const changes = await readChangesSince(deps.db, { run, epoch, since: standing.lastSeq });
  if ('stale' in changes) return { stale: true };
  const state = createState(context.compiled.plan.graph);
  recordRows(state, namedRows(state.graph, await readTaskRows(deps.db, run)));
  if (state.open > 0) return { reopened: true };
  const record = await closingRecord(deps, { context, state, outputs: createOutputs(deps, context) }, changes.intent);
  try {
    const { closed } = await deps.journal.push({ ...record, segment: {}, run, epoch });
    return closed ? { ended: await readEnding(deps, run) } : { reopened: true };
  } catch (error) {
    if (!(error instanceof Stale)) throw error;
    const now = await readStanding(deps.db, run);
    return now?.status === 'open' ? { stale: true } : { ended: await readEnding(deps, run) };
  }
}
