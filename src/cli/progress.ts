import { isNews, type RunEvent } from '../domain/run/events.ts';
import { isDone, percentOf } from '../domain/run/percent.ts';

/** `done`: ended in whatever way; `good`: need not be done again. */
type ItemCounts = { done: number; good: number; failed: number; running: number; total: number | undefined };
export type TaskProgress = {
  id: string;
  status: string;
  startedAt: number | undefined;
  finishedAt: number | undefined;
  items: ItemCounts;
  code?: string;
};
/** What a live view shows of a run: everything in it comes from the events. Times in ms since the epoch. */
export type Progress = {
  status: string;
  startedAt: number | undefined;
  at: number | undefined;
  lastSeq: number;
  tasks: Map<string, TaskProgress>;
  /** The highest that was shown: who joins late hears of part of the run only. */
  percent: number;
  code?: string;
};

/** What each task counts for in the percentage of the run, by id, in the order of the plan. */
export type Weights = ReadonlyMap<string, number>;

/** What a run is after an event that is not called so. */
const STATUSES: Readonly<Record<string, string>> = { accepted: 'queued', reopened: 'queued', started: 'running' };
const FINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'skipped', 'blocked', 'cancelled', 'timed_out', 'compensated']);
const BAD: ReadonlySet<string> = new Set(['failed', 'timed_out']);

export const isFinalWord = (status: string): boolean => FINAL.has(status);
export const isBadWord = (status: string): boolean => BAD.has(status);

export const newProgress = (percent = 0): Progress => ({
  status: 'queued',
  startedAt: undefined,
  at: undefined,
  lastSeq: 0,
  tasks: new Map(),
  percent,
});

/** Applies one event, in place: a run may have 100,000 of them. */
export function advance(progress: Progress, event: RunEvent): void {
  const at = Date.parse(event.at);
  progress.at = at;
  progress.lastSeq = event.seq;
  const [subject, word = ''] = event.type.split('.');
  if (subject === 'run') {
    progress.startedAt ??= at;
    progress.status = STATUSES[word] ?? word;
    if (isBadWord(word)) Object.assign(progress, codeOf(event));
  } else if (subject === 'task' && !isNews(event.type) && event.task !== undefined) {
    const task = taskOf(progress, event.task);
    if (word === 'pending' && opensAgain(event)) progress.percent = 0;
    if (event.item === undefined || event.item < 0) advanceTask(task, event, { word, at });
    else advanceItem(task, word);
  }
}

/** Tasks that have ended, of those that have been heard of. */
export const settledTasks = (progress: Progress): number => [...progress.tasks.values()].filter((task) => isFinalWord(task.status)).length;

/** How much of the run is done, 0 to 100, as the service says it. */
export function percentDone(progress: Progress, weights: Weights): number {
  const shares = [...weights].map(([id, weight]) => {
    const task = progress.tasks.get(id);
    const { total, good } = task?.items ?? {};
    return { weight, status: task?.status ?? 'pending', items: total === undefined ? undefined : { total, done: good ?? 0 } };
  });
  progress.percent = Math.max(progress.percent, percentOf(progress.status, shares));
  return progress.percent;
}

function advanceTask(task: TaskProgress, event: RunEvent, { word, at }: { word: string; at: number }): void {
  task.status = word === 'started' ? 'running' : word;
  task.startedAt ??= at;
  if (isFinalWord(word)) task.finishedAt = at;
  if (isBadWord(word)) Object.assign(task, codeOf(event));
  const total = numberIn(event.data, 'items');
  if (total !== undefined) task.items.total = total;
  if (word === 'pending' && opensAgain(event)) openItems(task.items, field(event.data, 'keptItems') === true);
}

/** A retry runs the task again: the percentage begins anew. */
const opensAgain = (event: RunEvent): boolean => (numberIn(event.data, 'generation') ?? 0) > 0;

/** Items that need not be done again stay, if any do. */
function openItems(items: ItemCounts, kept: boolean): void {
  if (!kept) items.good = 0;
  Object.assign(items, { done: items.good, failed: 0, running: 0 });
}

function advanceItem(task: TaskProgress, word: string): void {
  const { items } = task;
  if (word === 'started') items.running++;
  if (!isFinalWord(word)) return;
  items.done++;
  if (isDone(word)) items.good++;
  items.running = Math.max(0, items.running - 1);
  if (isBadWord(word)) items.failed++;
}

function taskOf(progress: Progress, id: string): TaskProgress {
  const known = progress.tasks.get(id);
  if (known) return known;
  const task: TaskProgress = {
    id,
    status: 'pending',
    startedAt: undefined,
    finishedAt: undefined,
    items: { done: 0, good: 0, failed: 0, running: 0, total: undefined },
  };
  progress.tasks.set(id, task);
  return task;
}

function codeOf(event: RunEvent): { code?: string } {
  const code = field(event.data, 'code');
  return typeof code === 'string' ? { code } : {};
}

function numberIn(data: unknown, name: string): number | undefined {
  const value = field(data, name);
  return typeof value === 'number' ? value : undefined;
}

const field = (data: unknown, name: string): unknown =>
  typeof data === 'object' && data !== null ? (data as Record<string, unknown>)[name] : undefined;
