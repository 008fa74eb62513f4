import { Context } from '@temporalio/activity';
import { createClaims } from '../db/claims.ts';
import { markWaiting, readChangesSince, readClosedSince, readStanding, sweepTasks } from '../db/execution.ts';
import type { Phase } from '../domain/plan/phases.ts';
import type { Intent, OutcomeRow, Stop } from '../domain/plan/state.ts';
import { beginRun, type BegunRun } from './beginRun.ts';
import { createCarry, type Carry } from './carry.ts';
import type { ActivityDeps } from './deps.ts';
import { createElements } from './elements.ts';
import { endRun, namedRows, readEnding, type Ended, type Ending } from './endRun.ts';
import { executeInline } from './executeInline.ts';
import { createExternalActivities } from './external.ts';
import { createGate } from './gate.ts';
import { createPlans, type Plans, type RunContext } from './plans.ts';
import { runBatch, type Batch, type BatchEnd } from './effectBatch.ts';
import { runChain } from './effectChain.ts';
import { drain, openSegment, reportOf, type OwnedOrStale, type OwnRequest } from './segment.ts';
import { createSliceActivities } from './slices.ts';
import { traceless } from './traceless.ts';

type Changes =
  { rows: OutcomeRow[]; intent: Stop | null; due: number | null; cursor: number; phase: Phase; held: number[] | null } | { stale: true };

/** How long one activity may run inline tasks before it lets the workflow look up, ms. */
const LOCAL_SLICE_MS = 1_000;
const BEAT_MS = 1_000;

/** Tells Temporal that the activity at work here lives. Local activities have no heartbeat. */
function heartbeat(): (task?: string) => void {
  const context = Context.current();
  if (context.info.isLocal) return () => undefined;
  return (task) => {
    context.heartbeat(task);
  };
}

type Owning = { context: RunContext; request: OwnRequest; beat: () => void };

async function ownIn(deps: ActivityDeps, { context, request, beat }: Owning): Promise<OwnedOrStale> {
  const segment = await openSegment(deps, context, { ...request, execute: executeInline });
  if (!segment) return { stale: true };
  const beating = setInterval(beat, BEAT_MS);
  await drain(segment, request.roots).finally(() => {
    clearInterval(beating);
  });
  return reportOf(segment);
}

/** Every activity of the product, and what runs a run before its execution asks. They alone touch data; each can be repeated at any time. */
export function createEngine(deps: ActivityDeps): { activities: Activities } & Omit<Carry, 'take'> {
  const plans = createPlans(deps);
  const { take, ...carrying } = createCarry({
    ...{ ...deps, ...plans, sliceMs: LOCAL_SLICE_MS },
    own: (context, request) => ownIn(deps, { context, request, beat: () => undefined }),
  });
  return { activities: createActivities(deps, { ...plans, take }), ...carrying };
}

function createActivities(deps: ActivityDeps, { contextOf, take }: Pick<Plans, 'contextOf'> & Pick<Carry, 'take'>) {
  const engine = { ...deps, claim: createClaims(deps), gate: createGate(deps.maxEffects), elementsOf: createElements(deps) };
  const own = (context: RunContext, request: OwnRequest) => ownIn(deps, { context, request, beat: heartbeat() });
  const graphOf = async (runId: string) => (await contextOf(runId)).compiled.plan.graph;

  const activities = {
    loadRun: (runId: string): Promise<BegunRun> => beginRun({ ...deps, contextOf, own, take }, runId, LOCAL_SLICE_MS),

    runSegment: async (request: { runId: string; epoch: number; roots: number[]; sliceMs: number }): Promise<OwnedOrStale> =>
      own(await contextOf(request.runId), { run: request.runId, ...request }),

    /** One try of an effect, and what its end released. */
    runTask: async (request: { runId: string; epoch: number; task: number; generation: number }): Promise<OwnedOrStale> =>
      runChain({ ...engine, own }, await contextOf(request.runId), {
        request: { ...request, run: request.runId, item: -1 },
        beat: heartbeat(),
      }),

    runTasks: async (batch: Batch): Promise<BatchEnd> => runBatch(engine, await contextOf(batch.runId), { batch, beat: heartbeat() }),

    /** @param request.tasks effects at work in batches, whose ends are told here too */
    readChanges: async (request: { runId: string; epoch: number; since: number; tasks?: number[] }): Promise<Changes> => {
      const ask = { run: request.runId, ...request };
      const changes = await readChangesSince(deps.db, ask);
      const known = 'stale' in changes ? await readClosedSince(deps.db, ask) : changes; // ended without its execution: the end is all there is to say
      if (known === null) return { stale: true };
      if (known === changes && known.rows.length > 0) deps.journal.notify(request.runId);
      return { ...known, rows: namedRows(await graphOf(request.runId), known.rows) };
    },

    sweep: async (request: { runId: string; epoch: number; tasks: number[]; intent: Intent }): Promise<OwnedOrStale> => {
      const swept = await sweepTasks(deps.db, { run: request.runId, ...request });
      if ('stale' in swept) return swept;
      deps.journal.notify(request.runId);
      return { rows: namedRows(await graphOf(request.runId), swept.rows), intent: swept.intent, due: swept.due, closed: null };
    },

    markWaiting: async (runId: string, epoch: number): Promise<void> => {
      await markWaiting(deps.db, runId, epoch);
      deps.journal.notify(runId);
    },

    /** @param request.phase as far as the workflow knows */
    finishRun: async (request: { runId: string; epoch: number; phase?: Phase }): Promise<Ended> =>
      endRun(deps, await contextOf(request.runId), request),

    /** How a run that its last commit closed stands: for the end of the execution. */
    ending: (runId: string): Promise<Ending> => readEnding(deps, runId),

    requestCancel: (runId: string): Promise<void> => deps.requestCancel(runId),

    /** A cancel that came from the Temporal UI gets its row first, so that it is a command like any other. */
    noteCancel: async (runId: string): Promise<void> => {
      const standing = await readStanding(deps.db, runId);
      // A second cancel would force: this one may be the echo of the first, or this activity may run again.
      if (standing?.status === 'open' && standing.intent === null) await deps.noteCancel(runId, 'cancelled in Temporal');
    },

    fireSchedule: (schedule: string, at: number): Promise<void> => deps.fireSchedule(schedule, at),

    ...createSliceActivities(engine, contextOf, heartbeat),
    ...createExternalActivities(deps, contextOf),
  };
  return traceless(activities, deps.log);
}

export type Activities = ReturnType<typeof createActivities>;
