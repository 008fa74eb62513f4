import { randomUUID } from 'node:crypto';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { Claims } from '../db/claims.ts';
import { holdsTask, readTaskRows, type Claim, type TaskKey, type TaskRow } from '../db/execution.ts';
import type { LimitRequest } from '../db/limits.ts';
import { Refused, Stale, type Committed, type JournalRecord } from '../db/journal/record.ts';
import type { Bindings } from '../domain/expression/expression.ts';
import { afterRound } from '../domain/plan/loop.ts';
import { isAtWork } from '../domain/plan/outcome.ts';
import { isWorthRetrying, retryDelayMs, triesOf } from '../domain/plan/retry.ts';
import { aroundOf } from '../domain/plan/scope.ts';
import type { Stop } from '../domain/plan/state.ts';
import type { JsonObject } from '../domain/json.ts';
import { Problem } from '../domain/problem.ts';
import { attempt, effectKey, isInfrastructure, storeAttempted, type Attempted } from './attempt.ts';
import type { ActivityDeps } from './deps.ts';
import type { ElementsOf } from './elements.ts';
import type { Gate } from './gate.ts';
import { bindingsOf, withItem } from './evaluate.ts';
import { holdLimits, limitRequests } from './limits.ts';
import { createOutputs } from './outputs.ts';
import type { CompiledTask, RunContext } from './plans.ts';
import { displaced } from './segment.ts';

/** What effects need besides: the claims of this process, a place among its effects at work, and the elements of maps. */
export type EffectDeps = ActivityDeps & { claim: Claims; gate: Gate; elementsOf: ElementsOf };

type Claimed = Extract<Claim, { attempt: number }>;
export type EffectRequest = TaskKey & { epoch: number };
/** How an effect stands after a try: settled (whoever did it), or not ours to touch. */
export type EffectEnd = { rows: TaskRow[]; intent: Stop | null; due?: number | null } | { stale: true };

/** An effect that takes longer is told to have begun; the news of a shorter one come with its end. */
const TELL_MS = 50;
const BEAT_MS = 1_000;

/** The attempt is to be repeated later: no slot is held meanwhile. */
export const later = (type: string, delayMs: number): ApplicationFailure =>
  ApplicationFailure.create({
    message: type,
    type,
    nextRetryDelay: Math.max(1, Math.round(delayMs)),
    category: ApplicationFailureCategory.BENIGN,
  });

/**
 * The effect path: claim, evaluate, execute, commit guarded by the claim's token.
 * @param beat tells Temporal that the attempt lives
 * @throws ApplicationFailure `task_retry` with the delay before the next try
 */
export async function runEffect(
  deps: EffectDeps,
  context: RunContext,
  given: { request: EffectRequest; beat: () => void },
): Promise<EffectEnd> {
  const beating = setInterval(given.beat, BEAT_MS); // while it waits for a place, too
  try {
    return await deps.gate(() => claimAndRun(deps, context, given));
  } finally {
    clearInterval(beating);
  }
}

async function claimAndRun(deps: EffectDeps, context: RunContext, given: { request: EffectRequest; beat: () => void }): Promise<EffectEnd> {
  const { request } = given;
  const task = context.compiled.task(request.task);
  const token = randomUUID();
  const deadline = request.item < 0 && task.deadlineMs !== undefined ? { deadlineMs: task.deadlineMs } : {};
  const { limits, failed } = await limitsOf(deps, context, { task, item: request.item, generation: request.generation });
  const claim = await deps.claim({ ...request, token, ...deadline, ...(limits && { limits }) });
  if ('stale' in claim) return claim;
  if ('final' in claim) return { rows: [claim.final], intent: claim.intent };
  if ('waiting' in claim) return waitsFor(deps, request.run, claim);
  if ('retryInMs' in claim) throw later('task_retry', claim.retryInMs);
  if (!('attempt' in claim))
    return { rows: claim.intent === 'pause' && request.item < 0 ? await begunRow(deps, request) : [], intent: claim.intent };
  const work = { context, task, claim, token, request };
  if (!limits) return finish(deps, { ...work, result: failed ?? (await execute(deps, work)) });
  const free = holdLimits(deps, token);
  try {
    return await finish(deps, { ...work, result: await execute(deps, work) });
  } finally {
    await free();
  }
}

