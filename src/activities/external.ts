import { endExternalRow, holdExternal, waitingExternal, type ExternalKey } from '../db/externals.ts';
import { Refused, Stale } from '../db/journal/record.ts';
import type { Json } from '../domain/json.ts';
import { aroundOf } from '../domain/plan/scope.ts';
import { Problem, type Failure } from '../domain/problem.ts';
import { isInfrastructure, storeAttempted, type Attempted } from './attempt.ts';
import type { ActivityDeps } from './deps.ts';
import { bindingsOf, checkOutput } from './evaluate.ts';
import { externalCall, type ExternalCall } from './externalCall.ts';
import { limitRequests } from './limits.ts';
import { createOutputs } from './outputs.ts';
import type { CompiledTask, RunContext } from './plans.ts';

export type ExternalId = ExternalKey;
/** What became of the activity of a user's. */
export type ExternalEnd = { status: 'completed' } | { status: 'failed' | 'timed_out' | 'cancelled'; failure: Failure };

type ContextOf = (run: string) => Promise<RunContext>;

/** What the execution that calls an activity of a user's asks of us, before and after. */
export function createExternalActivities(deps: ActivityDeps, contextOf: ContextOf) {
  return {
    /**
     * What to call, once it has the slots of its limits. `over`: nobody waits for it any more, or what it would be called with is at fault
     * and the task has failed of it; `retryInMs`: it stands in the line of a limit, and is to ask again.
     */
    loadExternal: async (id: ExternalId): Promise<ExternalCall | { over: true } | { retryInMs: number }> => {
      const waiting = await waitingExternal(deps.db, id);
      if (!waiting) {
        await over(deps, id);
        return { over: true };
      }
      const context = await contextOf(id.runId);
      const task = context.compiled.task(id.task);
      if (waiting.stop !== null && waiting.stop !== 'pause') {
        await record(deps, { id, context, result: endedBy(new Problem('task_cancelled')) });
        return { over: true };
      }
      try {
        return (await lineOf(deps, context, { id, task })) ?? (await callOf(deps, context, task));
      } catch (error) {
        if (!(error instanceof Problem) || isInfrastructure(error)) throw error;
        await record(deps, { id, context, result: endedBy(error) });
        return { over: true };
      }
    },

    /** @param output what the activity gave: bytes if that was no JSON */
    endExternal: async (id: ExternalId, end: ExternalEnd, output?: Json | Uint8Array): Promise<void> => {
      const context = await contextOf(id.runId);
      const result = end.status === 'completed' ? await taken(deps, { id, context, output }) : { ...end, retryable: false };
      await record(deps, { id, context, result });
    },
  };
}

/** @throws Problem as limitRequests */
function lineOf({ db }: ActivityDeps, { compiled, facts }: RunContext, { id, task }: { id: ExternalId; task: CompiledTask }) {
  if (task.limited.length === 0) return undefined;
  const { input, names } = aroundOf(compiled.plan, facts.input);
  return holdExternal(db, id, limitRequests(task, { ...names, input }));
}

async function callOf(deps: ActivityDeps, context: RunContext, task: CompiledTask): Promise<ExternalCall> {
  const bindings = await bindingsOf(context, task, createOutputs(deps, context));
  return externalCall(deps, task, { bindings, workspace: context.facts.workspace });
}

const endedBy = (problem: Problem): Attempted => ({
  status: problem.code === 'task_cancelled' ? 'cancelled' : 'failed',
  failure: problem.toFailure(),
  retryable: false,
});

type Given = { id: ExternalId; context: RunContext; output: Json | Uint8Array | undefined };

/** The output as a task's, if it may be one. */
async function taken(deps: ActivityDeps, { id, context, output = null }: Given): Promise<Attempted> {
  try {
    if (output instanceof Uint8Array) throw new Problem('invalid_task_output', { detail: 'the activity gave bytes, and no JSON' });
    await checkOutput(deps, context.compiled.task(id.task), { output, workspace: context.facts.workspace });
    return { status: 'completed', output };
  } catch (error) {
    if (!(error instanceof Problem) || isInfrastructure(error)) throw error;
    return endedBy(error);
  }
}

/** Writes the end into the task's row, once: one that has ended meanwhile, or is another generation's, stays as it is. */
async function record(deps: ActivityDeps, given: { id: ExternalId; context: RunContext; result: Attempted }): Promise<void> {
  const { id, context } = given;
  const { result, stored } = await storeAttempted(deps, context.facts.workspace, given.result);
  const waiting = await waitingExternal(deps.db, id);
  if (waiting) {
    const { task, generation, runId: run } = id;
    const { attempt, token } = waiting;
    const failure = 'failure' in result ? { failure: JSON.stringify(result.failure) } : {};
    try {
      const key = { segment: {}, run, epoch: 0, task, item: -1, generation, attempt, token };
      await deps.journal.push({ type: 'task', ...key, status: result.status, ...stored, ...failure });
    } catch (error) {
      if (!(error instanceof Stale || error instanceof Refused)) throw error;
    }
  }
  await over(deps, id);
}

async function over(deps: ActivityDeps, id: ExternalId): Promise<void> {
  const woken = await endExternalRow(deps.db, id);
  for (const run of new Set(woken)) void deps.poke(run).catch(() => undefined); // the sweeper wakes whom nobody woke
  deps.kick(); // its run is to be told
}
