import type { Bindings } from '../domain/expression/expression.ts';
import { statusOf } from '../domain/plan/outcome.ts';
import { EFFECT } from '../domain/plan/plan.ts';
import { RUN, UNDECIDED, verdict } from '../domain/plan/state.ts';
import { Problem, type Failure } from '../domain/problem.ts';
import { attempt, effectKey, isInfrastructure, type Attempted } from './attempt.ts';
import { breathe } from './breathe.ts';
import { bindingsOf, itemsOf } from './evaluate.ts';
import { runItems, type Mark } from './items.ts';
import { openItems } from './openItems.ts';
import { storeOutput } from './outputs.ts';
import type { CompiledTask } from './plans.ts';
import { commit, dueIn, halted, settle, type Segment } from './segment.ts';
import { begin, keyOf, settleMap, viewOf, type Key } from './taskMarks.ts';
import { WAITS } from './waits.ts';

/** A map with more items, or of effects, goes to executions of its own of this many items each. */
const SLICE_ITEMS = 500;
const MAX_ITEMS = 100_000;

/** Runs one inline or control task of a segment: what `Segment.execute` is. */
export async function executeInline(segment: Segment, index: number): Promise<void> {
  const decided = verdict(segment.state, index);
  if (decided === UNDECIDED) return;
  if (decided !== RUN)
    return void settle(segment, { ...keyOf(segment, index), status: statusOf(decided) as 'skipped' }, viewOf(statusOf(decided)));
  if (segment.state.graph.classes[index] === EFFECT) return; // only a claim may start it
  await segment.deps.journal.room();
  await breathe();
  const task = segment.context.compiled.task(index);
  try {
    const bindings = await bindingsOf(segment.context, task, segment.outputs);
    if (task.map) await executeMap(segment, task, bindings);
    else if (task.contract.class === 'control') await openWait(segment, task, bindings);
    else await executeOnce(segment, task, bindings);
  } catch (error) {
    if (!(error instanceof Problem) || isInfrastructure(error)) throw error;
    settleFailed(segment, index, error.toFailure());
  }
}

function settleFailed(segment: Segment, task: number, failure: Failure): void {
  void settle(segment, { ...keyOf(segment, task), status: 'failed', failure: JSON.stringify(failure) }, viewOf('failed', failure));
}

async function executeOnce(segment: Segment, task: CompiledTask, bindings: Bindings): Promise<void> {
  const key = keyOf(segment, task.index);
  await begin(segment, task, { countsLoss: true });
  if (segment.stale || segment.error !== undefined) return;
  const { run, workspace } = segment.context.facts;
  const timer = task.deadlineMs === undefined ? [] : [AbortSignal.timeout(task.deadlineMs)];
  const execution = {
    ...{ runId: run, workspace, taskId: task.id, item: -1, generation: key.generation, attempt: key.attempt },
    key: effectKey({ run, taskId: task.id, item: -1, generation: key.generation }),
    signal: AbortSignal.any([segment.abort.signal, ...timer]),
  };
  const before = segment.before.get(task.index);
  const alone = before?.status === 'running' && before.losses >= 1;
  const result = await attempt(segment.deps, task, { bindings, execution, alone });
  await settleAttempt(segment, key, result);
}

async function settleAttempt(segment: Segment, key: Key, result: Attempted): Promise<void> {
  if (result.status === 'completed') {
    const stored = await storeOutput(segment.deps, segment.context.facts.workspace, result.output);
    const branch = result.branch === undefined ? {} : { branch: result.branch };
    void settle(
      segment,
      { ...key, status: 'completed', ...stored, ...branch },
      { ...viewOf('completed'), output: result.output, size: stored.outputSize },
    );
  } else if (result.status === 'skipped') void settle(segment, { ...key, status: 'skipped' }, viewOf('skipped'));
  else
    void settle(segment, { ...key, status: result.status, failure: JSON.stringify(result.failure) }, viewOf(result.status, result.failure));
}

/** A row that is decided by time, by an event or by somebody; nothing is held meanwhile. */
async function openWait(segment: Segment, task: CompiledTask, bindings: Bindings): Promise<void> {
  if (task.condition && task.condition.evaluate(bindings) !== true)
    return void settle(segment, { ...keyOf(segment, task.index), status: 'skipped' }, viewOf('skipped'));
  const open = WAITS[task.kind];
  if (!open) throw new Problem('engine_fault', { detail: `nothing waits as ${task.kind}` });
  const { wait, data, stored, deadlineMs, opened } = await open(segment, task, bindings);
  const mark: Mark = {
    ...keyOf(segment, task.index),
    status: 'waiting',
    wait,
    data: JSON.stringify(data),
    ...stored,
    ...(deadlineMs !== undefined && { deadlineMs }),
  };
  const durable = settle(segment, mark, viewOf('waiting'));
  if (opened) void durable.then(opened).catch(() => undefined); // whoever sweeps finds what this missed
}

async function executeMap(segment: Segment, task: CompiledTask, bindings: Bindings): Promise<void> {
  const key = keyOf(segment, task.index);
  if (task.condition && task.condition.evaluate(bindings) !== true)
    return void settle(segment, { ...key, status: 'skipped' }, viewOf('skipped'));
  const values = itemsOf(task, bindings);
  if (task.contract.class === 'control') return openItems(segment, task, { bindings, values });
  if (values.length > MAX_ITEMS)
    throw new Problem('too_many_items', { detail: `${values.length} items, at most ${MAX_ITEMS} are allowed` });
  if (values.length > 0 && (task.contract.class === 'effect' || values.length > SLICE_ITEMS)) {
    openSlices(segment, task, values.length);
    return;
  }
  const resumed = segment.before.get(task.index)?.status === 'running';
  await begin(segment, task, { countsLoss: false, items: values.length });
  const done = await runItems({
    ...{ deps: segment.deps, context: segment.context, task, generation: key.generation, bindings, values },
    positions: values.map((_, position) => position),
    concurrency: segment.careful ? 1 : (task.map?.maxConcurrency ?? 1),
    marks: segment.careful ? 'awaited' : resumed ? 'sent' : 'none',
    signal: segment.abort.signal,
    halted: () => halted(segment),
    commit: (mark) => commit(segment, mark),
  });
  if (done.left > 0 || segment.stale || segment.error !== undefined || segment.intent !== null) return;
  settleMap(segment, task, { views: done.resumed ? await segment.outputs.items(task.index) : done.views, failed: done.failed });
}

function openSlices(segment: Segment, task: CompiledTask, items: number): void {
  const slices = Array.from({ length: Math.ceil(items / SLICE_ITEMS) }, (_, k): [number, number] => [
    k * SLICE_ITEMS,
    Math.min(items, (k + 1) * SLICE_ITEMS),
  ]);
  const mark: Mark = {
    ...keyOf(segment, task.index),
    status: 'waiting',
    wait: { kind: 'map', slices },
    data: JSON.stringify({ items }),
    ...(task.deadlineMs !== undefined && { deadlineMs: task.deadlineMs }),
  };
  if (task.deadlineMs !== undefined) dueIn(segment, task.deadlineMs);
  void settle(segment, mark, viewOf('waiting')).then(() => {
    segment.deps.kick();
  });
}
