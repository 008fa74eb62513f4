import { randomUUID } from 'node:crypto';
import { finishSliceRow, loadSliceRow } from '../db/execution.ts';
import { Refused, Stale, type Committed } from '../db/journal/record.ts';
import type { Stop } from '../domain/plan/state.ts';
import { toleranceOf } from '../domain/plan/tolerance.ts';
import { Problem } from '../domain/problem.ts';
import type { ActivityDeps } from './deps.ts';
import { runEffectItems, type ItemsEnd, type SliceId } from './effectBatch.ts';
import { runItems, type Mark } from './items.ts';
import type { RunContext } from './plans.ts';
import { runEffect, type EffectDeps } from './runTask.ts';

export type LoadedSlice = { over: true } | { paused: true } | { items: number[]; effect: boolean; concurrency: number; name: string };

type ContextOf = (run: string) => Promise<RunContext>;

export function createSliceActivities(deps: EffectDeps, contextOf: ContextOf, beat: () => () => void) {
  return {
    loadSlice: async (id: SliceId): Promise<LoadedSlice> => {
      const loaded = await loadSliceRow(deps.db, { run: id.runId, ...id });
      if ('over' in loaded || 'paused' in loaded) return loaded;
      const task = (await contextOf(id.runId)).compiled.task(id.task);
      const concurrency = Math.max(1, Math.floor((task.map?.maxConcurrency ?? 1) / loaded.slices));
      return { items: loaded.left, effect: task.contract.class === 'effect', concurrency, name: task.id };
    },

    /** One item of a mapped effect. */
    runItem: async (id: SliceId, item: number): Promise<{ over: boolean }> => {
      const context = await contextOf(id.runId);
      const request = { run: id.runId, task: id.task, item, generation: id.generation, epoch: 0 };
      const end = await runEffect(deps, context, { request, beat: beat() });
      return { over: 'stale' in end || (end.intent !== null && end.intent !== 'pause') };
    },

    /** Items of a mapped effect, several at a time; `left`: ask again. */
    runEffectItems: async (id: SliceId, concurrency: number): Promise<ItemsEnd> =>
      runEffectItems(deps, await contextOf(id.runId), { id, concurrency, beat: beat() }),

    /** Inline items, for `sliceMs` at most; what is left over is asked for again. */
    runItems: async (id: SliceId, items: number[], sliceMs: number): Promise<{ over: boolean; paused?: boolean; left: number[] }> => {
      const loaded = await loadSliceRow(deps.db, { run: id.runId, ...id });
      if ('over' in loaded) return { over: true, left: [] };
      if ('paused' in loaded) return { over: false, paused: true, left: items };
      const context = await contextOf(id.runId);
      const task = context.compiled.task(id.task);
      const { bindings, values } = await deps.elementsOf(context, { task, generation: id.generation });
      const until = performance.now() + sliceMs;
      const slice: Slice = { over: false, paused: false };
      const abort = new AbortController();
      const unlisten = deps.aborts.add(id.runId, ({ stop }) => {
        heed(slice, stop);
        if (slice.over) abort.abort(new Problem('task_cancelled'));
      });
      const token = randomUUID();
      const done = await runItems({
        ...{ deps, context, task, generation: id.generation, bindings, values, positions: items },
        concurrency: Math.min(task.map?.maxConcurrency ?? 1, 50),
        marks: 'sent',
        signal: abort.signal,
        halted: () => slice.over || slice.paused || performance.now() > until,
        commit: (mark) => send(deps, { run: id.runId, token, mark, slice }),
      }).finally(unlisten);
      const finished = new Set(done.views.map((view) => view.index));
      return {
        over: slice.over,
        ...(slice.paused && { paused: true }),
        left: done.left === 0 ? [] : items.filter((item) => !finished.has(item)),
      };
    },

    finishSlice: async (id: SliceId): Promise<void> => {
      const task = (await contextOf(id.runId)).compiled.task(id.task);
      const last = await finishSliceRow(deps.db, { run: id.runId, ...id, tolerate: toleranceOf(task) });
      if (last) await deps.poke(id.runId);
    },
  };
}

type Slice = { over: boolean; paused: boolean };
type Sent = { run: string; token: string; mark: Mark; slice: Slice };

function heed(slice: Slice, stop: Stop | null): void {
  if (stop === 'pause') slice.paused = true;
  else slice.over ||= stop !== null;
}

async function send(deps: ActivityDeps, sent: Sent): Promise<Committed | undefined> {
  try {
    const committed = await deps.journal.push({ ...sent.mark, segment: {}, run: sent.run, epoch: 0, token: sent.token });
    heed(sent.slice, committed.intent);
    return committed;
  } catch (error) {
    if (error instanceof Stale) sent.slice.over = true;
    else if (!(error instanceof Refused)) throw error;
    return undefined;
  }
}
