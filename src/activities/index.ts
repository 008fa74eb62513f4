import { Context } from '@temporalio/activity';
import { loadRunRow, markWaiting, readChangesSince, readStanding, sweepTasks, type TaskRow } from '../db/execution.ts';
import { Stale } from '../db/journal/record.ts';
import type { ClosedStatus } from '../domain/plan/outcome.ts';
import type { Graph } from '../domain/plan/plan.ts';
import { createState, recordRows, type Intent, type OutcomeRow } from '../domain/plan/state.ts';
import { closingRecord } from './closing.ts';
import type { ActivityDeps } from './deps.ts';
import { executeInline } from './executeInline.ts';
import { createOutputs } from './outputs.ts';
import { createPlans, type RunContext } from './plans.ts';
import { runEffect } from './runTask.ts';
import { drain, mayOwn, openSegment, reportOf, type Owned, type OwnedOrStale, type OwnRequest } from './segment.ts';
import { createSliceActivities } from './slices.ts';

/** What a run that is over says of itself: no data, no stack. */
export type Ending = { status: ClosedStatus | 'unknown'; reason: string | null; failedTask: string | null; code: string | null };
export type LoadedRun = (Owned & { epoch: number; cursor: number; graph: Graph }) | { ended: Ending };
export type Changes = { rows: OutcomeRow[]; intent: Intent | null; due: number | null; cursor: number } | { stale: true };
export type Finished = { ended: Ending } | { reopened: true } | { stale: true };

/** How long one local activity may run inline tasks before it lets the workflow look up, ms. */
const LOCAL_SLICE_MS = 1_000;

const namedRows = (graph: Graph, rows: readonly TaskRow[]): OutcomeRow[] =>
  rows.map(
    ([task, status, seq, generation, branch]) =>
      [graph.names[task] ?? '', status, seq, ...(generation || branch ? [generation, branch] : [])] as OutcomeRow,
  );

/** Tells Temporal that the activity at work here lives. Local activities have no heartbeat; for them it does nothing. */
function heartbeat(): () => void {
  const context = Context.current();
  return () => {
    context.heartbeat();
  };
}

