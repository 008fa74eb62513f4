import { readItems } from '../db/execution.ts';
import type { Committed, JournalRecord } from '../db/journal/record.ts';
import type { Bindings } from '../domain/expression/expression.ts';
import type { Json } from '../domain/json.ts';
import { isFinalStatus, type TaskStatus } from '../domain/plan/outcome.ts';
import { attempt, effectKey, storeAttempted, type Attempted } from './attempt.ts';
import { breathe } from './breathe.ts';
import type { ActivityDeps } from './deps.ts';
import { withItem } from './evaluate.ts';
import { errorOf, type ItemView } from './outputs.ts';
import type { CompiledTask, RunContext } from './plans.ts';

type TaskRecord = Extract<JournalRecord, { type: 'task' }>;
/** The fields of a task's record that do not depend on who writes it. */
export type Mark = Omit<TaskRecord, 'segment' | 'run' | 'epoch' | 'token'>;

/** Items of one mapped task, run in this process. */
export type ItemWork = {
  deps: ActivityDeps;
  context: RunContext;
  task: CompiledTask;
  generation: number;
  bindings: Bindings;
  values: readonly Json[];
  /** Positions in `values` to look after. */
  positions: readonly number[];
  concurrency: number;
  /** Say when an item begins: false on a first pass, where a crash repeats only what nobody saw. */
  marks: 'none' | 'sent' | 'awaited';
  signal: AbortSignal;
  halted: () => boolean;
  commit: (mark: Mark) => Promise<Committed | undefined>;
};

export type ItemsDone = { views: ItemView[]; failed: number; left: number; resumed: boolean };

/** Runs the items that are not final yet, until done or halted. Every item's end is one record of its own. */
export async function runItems(work: ItemWork): Promise<ItemsDone> {
  const { context, task, generation } = work;
  const own = new Set(work.positions);
  const lo = work.positions.reduce((least, item) => Math.min(least, item), Infinity);
  const hi = work.positions.reduce((most, item) => Math.max(most, item), -1);
  const rows = hi < 0 ? [] : await readItems(work.deps.db, { run: context.facts.run, task: task.index, generation, lo, hi });
  const prior = new Map(rows.map((row) => [row.item, row]));
  const isDone = (position: number) => isFinalStatus(prior.get(position)?.status ?? 'pending');
  const todo = work.positions.filter((position) => !isDone(position));
  const done: ItemsDone = {
    views: [],
    failed: [...prior.values()].filter(({ item, status }) => own.has(item) && isFailure(status)).length,
    left: todo.length,
    resumed: todo.length < work.positions.length,
  };
  let cursor = 0;
  const commits: Promise<unknown>[] = [];
  await Promise.all(
    Array.from({ length: Math.min(work.concurrency, todo.length) }, async () => {
      while (cursor < todo.length && !work.halted()) {
        const position = todo[cursor++] ?? 0;
        await work.deps.journal.room();
        await breathe();
        const { view, committed } = await runItem(work, position, prior.get(position));
        commits.push(committed);
        done.views.push(view);
        done.left--;
        if (isFailure(view.status)) done.failed++;
      }
    }),
  );
  await Promise.all(commits);
  done.views.sort((a, b) => a.index - b.index);
  return done;
}

const isFailure = (status: TaskStatus): boolean => status === 'failed' || status === 'timed_out' || status === 'cancelled';

async function runItem(work: ItemWork, position: number, before: { status: TaskStatus; attempt: number } | undefined) {
  const { deps, context, task, generation } = work;
  const { run, workspace } = context.facts;
  const lost = before?.status === 'running';
  const key = { item: position, generation, task: task.index, attempt: (before?.attempt ?? 0) + 1 };
  const mark: Mark = { type: 'task', ...key, status: 'running', ...(lost && { lost: true }) };
  if (work.marks === 'awaited') await work.commit(mark);
  else if (work.marks === 'sent') void work.commit(mark);
  const execution = {
    runId: run,
    workspace,
    taskId: task.id,
    item: position,
    generation,
    attempt: key.attempt,
    signal: work.signal,
    key: effectKey({ run, taskId: task.id, item: position, generation }),
  };
  const bindings = withItem(work.bindings, task, { item: work.values[position] ?? null, index: position });
  const attempted = await attempt(deps, task, { bindings, execution, alone: lost && before.attempt >= 2 });
  const { result, stored } = await storeAttempted(deps, workspace, attempted);
  const committed = work.commit({
    type: 'task',
    ...key,
    status: result.status,
    ...stored,
    ...('failure' in result && { failure: JSON.stringify(result.failure) }),
  });
  committed.catch(() => undefined);
  return { view: viewOf(position, result), committed };
}

const viewOf = (index: number, result: Attempted): ItemView => ({
  index,
  status: result.status,
  output: result.status === 'completed' ? result.output : null,
  error: 'failure' in result ? errorOf(result.failure) : null,
});
