import { ApplicationFailure } from '@temporalio/common';
import { loadSliceRow, type TaskRow } from '../db/execution.ts';
import type { OutcomeRow, Stop } from '../domain/plan/state.ts';
import { namedRows } from './endRun.ts';
import type { RunContext } from './plans.ts';
import { later, runEffect, type EffectDeps } from './runTask.ts';

/** One part of a wide map, run by an execution of its own that reports by rows and a poke. */
export type SliceId = { runId: string; task: number; generation: number; k: number };
export type Batch = { runId: string; epoch: number; tasks: { task: number; generation: number }[] };
/** `later`: tasks that are to be tried again after a while, each by an activity of its own. */
export type BatchEnd = { rows: OutcomeRow[]; intent: Stop | null; later: number[] } | { stale: true };

/** `over`: the slice has nothing to do any more; `paused`: until it is poked; `left`: ask again. */
export type ItemsEnd = { over: boolean; paused?: boolean; left: boolean };

/** A batch that lasts longer tells what it has done so far, so that nobody waits for its slowest effect. */
const TELL_MS = 250;
/** How long an activity may begin items of a mapped effect. */
const ITEMS_MS = 10_000;
const MAX_AT_ONCE = 50;

/**
 * Effects that became ready together, at once in one activity: what an activity costs Temporal is shared by all. Each has
 * its own claim, so each succeeds, fails and is tried again by itself.
 */
export async function runBatch(deps: EffectDeps, context: RunContext, work: { batch: Batch; beat: () => void }): Promise<BatchEnd> {
  const { batch, beat } = work;
  const { runId: run, epoch } = batch;
  const found = { rows: [] as TaskRow[], intent: null as Stop | null, later: [] as number[], stale: false, failures: [] as unknown[] };
  const teller = createTeller(() => deps.poke(run));
  const one = async ({ task, generation }: Batch['tasks'][number]) => {
    try {
      const end = await runEffect(deps, context, { request: { run, epoch, task, item: -1, generation }, beat });
      if ('stale' in end) return void (found.stale = true);
      found.rows.push(...end.rows);
      found.intent ??= end.intent;
      teller.tell();
    } catch (error) {
      found.later.push(task);
      if (!(error instanceof ApplicationFailure)) found.failures.push(error);
    }
  };
  await Promise.all(batch.tasks.map(one)).finally(teller.close);
  if (found.stale) return { stale: true };
  if (found.failures.length === batch.tasks.length) throw found.failures[0];
  return { rows: namedRows(context.compiled.plan.graph, found.rows), intent: found.intent, later: found.later };
}

/** Asks the workflow to look, at most once in TELL_MS, and not at all in the first. */
function createTeller(poke: () => Promise<void>): { tell: () => void; close: () => void } {
  let wanted = false;
  const timer = setInterval(() => {
    if (!wanted) return;
    wanted = false;
    poke().catch(() => undefined); // the end of the activity tells it too
  }, TELL_MS);
  return {
    tell: () => {
      wanted = true;
    },
    close: () => {
      clearInterval(timer);
    },
  };
}

/**
 * Items of a mapped effect, `concurrency` at a time, for 10 s at most.
 * @throws ApplicationFailure `task_retry` when nothing is left but items that are to be tried later
 */
export async function runEffectItems(
  deps: EffectDeps,
  context: RunContext,
  work: { id: SliceId; concurrency: number; beat: () => void },
): Promise<ItemsEnd> {
  const { id, beat } = work;
  const loaded = await loadSliceRow(deps.db, { run: id.runId, ...id });
  if ('over' in loaded) return { over: true, left: false };
  if ('paused' in loaded) return { over: false, paused: true, left: true };
  const queue = loaded.left;
  const until = performance.now() + ITEMS_MS;
  const seen = { over: false, paused: false, delays: [] as number[] };
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      const request = { run: id.runId, task: id.task, item, generation: id.generation, epoch: 0 };
      const delayMs = await runEffect(deps, context, { request, beat }).then((end) => {
        if ('stale' in end) seen.over = true;
        else if (end.intent === 'pause') seen.paused = true;
        else seen.over ||= end.intent !== null;
        return undefined;
      }, delayOf);
      if (delayMs !== undefined) seen.delays.push(delayMs);
      if (seen.over || seen.paused || performance.now() > until) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(work.concurrency, MAX_AT_ONCE, queue.length) }, lane));
  if (seen.over) return { over: true, left: false };
  if (seen.paused) return { over: false, paused: true, left: true };
  if (queue.length === 0 && seen.delays.length > 0) throw later('task_retry', Math.min(...seen.delays));
  return { over: false, left: queue.length > 0 };
}

/** How long the attempt wants to wait, ms. @throws whatever is no wish to be tried again */
function delayOf(error: unknown): number {
  if (!(error instanceof ApplicationFailure) || typeof error.nextRetryDelay !== 'number') throw error;
  return error.nextRetryDelay;
}
