import type { RunEvent } from '../domain/run/events.ts';
import { count } from './count.ts';
import { duration } from './duration.ts';
import { isBadWord, isFinalWord, percentDone, settledTasks, type Progress, type TaskProgress, type Weights } from './progress.ts';

/** Of the items of a mapped task, one line for each of so many parts. */
const PARTS = 4;

type LineOptions = {
  /** Tasks of the run. */ total: number;
  weights: Weights;
  /** Whether parts of a mapped task are worth a line. */ parts: boolean;
};

/** One line for people about an event that has just been applied to `progress`; undefined if it is not worth one. */
export function lineFor(progress: Progress, event: RunEvent, options: LineOptions): string | undefined {
  if (event.type.startsWith('run.')) return `run ${event.type.slice('run.'.length)}${reason(event)}`;
  if (event.type === 'command.cancel') return `cancel asked for${reason(event)}`;
  const task = event.task === undefined ? undefined : progress.tasks.get(event.task);
  if (!task) return undefined;
  const word = event.type.slice('task.'.length);
  if (event.item !== undefined && event.item >= 0) return itemLine(task, { event, word, parts: options.parts });
  if (isFinalWord(word))
    return `${task.id} ${word}${took(task)}${counts(task)}${reason(event)}  (${settledTasks(progress)}/${options.total}, ${percentDone(progress, options.weights)} %)`;
  return word === 'started' ? undefined : `${task.id} ${word}${reason(event)}`;
}

/** `12/40 items, 1 failed`, or the task's status. */
export function describeItems(task: TaskProgress): string {
  const { done, failed, total } = task.items;
  if (total === undefined && done === 0) return task.status;
  return `${total === undefined ? count(done, 'item') : `${done}/${total} items`}${failed > 0 ? `, ${failed} failed` : ''}`;
}

function itemLine(task: TaskProgress, { event, word, parts }: { event: RunEvent; word: string; parts: boolean }): string | undefined {
  const { done, total } = task.items;
  if (isBadWord(word) || word === 'retrying') return `${task.id}[${event.item ?? 0}] ${word}${reason(event)}`;
  if (!parts || !isFinalWord(word) || total === undefined || total < PARTS || done === total) return undefined;
  const part = (count: number) => Math.floor((count * PARTS) / total);
  return part(done) > part(done - 1) ? `${task.id} ${describeItems(task)}` : undefined;
}

const took = ({ startedAt, finishedAt }: TaskProgress): string =>
  startedAt === undefined || finishedAt === undefined || finishedAt === startedAt ? '' : ` in ${duration(finishedAt - startedAt)}`;

const counts = (task: TaskProgress): string =>
  task.items.done === 0 ? '' : `, ${describeItems({ ...task, items: { ...task.items, total: undefined } })}`;

function reason(event: RunEvent): string {
  if (typeof event.data !== 'object' || event.data === null || Array.isArray(event.data)) return '';
  const { code, message, reason: why, until } = event.data;
  if (typeof code === 'string') return `: ${code}${typeof message === 'string' && message !== '' ? ` (${message})` : ''}`;
  if (typeof why === 'string' && why !== '') return `: ${why}`;
  return typeof until === 'string' ? ` until ${until}` : '';
}
