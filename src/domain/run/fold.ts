import { isObject, type Json } from '../json.ts';
import { isClosed, isFinalStatus, type ClosedStatus, type RunStatus, type TaskStatus } from '../plan/outcome.ts';
import type { Failure } from '../problem.ts';
import { isNews, type RunEvent } from './events.ts';
import type { RunView, TaskView } from './view.ts';

const emptyView = (id: string): RunView => ({ id, status: 'queued', lastSeq: 0, counts: {}, tasks: {} });

/**
 * The view after these events, which must follow `before` without a gap; events that it already contains change nothing.
 * The same log gives the same view in the service, the command line and a browser. `before` is not changed.
 */
export function fold(events: readonly RunEvent[], before?: RunView): RunView {
  const given = before ?? emptyView(events[0]?.runId ?? '');
  const draft = { view: { ...given, counts: { ...given.counts }, tasks: { ...given.tasks } }, touched: new Set<string>() };
  for (const event of events) if (event.seq > draft.view.lastSeq) apply(draft, event);
  const { view } = draft;
  return { ...view, counts: Object.fromEntries(Object.entries(view.counts).filter(([, n]) => n > 0)) };
}

/** `touched`: tasks that are copies already, so that a fold over n events costs n, not n times the size of the view. */
type Draft = { view: RunView; touched: Set<string> };

function apply(draft: Draft, event: RunEvent): void {
  const { view } = draft;
  view.lastSeq = event.seq;
  const [subject, what = ''] = event.type.split('.');
  if (isNews(event.type)) return;
  if (subject === 'task') applyTask(draft, event, what === 'started' ? 'running' : (what as TaskStatus));
  else if (subject === 'command') applyCommand(view, what, event.data);
  else if (what === 'accepted') view.createdAt = event.at;
  else if (what === 'reopened') reopen(view);
  else if (what === 'compensating' || what === 'compensated' || what === 'finishing') move(view);
  else applyRun(view, event, what === 'started' ? 'running' : (what as RunStatus));
}

function applyCommand(view: RunView, what: string, data: Json | undefined): void {
  if (what === 'cancel' && isObject(data) && typeof data.reason === 'string') view.reason = data.reason;
  if ((what !== 'pause' && what !== 'resume') || (isObject(data) && data.tasks !== undefined)) return;
  view.paused = what === 'pause';
  if (view.status !== 'queued') view.status = view.paused ? 'paused' : 'running';
}

function reopen(view: RunView): void {
  view.status = 'queued';
  view.paused = false;
  delete view.finishedAt;
  delete view.failure;
  delete view.reason;
}

/** Something goes on in the run. */
const move = (view: RunView): void => {
  if (!isClosed(view.status)) view.status = view.paused ? 'paused' : 'running';
};

function applyRun(view: RunView, event: RunEvent, status: RunStatus): void {
  view.status = status === 'running' && view.paused ? 'paused' : status;
  if (isClosed(status)) close(view, event, status);
  else view.startedAt ??= event.at;
}

function close(view: RunView, event: RunEvent, status: ClosedStatus): void {
  view.finishedAt = event.at;
  const failure = failureOf(event.data);
  if (failure && status !== 'completed') view.failure = failure;
}

function applyTask(draft: Draft, event: RunEvent, status: TaskStatus): void {
  const { view } = draft;
  const begins = (view.status !== 'queued' || status !== 'cancelled') && !isKept(event); // a queued run that is cancelled never begins
  if (!isClosed(view.status) && begins) {
    move(view);
    view.startedAt ??= event.at;
  }
  const task = taskOf(draft, event.task ?? '');
  if (event.item !== undefined && event.item >= 0) {
    task.items[event.item] = status;
    return;
  }
  if (task.status !== 'pending') count(view, task.status, -1);
  if (status !== 'pending') count(view, status, 1);
  moveTask(task, event, status);
}

/** Of a fork: the task ended in the run that it came from. */
const isKept = ({ data }: RunEvent): boolean => isObject(data) && typeof data.from === 'string';

function taskOf({ view, touched }: Draft, id: string): TaskView {
  const known = Object.hasOwn(view.tasks, id) ? view.tasks[id] : undefined;
  if (known && touched.has(id)) return known;
  touched.add(id);
  const task: TaskView = known ? { ...known, items: [...known.items] } : { status: 'pending', attempt: 0, items: [] };
  view.tasks[id] = task;
  return task;
}

function count(view: RunView, status: TaskStatus, by: 1 | -1): void {
  const n = (view.counts[status] ?? 0) + by;
  view.counts[status] = n;
}

function moveTask(task: TaskView, event: RunEvent, status: TaskStatus): void {
  task.status = status;
  if (status === 'pending' && isObject(event.data) && event.data.keptItems === false) task.items = [];
  task.attempt = event.attempt ?? task.attempt;
  if (status !== 'skipped' && status !== 'blocked' && !isKept(event)) task.startedAt ??= event.at;
  if (isFinalStatus(status)) task.finishedAt = event.at;
  else delete task.finishedAt;
  const failure = failureOf(event.data);
  if (failure && status !== 'completed') task.failure = failure;
  else delete task.failure;
  if (isObject(event.data) && typeof event.data.items === 'number' && !isFinalStatus(status)) task.itemCount = event.data.items;
}

function failureOf(data: Json | undefined): Failure | undefined {
  if (!isObject(data) || typeof data.code !== 'string' || typeof data.message !== 'string') return undefined;
  return { code: data.code, message: data.message, ...(data.data === undefined ? {} : { data: data.data }) };
}
