import { LRUCache } from 'lru-cache';
import type { BegunRow } from '../db/dispatch.ts';
import { readTaskRows } from '../db/execution.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import { cleansUp, MAIN } from '../domain/plan/phases.ts';
import { INLINE } from '../domain/plan/plan.ts';
import { begunWith, firstRoots, type BegunRun } from './beginRun.ts';
import type { ActivityDeps } from './deps.ts';
import { namedRows } from './endRun.ts';
import type { Plans, RunContext } from './plans.ts';
import type { OwnedOrStale, OwnRequest } from './segment.ts';

/** Runs whose first segment this process runs straight from the claim. */
export type Carry = {
  /**
   * Runs the first segment of a run that this process has just begun.
   * @returns how the run ended; null: it goes on, and needs an execution in Temporal @throws what ended the segment before its time
   */
  carry: (run: BegunRow) => Promise<ClosedStatus | null>;
  /** Whether a run may well end in its first segment: it has tasks of no other kind than inline ones. */
  isInline: (run: BegunRow) => Promise<boolean>;
  carryAgain: CarryAgain;
  /** Gives the result to the execution that goes on with it, once; waits for it. undefined: nothing is known here. */
  take: (runId: string) => Promise<BegunRun | undefined>;
};

/** Goes on with a run that this process has taken over. @returns how it ended; null: it goes on @throws what ended the segment before its time */
export type CarryAgain = (run: BegunRow) => Promise<ClosedStatus | null>;

type CarryDeps = Pick<ActivityDeps, 'db'> &
  Plans & { own: (context: RunContext, request: OwnRequest) => Promise<OwnedOrStale>; sliceMs: number };

/** An execution that has not asked by then was started elsewhere, and has raised the epoch. */
const KEPT_MS = 60_000;
const KEPT = 2_000;

export function createCarry(deps: CarryDeps): Carry {
  const results = new LRUCache<string, Promise<BegunRun | undefined>>({ max: KEPT, ttl: KEPT_MS });
  const carry = async (runId: string, result: Promise<BegunRun | undefined>) => {
    results.set(runId, result);
    const begun = await result;
    if (begun === undefined || !('ended' in begun)) return null;
    return begun.ended.status === 'unknown' ? null : begun.ended.status;
  };
  return {
    carry: (run) => carry(run.runId, firstSegment(deps, run)),
    carryAgain: (run) => carry(run.runId, nextSegment(deps, run)),
    isInline: async (run) => (await contextOf(deps, run)).compiled.plan.graph.classes.every((kind) => kind === INLINE),
    take: async (runId) => {
      const result = results.get(runId);
      results.delete(runId);
      return result?.catch(() => undefined);
    },
  };
}

/** undefined: the epoch is over. */
async function firstSegment(deps: CarryDeps, row: BegunRow): Promise<BegunRun | undefined> {
  const { runId, epoch, cursor, intent, due } = row;
  if (epoch > 1) return nextSegment(deps, row); // it has been opened again
  const context = await contextOf(deps, row);
  const base = { epoch, cursor, graph: context.compiled.plan.graph, rows: [], intent, due, closed: null };
  const roots = firstRoots(base);
  if (roots.length === 0) return base;
  const loaded = { seq: cursor, intent, due, careful: false, phase: MAIN, held: null, rows: [] };
  const first = await deps.own(context, { run: runId, epoch, roots, sliceMs: deps.sliceMs, loaded });
  return 'stale' in first ? undefined : begunWith(deps, runId, { ...base, ...first });
}

/** Of a run that was begun before: what is done is known to the rows alone, and that it was lost makes its segment careful. */
async function nextSegment(deps: CarryDeps, row: BegunRow): Promise<BegunRun | undefined> {
  const { runId, epoch, cursor, intent, due } = row;
  const context = await contextOf(deps, row);
  const { graph } = context.compiled.plan;
  if (cleansUp(graph)) return undefined; // the row does not say whether it does already
  const base = { epoch, cursor, graph, rows: namedRows(graph, await readTaskRows(deps.db, runId)), intent, due, closed: null };
  const roots = firstRoots(base);
  if (roots.length === 0) return base;
  const next = await deps.own(context, { run: runId, epoch, roots, sliceMs: deps.sliceMs, known: base.rows });
  return 'stale' in next ? undefined : begunWith(deps, runId, { ...base, ...next, rows: [...base.rows, ...next.rows] });
}

function contextOf(deps: Plans, row: BegunRow): Promise<RunContext> {
  const { runId: run, workspace, planHash, input, inputSize, startedAt } = row;
  if (input === null && inputSize > 4) return deps.contextOf(run); // too large to come with the claim; 4: the text null
  return deps.contextWith({ run, workspace, planHash, input, inputSize, startedAt });
}
