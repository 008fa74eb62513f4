import { readItems } from '../db/execution.ts';
import type { Bindings } from '../domain/expression/expression.ts';
import type { Json } from '../domain/json.ts';
import { Problem } from '../domain/problem.ts';
import { isInfrastructure } from './attempt.ts';
import { breathe } from './breathe.ts';
import { withItem } from './evaluate.ts';
import type { Mark } from './items.ts';
import type { CompiledTask } from './plans.ts';
import { commit, halted, settle, type Segment } from './segment.ts';
import { begin, keyOf, settleMap, viewOf } from './taskMarks.ts';
import { childOf } from './waits.ts';

/**
 * A wait for the run of each item, and then that of the map: nobody starts a run before it is there, so that a worker which
 * dies in between has started none. Items that have a row are left as they are.
 * @throws Problem too_many_items
 */
export async function openItems(
  segment: Segment,
  task: CompiledTask,
  { bindings, values }: { bindings: Bindings; values: readonly Json[] },
): Promise<void> {
  const { deps, context } = segment;
  if (values.length > deps.maxMappedChildren)
    throw new Problem('too_many_items', { detail: `${values.length} items, at most ${deps.maxMappedChildren} may have a run each` });
  await begin(segment, task, { countsLoss: false, items: values.length });
  const { generation } = keyOf(segment, task.index);
  const rows = await readItems(deps.db, { run: context.facts.run, task: task.index, generation, lo: 0, hi: values.length - 1 });
  const known = new Set(rows.map(({ item }) => item));
  let waiting = rows.some(({ status }) => status === 'waiting');
  const commits: Promise<unknown>[] = [];
  for (const [position, item] of values.entries()) {
    if (known.has(position)) continue;
    await deps.journal.room();
    await breathe();
    if (halted(segment)) break;
    const mark = await markOf(segment, task, { position, bindings: withItem(bindings, task, { item, index: position }) });
    waiting ||= mark.status === 'waiting';
    commits.push(commit(segment, mark));
  }
  await Promise.all(commits);
  if (rows.length + commits.length < values.length || segment.stale || segment.error !== undefined || segment.intent !== null) return;
  if (waiting) return void settle(segment, mapMark(segment, task, values.length), viewOf('waiting')).then(deps.kick);
  const views = await segment.outputs.items(task.index);
  settleMap(segment, task, { views, failed: views.filter(({ status }) => status === 'failed').length });
}

const mapMark = (segment: Segment, task: CompiledTask, items: number): Mark => ({
  ...keyOf(segment, task.index),
  status: 'waiting',
  wait: { kind: 'map', slices: [], parts: task.map?.maxConcurrency ?? 1 },
  data: JSON.stringify({ items }),
});

/** How an item begins: it waits for its run, or it has ended before it gets one. */
async function markOf(segment: Segment, task: CompiledTask, own: { position: number; bindings: Bindings }): Promise<Mark> {
  const of = { ...keyOf(segment, task.index), item: own.position, attempt: 1 };
  try {
    if (task.itemCondition && task.itemCondition.evaluate(own.bindings) !== true) return { ...of, status: 'skipped' };
    const { data, stored } = await childOf(segment, task, own.bindings);
    return { ...of, status: 'waiting', wait: { kind: 'child' }, data: JSON.stringify(data), ...stored };
  } catch (error) {
    if (!(error instanceof Problem) || isInfrastructure(error)) throw error;
    return { ...of, status: 'failed', failure: JSON.stringify(error.toFailure()) };
  }
}
