import { MultiBar, type Options, type SingleBar } from 'cli-progress';
import type { RunEvent } from '../domain/run/events.ts';
import { describeItems, lineFor } from './eventLine.ts';
import { advance, isFinalWord, newProgress, percentDone, settledTasks, type Progress, type TaskProgress } from './progress.ts';
import type { View, ViewOptions } from './view.ts';

/** Lines for tasks at work; the rest shows only in the bar. */
const MAX_LINES = 8;

type Bars = { multi: MultiBar; run: SingleBar; tasks: Map<string, SingleBar> };

/** For a terminal: a bar for the run, below it a line for each task at work; what has ended scrolls away above them. */
export function barView(options: ViewOptions, stream: NodeJS.WritableStream): View {
  const progress = newProgress(options.percent);
  const style: Options = {
    stream,
    hideCursor: true,
    gracefulExit: false,
    linewrap: true,
    barsize: 30,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    fps: 12,
  };
  const multi = new MultiBar({
    ...style,
    format: '{title} {bar} {percent} % · {value}/{total} tasks · {state} · {duration_formatted}',
    forceRedraw: true,
  });
  const bars: Bars = {
    multi,
    run: multi.create(Math.max(1, options.total), 0, { title: options.title, state: 'queued', percent: progress.percent }),
    tasks: new Map(),
  };
  return {
    progress,
    event: (event) => {
      advance(progress, event);
      draw(bars, { progress, event, options });
    },
    connection: (state) => {
      bars.run.update({ state: state === 'lost' ? 'connection lost, trying again' : progress.status });
    },
    end: () => {
      for (const bar of bars.tasks.values()) multi.remove(bar);
      multi.stop();
    },
  };
}

function draw(bars: Bars, { progress, event, options }: { progress: Progress; event: RunEvent; options: ViewOptions }): void {
  const { total, weights } = options;
  const line = event.type.startsWith('run.') ? undefined : lineFor(progress, event, { total, weights, parts: false });
  if (line !== undefined) bars.multi.log(`${line}\n`);
  bars.run.update(settledTasks(progress), { state: progress.status, percent: percentDone(progress, weights) });
  const task = event.task === undefined ? undefined : progress.tasks.get(event.task);
  if (task) drawTask(bars, task);
}

function drawTask({ multi, tasks }: Bars, task: TaskProgress): void {
  const known = tasks.get(task.id);
  if (isFinalWord(task.status)) {
    if (known) multi.remove(known);
    tasks.delete(task.id);
    return;
  }
  if (!known && (task.status === 'pending' || tasks.size >= MAX_LINES)) return;
  const format = task.items.total === undefined ? '  {task} {state}' : '  {task} {bar} {state}';
  const bar = known ?? multi.create(Math.max(1, task.items.total ?? 1), 0, {}, { format, barsize: 20 });
  tasks.set(task.id, bar);
  if (task.items.total !== undefined) bar.setTotal(Math.max(1, task.items.total));
  bar.update(task.items.done, { task: task.id, state: describeItems(task) });
}