/** Every activity of the product. They alone touch data; each can be repeated at any time. */
export function createActivities(deps: ActivityDeps) {
  const contextOf = createPlans(deps);

  async function own(context: RunContext, request: OwnRequest): Promise<OwnedOrStale> {
    const segment = await openSegment(deps, context, { ...request, execute: executeInline });
    if (!segment) return { stale: true };
    const beat = heartbeat();
    const beating = setInterval(beat, 1_000);
    await drain(segment, request.roots).finally(() => {
      clearInterval(beating);
    });
    return reportOf(segment);
  }

  /** The first segment, when nothing but inline tasks and waits are ready: saves a workflow task. */
  async function firstSegment(context: RunContext, loaded: Owned & { epoch: number }): Promise<OwnedOrStale | undefined> {
    const state = createState(context.compiled.plan.graph);
    recordRows(state, loaded.rows);
    const roots = [...state.ready];
    const inline = roots.length > 0 && roots.every(mayOwn(state));
    if (!inline || loaded.intent !== null || loaded.due !== null) return undefined;
    return own(context, { run: context.facts.run, epoch: loaded.epoch, roots, sliceMs: LOCAL_SLICE_MS });
  }

  async function ending(runId: string): Promise<Ending> {
    const standing = await readStanding(deps.db, runId);
    const data = standing?.failure?.data as { task?: string } | undefined;
    return {
      status: !standing || standing.status === 'open' ? 'unknown' : standing.status,
      reason: standing?.reason ?? null,
      failedTask: data?.task ?? null,
      code: standing?.failure?.code ?? null,
    };
  }

  return {
    /** Begins an execution under a new epoch, and runs the first segment in the same breath where it can. */
    loadRun: async (runId: string): Promise<LoadedRun> => {
      const loaded = await loadRunRow(deps.db, runId);
      if ('closed' in loaded) return { ended: await ending(runId) };
      const context = await contextOf(runId);
      const { graph } = context.compiled.plan;
      const base = {
        epoch: loaded.epoch,
        cursor: loaded.cursor,
        graph,
        rows: namedRows(graph, loaded.rows),
        intent: loaded.intent,
        due: loaded.due,
        closed: null,
      };
      const first = await firstSegment(context, base).finally(() => {
        deps.started(runId);
      });
      return first && !('stale' in first) ? { ...base, ...first, rows: [...base.rows, ...first.rows] } : base;
    },

    runSegment: async (request: { runId: string; epoch: number; roots: number[]; sliceMs: number }): Promise<OwnedOrStale> => {
      return own(await contextOf(request.runId), { run: request.runId, ...request });
    },

    /** One try of an effect; then the inline tasks that its end released, which saves a round trip a step. */
    runTask: async (request: { runId: string; epoch: number; task: number; generation: number }): Promise<OwnedOrStale> => {
      const context = await contextOf(request.runId);
      const end = await runEffect(deps, context, { request: { ...request, run: request.runId, item: -1 }, beat: heartbeat() });
      if ('stale' in end) return end;
      return own(context, { run: request.runId, epoch: request.epoch, roots: [request.task], sliceMs: 10 * LOCAL_SLICE_MS });
    },

    readChanges: async (request: { runId: string; epoch: number; since: number }): Promise<Changes> => {
      const changes = await readChangesSince(deps.db, { run: request.runId, ...request });
      if ('stale' in changes) return changes;
      const { graph } = (await contextOf(request.runId)).compiled.plan;
      return { ...changes, rows: namedRows(graph, changes.rows) };
    },

    sweep: async (request: { runId: string; epoch: number; tasks: number[]; intent: Intent }): Promise<OwnedOrStale> => {
      const swept = await sweepTasks(deps.db, { run: request.runId, ...request });
      if ('stale' in swept) return swept;
      deps.journal.notify(request.runId);
      const { graph } = (await contextOf(request.runId)).compiled.plan;
      return { rows: namedRows(graph, swept.rows), intent: swept.intent, due: swept.due, closed: null };
    },

    markWaiting: async (runId: string, epoch: number): Promise<void> => {
      await markWaiting(deps.db, runId, epoch);
      deps.journal.notify(runId);
    },

    /** Proposes the end. `reopened`: a command or a task came in between. */
    finishRun: async (request: { runId: string; epoch: number; intent: Intent | null }): Promise<Finished> => {
      const context = await contextOf(request.runId);
      const standing = await readStanding(deps.db, request.runId);
      if (standing?.status !== 'open') return { ended: await ending(request.runId) };
      if (standing.epoch !== request.epoch) return { stale: true };
      const changes = await readChangesSince(deps.db, { run: request.runId, epoch: request.epoch, since: 0 });
      if ('stale' in changes) return { stale: true };
      const state = createState(context.compiled.plan.graph);
      const loaded = await deps.db.rows<{ rows: TaskRow[] }>({
        name: 'all_rows',
        text: 'select task_rows_v1($1, null) as rows',
        values: [request.runId],
      });
      recordRows(state, namedRows(state.graph, loaded[0]?.rows ?? []));
      if (state.open > 0) return { reopened: true };
      const record = await closingRecord(deps, { context, state, outputs: createOutputs(deps, context) }, changes.intent);
      try {
        const { closed } = await deps.journal.push({ ...record, segment: {}, run: request.runId, epoch: request.epoch });
        return closed ? { ended: await ending(request.runId) } : { reopened: true };
      } catch (error) {
        if (!(error instanceof Stale)) throw error;
        const now = await readStanding(deps.db, request.runId);
        return now?.status === 'open' ? { stale: true } : { ended: await ending(request.runId) };
      }
    },

    /** How a run that its last commit closed stands: for the end of the execution. */
    ending,

    requestCancel: (runId: string): Promise<void> => deps.requestCancel(runId),

    /** A cancel that came from the Temporal UI gets its row first, so that it is a command like any other. */
    noteCancel: async (runId: string): Promise<void> => {
      await deps.noteCancel(runId, 'cancelled in Temporal');
    },

    ...createSliceActivities(deps, contextOf, heartbeat),
  };
}

export type Activities = ReturnType<typeof createActivities>;