/** Its row, if it has begun before it was paused: the workflow is to know that it has its place. */
async function begunRow({ db }: EffectDeps, { run, task }: EffectRequest): Promise<TaskRow[]> {
  const rows = await readTaskRows(db, run, [task]);
  return rows.filter(([, status]) => isAtWork(status));
}

/** It stands in the line of a limit, and holds nothing meanwhile: whoever makes room wakes it. */
function waitsFor(deps: ActivityDeps, run: string, claim: Extract<Claim, { waiting: TaskRow }>): EffectEnd {
  deps.journal.notify(run);
  return { rows: [claim.waiting], intent: null, due: claim.due };
}

/** item: -1 = the task itself */
type Which = { task: CompiledTask; item: number; generation: number };

/** What limits the attempt; or, if a key cannot be told, how it fails. */
async function limitsOf(deps: EffectDeps, context: RunContext, which: Which): Promise<{ limits?: LimitRequest[]; failed?: Attempted }> {
  const { task, item } = which;
  if (task.limited.length === 0) return {};
  try {
    const { input, names } = aroundOf(context.compiled.plan, context.facts.input);
    const bindings = item < 0 ? { ...names, input } : await bindingsFor(deps, context, which);
    return { limits: limitRequests(task, bindings) };
  } catch (error) {
    if (!(error instanceof Problem) || error.code === 'unavailable') throw error;
    return { failed: { status: 'failed', failure: error.toFailure(), retryable: false } };
  }
}

type Work = { context: RunContext; task: CompiledTask; claim: Claimed; token: string; request: EffectRequest };

async function execute(deps: EffectDeps, work: Work): Promise<Attempted> {
  const { context, task, claim, request } = work;
  const { run, workspace } = context.facts;
  const cancelled = new AbortController();
  const cancel = () => {
    cancelled.abort(new Problem('task_cancelled'));
  };
  const unlisten = deps.aborts.add(run, ({ stop }) => {
    if (aborts(stop)) cancel();
  });
  const timers = [
    timer(task.timeoutMs ?? task.contract.defaultTimeoutMs, 'task_timed_out'),
    timer(claim.remainingMs ?? undefined, 'deadline_exceeded'),
  ];
  const stopBeating = keepAsking(deps, work, cancel);
  const telling = setTimeout(() => {
    deps.journal.notify(run);
  }, TELL_MS);
  const key = { run, taskId: task.id, item: request.item, generation: request.generation, round: claim.round };
  const execution = {
    ...{
      runId: run,
      workspace,
      taskId: task.id,
      item: request.item,
      generation: request.generation,
      attempt: claim.attempt,
      key: effectKey(key),
    },
    signal: AbortSignal.any([cancelled.signal, ...timers.map(({ signal }) => signal)]),
  };
  try {
    const bindings = await bindingsFor(deps, context, { task, item: request.item, generation: request.generation });
    const result = await attempt(deps, task, { bindings, execution, alone: claim.losses >= 2 });
    return endOfRound(task, { result, bindings, round: claim.round + 1 });
  } catch (error) {
    if (!(error instanceof Problem) || isInfrastructure(error)) throw error;
    return { status: 'failed', failure: error.toFailure(), retryable: false };
  } finally {
    unlisten();
    stopBeating();
    clearTimeout(telling);
    for (const { clear } of timers) clear();
  }
}

/** What a round of a loop comes to: its end, another round, or, after the last one, what the definition says. @throws those of expressions */
function endOfRound(task: CompiledTask, given: { result: Attempted; bindings: Bindings; round: number }): Attempted {
  const { result, bindings, round } = given;
  if (!task.loop || !task.until || result.status !== 'completed') return result;
  const own = { status: 'completed', output: result.output, error: null };
  const holds = task.until.evaluate({ ...bindings, tasks: { ...(bindings.tasks as JsonObject), [task.id]: own } }) === true;
  const end = afterRound(task.loop, round, holds);
  if (end !== 'exhausted') return end === 'again' ? { ...result, again: true } : result;
  return { status: 'failed', failure: new Problem('loop_exhausted', { detail: `after ${round} rounds` }).toFailure(), retryable: false };
}

