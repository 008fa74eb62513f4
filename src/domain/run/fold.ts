import { isObject, type Json } from '../json.ts';
import { isClosed, isFinalStatus, type ClosedStatus, type RunStatus, type TaskStatus } from '../plan/outcome.ts';
import type { Failure } from '../problem.ts';
import type { RunEvent } from './events.ts';
import type { RunView, TaskView } from './view.ts';

export const emptyView = (id: string): RunView => ({ id, status: 'queued', lastSeq: 0, counts: {}, tasks: {} });

/**
 * The view after these events, which must follow `before` without a gap; events that it already contains change nothing.
 * The same log gives the same view in the service, the command line and a browser.
 */
export function fold(events: readonly RunEvent[], before?: RunView): RunView {
  let view = before ?? emptyView(events[0]?.runId ?? '');
  for (const event of events) if (event.seq > view.lastSeq) view = { ...apply(view, event), lastSeq: event.seq };
  return view;
}

function apply(view: RunView, event: RunEvent): RunView {
  const [subject, what = ''] = event.type.split('.');
  if (subject === 'task') return applyTask(view, event, what === 'started' ? 'running' : (what as TaskStatus));
  if (subject === 'command') return withReason(view, event.data);
  if (what === 'accepted') return { ...view, createdAt: event.at };
  const status = what === 'started' ? 'running' : (what as RunStatus);
  return isClosed(status) ? close(view, event, status) : { ...view, status, startedAt: view.startedAt ?? event.at };
}

function close(view: RunView, event: RunEvent, status: ClosedStatus): RunView {
  const failure = failureOf(event.data);
  return { ...view, status, finishedAt: event.at, ...(failure && status !== 'completed' && { failure }) };
}

function applyTask(view: RunView, event: RunEvent, status: TaskStatus): RunView {
  const id = event.task ?? '';
  const known = Object.hasOwn(view.tasks, id) ? view.tasks[id] : undefined;
  const task: TaskView = known ?? { status: 'pending', attempt: 0, items: [] };
  const open: RunView = isClosed(view.status) ? view : { ...view, status: 'running', startedAt: view.startedAt ?? event.at };
  if (event.item !== undefined && event.item >= 0) {
    const items = [...task.items];
    items[event.item] = status;
    return { ...open, tasks: { ...view.tasks, [id]: { ...task, items } } };
  }
  const counts = { ...view.counts };
  if (known && known.status !== 'pending') counts[known.status] = (counts[known.status] ?? 1) - 1;
  counts[status] = (counts[status] ?? 0) + 1;
  return { ...open, counts, tasks: { ...view.tasks, [id]: moved(task, event, status) } };
}

function moved(task: TaskView, event: RunEvent, status: TaskStatus): TaskView {
  const { failure: _, finishedAt: __, ...kept } = task;
  const failure = failureOf(event.data);
  return {
    ...kept,
    status,
    attempt: event.attempt ?? task.attempt,
    ...(status !== 'skipped' && status !== 'blocked' && { startedAt: task.startedAt ?? event.at }),
    ...(isFinalStatus(status) && { finishedAt: event.at }),
    ...(failure && status !== 'completed' && { failure }),
  };
}

const withReason = (view: RunView, data: Json | undefined): RunView =>
  isObject(data) && typeof data.reason === 'string' ? { ...view, reason: data.reason } : view;

function failureOf(data: Json | undefined): Failure | undefined {
  if (!isObject(data) || typeof data.code !== 'string' || typeof data.message !== 'string') return undefined;
  return { code: data.code, message: data.message, ...(data.data === undefined ? {} : { data: data.data }) };
}
