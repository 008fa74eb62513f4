import type { TaskStatus } from '../domain/plan/outcome.ts';
import type { Failure } from '../domain/problem.ts';
import type { Mark } from './items.ts';
import { errorOf, mapView, type ItemView, type TaskView } from './outputs.ts';
import type { CompiledTask } from './plans.ts';
import { tolerated } from './evaluate.ts';
import { sizeOf } from '../providers/objectStore/storedBytes.ts';
import { commit, dueIn, settle, type Segment } from './segment.ts';

export type Key = Pick<Mark, 'task' | 'item' | 'generation' | 'attempt'> & { type: 'task' };

/** Which attempt of a task a record of this segment belongs to. */
export function keyOf(segment: Segment, task: number): Key {
  const before = segment.before.get(task);
  return { type: 'task', task, item: -1, generation: segment.state.generation[task] ?? 0, attempt: (before?.attempt ?? 0) + 1 };
}

/** A task without output, as expressions see it. */
export const viewOf = (status: TaskStatus, failure: Failure | null = null): TaskView => ({
  status,
  output: null,
  error: errorOf(failure),
  size: 0,
});

/** Says that a task begins. Not waited for, unless a worker died since the last commit. */
export async function begin(segment: Segment, task: CompiledTask, how: { countsLoss: boolean; items?: number }): Promise<void> {
  const lost = how.countsLoss && segment.before.get(task.index)?.status === 'running';
  const mark: Mark = {
    ...keyOf(segment, task.index),
    status: 'running',
    ...(lost && { lost }),
    ...(how.items !== undefined && { data: JSON.stringify({ items: how.items }) }),
    ...(task.deadlineMs !== undefined && { deadlineMs: task.deadlineMs }),
  };
  if (task.deadlineMs !== undefined) dueIn(segment, task.deadlineMs);
  const sent = commit(segment, mark);
  if (segment.careful) await sent;
}

/** Settles a mapped task whose items have all ended. `views`: of all of them, in order. */
export function settleMap(segment: Segment, task: CompiledTask, { views, failed }: { views: ItemView[]; failed: number }): void {
  const failure =
    failed > tolerated(task, views.length) ? { code: 'items_failed', message: `${failed} of ${views.length} items failed` } : null;
  const status = failure ? 'failed' : 'completed';
  const mark: Mark = { ...keyOf(segment, task.index), status, ...(failure && { failure: JSON.stringify(failure) }) };
  const size = views.reduce((sum, view) => sum + (view.output === null ? 0 : sizeOf(view.output)), 0);
  void settle(segment, mark, { ...viewOf(status, failure), size, ...mapView(views) });
}