/** A pause lets attempts at work come to their end. */
const aborts = (stop: Stop | null): boolean => stop !== null && stop !== 'pause';

async function bindingsFor(deps: EffectDeps, context: RunContext, which: Which): Promise<Bindings> {
  if (which.item < 0) return bindingsOf(context, which.task, createOutputs(deps, context));
  const { bindings, values } = await deps.elementsOf(context, which);
  return withItem(bindings, which.task, { item: values[which.item] ?? null, index: which.item });
}

function timer(ms: number | undefined, code: 'task_timed_out' | 'deadline_exceeded'): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  if (ms === undefined) return { signal: controller.signal, clear: () => undefined };
  const running = setTimeout(
    () => {
      controller.abort(new Problem(code));
    },
    Math.min(Math.max(0, ms), 2 ** 31 - 1),
  );
  return {
    signal: controller.signal,
    clear: () => {
      clearTimeout(running);
    },
  };
}

/** Each second: asks whether the attempt still holds its task. */
function keepAsking(deps: ActivityDeps, work: Work, cancel: () => void): () => void {
  const beating = setInterval(() => {
    holdsTask(deps.db, work.request, work.token).then(
      ({ held, intent }) => {
        if (!held || aborts(intent)) cancel();
      },
      () => undefined, // the database is away: the commit will tell
    );
  }, BEAT_MS);
  return () => {
    clearInterval(beating);
  };
}

type Finish = { context: RunContext; task: CompiledTask; claim: Claimed; token: string; request: EffectRequest; result: Attempted };

async function finish(deps: ActivityDeps, work: Finish): Promise<EffectEnd> {
  const { task, claim, request } = work;
  if ('again' in work.result) return anotherRound(deps, work, task.loop?.everyMs ?? 0);
  const { result, stored } = await storeAttempted(deps, work.context.facts.workspace, work.result);
  const tries = triesOf(claim);
  const policy = task.retry;
  if (
    'retryable' in result &&
    policy &&
    result.status !== 'cancelled' &&
    isWorthRetrying(policy, { code: result.failure.code, retryable: result.retryable }, tries)
  ) {
    const delayMs = result.retryAfterMs ?? retryDelayMs(policy, tries, deps.random());
    const round = claim.round > 0 ? { branch: claim.round } : {};
    await push(deps, work, { status: 'retrying', nextMs: delayMs, failure: JSON.stringify(result.failure), ...round });
    throw later('task_retry', delayMs);
  }
  const failure = 'failure' in result ? { failure: JSON.stringify(result.failure) } : {};
  const committed = await push(deps, work, { status: result.status, ...stored, ...failure });
  if (!committed) return { stale: true };
  if (request.item < 0 && committed.closed) deps.kick();
  return {
    rows: [[request.task, result.status, committed.seq, request.generation, 0, claim.attempt, claim.losses]],
    intent: committed.intent,
  };
}

/** @throws ApplicationFailure `task_retry` with the delay before the next round */
async function anotherRound(deps: ActivityDeps, work: Finish, everyMs: number): Promise<never> {
  const round = work.claim.round + 1;
  await push(deps, work, { status: 'retrying', branch: round, nextMs: everyMs, data: JSON.stringify({ round }) });
  throw later('task_retry', everyMs);
}

type End = Partial<Extract<JournalRecord, { type: 'task' }>> & Pick<Extract<JournalRecord, { type: 'task' }>, 'status'>;

/** @returns undefined if the run is over for this attempt @throws displaced if somebody else holds the task */
async function push(deps: ActivityDeps, work: Finish, end: End): Promise<Committed | undefined> {
  const { run, task, item, generation } = work.request;
  try {
    return await deps.journal.push({
      ...end,
      type: 'task',
      segment: {},
      run,
      epoch: 0,
      task,
      item,
      generation,
      attempt: work.claim.attempt,
      token: work.token,
    });
  } catch (error) {
    if (error instanceof Stale) return undefined;
    if (error instanceof Refused) throw displaced();
    if (error instanceof Problem && end.status !== 'failed')
      return push(deps, work, { status: 'failed', failure: JSON.stringify(error.toFailure()) });
    throw error;
  }
}
