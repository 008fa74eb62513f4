import { giveEvent } from '../db/events.ts';
import { durationMs } from '../domain/definition/duration.ts';
import type { Bindings } from '../domain/expression/expression.ts';
import { isObject, type Json, type JsonObject } from '../domain/json.ts';
import type { OnDeadline } from '../domain/plan/plan.ts';
import { Problem } from '../domain/problem.ts';
import { noticeFaults, readReminders } from '../domain/run/reminders.ts';
import { evaluateFields } from './evaluate.ts';
import { externalCall } from './externalCall.ts';
import type { Mark } from './items.ts';
import { readWhole, storeOutput, type StoredOutput } from './outputs.ts';
import type { CompiledTask } from './plans.ts';
import { dueIn, type Segment } from './segment.ts';

/** A wait as its task's record opens it, and what is to be done once it is durable. */
export type OpenedWait = {
  wait: NonNullable<Mark['wait']>;
  data: JsonObject;
  /** What stands in the task's row while it waits. */
  stored?: StoredOutput;
  /** What bounds it, when that is no time of the wait's own. */
  deadlineMs?: number;
  opened?: () => Promise<void>;
};

/** How the tasks begin that only wait. */
export const WAITS: Readonly<
  Record<string, (segment: Segment, task: CompiledTask, bindings: Bindings) => OpenedWait | Promise<OpenedWait>>
> = {
  wait: openTimer,
  event: openEvent,
  approval: openApproval,
  workflow: openChild,
  activity: openExternal,
};

/** A row with its time by the database's clock; the workflow's timer only reminds. @throws Problem invalid_task_input */
function openTimer(segment: Segment, task: CompiledTask, bindings: Bindings): OpenedWait {
  const input = evaluateFields(task, bindings);
  const until = typeof input.until === 'string' ? Date.parse(input.until) : undefined;
  const untilMs = input.for === undefined ? undefined : durationMs(input.for);
  if (untilMs === undefined && (until === undefined || Number.isNaN(until)))
    throw new Problem('invalid_task_input', { detail: 'with.for is no duration, or with.until no time' });
  dueIn(segment, untilMs ?? Math.max(0, (until ?? 0) - segment.deps.now()));
  if (untilMs !== undefined) return { wait: { kind: 'timer', untilMs }, data: { forMs: untilMs } };
  const time = new Date(until ?? 0).toISOString();
  return { wait: { kind: 'timer', until: time }, data: { until: time } };
}

/** What a deadline makes of the task instead of `timed_out`. */
function atDeadline({ onDeadline, kind }: CompiledTask): { onDeadline?: JsonObject } {
  const decided = (decision: 'approved' | 'rejected'): JsonObject => ({ decision, by: null, comment: null, edited: null });
  const outputs: { readonly [default_ in OnDeadline]?: Json } = {
    approve: decided('approved'),
    reject: decided('rejected'),
    continue: null,
  };
  if (onDeadline === undefined || onDeadline === 'fail') return {};
  const output = outputs[onDeadline] ?? null;
  return { onDeadline: { status: 'completed', output, ...(kind === 'approval' && { as: onDeadline }) } };
}

const deadlineOf = (segment: Segment, { deadlineMs }: CompiledTask): { untilMs?: number } => {
  if (deadlineMs === undefined) return {};
  dueIn(segment, deadlineMs);
  return { untilMs: deadlineMs };
};

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

function openEvent(segment: Segment, task: CompiledTask, bindings: Bindings): OpenedWait {
  const { name, key, schema } = evaluateFields(task, bindings);
  const { db, kick } = segment.deps;
  const of = { workspace: segment.context.facts.workspace, name: textOf(name), key: textOf(key) };
  return {
    wait: { kind: 'event', ...deadlineOf(segment, task) },
    data: { name: of.name, key: of.key, ...(schema !== undefined && { schema }), ...atDeadline(task) },
    opened: async () => {
      if ((await giveEvent(db, of)).length > 0) kick(); // it had come before
    },
  };
}

/** @throws Problem invalid_task_input */
function openApproval(segment: Segment, task: CompiledTask, bindings: Bindings): OpenedWait {
  const { onReject = 'fail', remind, ...input } = evaluateFields(task, bindings);
  const [misfit] = isObject(input.notify) ? noticeFaults(input.notify) : [];
  if (misfit) throw new Problem('invalid_task_input', { detail: `with.notify${misfit.pointer}: ${misfit.message}` });
  const rejected = task.onDeadline === 'reject' && onReject === 'fail';
  const failure = { code: 'approval_rejected', message: 'Nobody approved in time' };
  return {
    wait: { kind: 'approval', ...deadlineOf(segment, task) },
    data: {
      ...input,
      ...remindersOf(remind),
      onReject,
      ...atDeadline(task),
      ...(rejected && { onDeadline: { status: 'failed', failure, as: 'reject' } }),
    },
  };
}

/** Times count from when the wait is durable. @throws Problem invalid_task_input */
function remindersOf(remind: Json | undefined): { remind?: JsonObject } {
  if (!isObject(remind)) return {};
  const read = readReminders(remind);
  if ('reminders' in read) return { remind: { ...read.reminders } };
  const [fault] = read.faults;
  throw new Problem('invalid_task_input', { detail: `with.remind${fault?.pointer ?? ''}: ${fault?.message ?? ''}` });
}

/** The run is started from the row: its input stands there until its output does. */
async function openChild(segment: Segment, task: CompiledTask, bindings: Bindings): Promise<OpenedWait> {
  const { data, stored } = await childOf(segment, task, bindings);
  return {
    wait: { kind: 'child', ...deadlineOf(segment, task) },
    data: { ...data, ...(task.deadlineMs !== undefined && { deadlineMs: task.deadlineMs }) },
    stored,
    opened: kicked(segment),
  };
}

/** Somebody has to start what it waits for. */
const kicked = (segment: Segment) => (): Promise<void> => {
  segment.deps.kick();
  return Promise.resolve();
};

/** What it is called with is evaluated here for its faults alone: the execution that calls it evaluates it again, and nothing of it is stored. */
async function openExternal(segment: Segment, task: CompiledTask, bindings: Bindings): Promise<OpenedWait> {
  const { taskQueue, activity } = await externalCall(segment.deps, task, { bindings, workspace: segment.context.facts.workspace });
  const { deadlineMs } = task;
  if (deadlineMs !== undefined) dueIn(segment, deadlineMs);
  return {
    wait: { kind: 'external' },
    data: { taskQueue, activity },
    ...(deadlineMs !== undefined && { deadlineMs }),
    opened: kicked(segment),
  };
}

/** Which run a task or an item of it waits for, and the input of it. @throws Problem invalid_task_input, output_too_large */
export async function childOf(
  segment: Pick<Segment, 'deps' | 'context'>,
  task: CompiledTask,
  bindings: Bindings,
): Promise<{ data: JsonObject; stored: StoredOutput }> {
  const { name, version, definition, input = null } = evaluateFields(task, bindings);
  const { workspace } = segment.context.facts;
  const data = task.each
    ? { name: task.each.name }
    : isObject(definition)
      ? { name: definition.name ?? null }
      : { name: name ?? null, ...(version !== undefined && { version }) };
  return { data, stored: await storeOutput(segment.deps, workspace, await readWhole(segment.deps.objects, workspace, input)) };
}
