import { isFinalStatus, type TaskStatus } from '../plan/outcome.ts';
import type { Graph } from '../plan/plan.ts';

/** Fewer earlier runs than this say nothing. */
export const MIN_RUNS = 3;
/** The interval leaves out a tenth of the earlier runs at either end. */
const LOW = 0.1;
const HIGH = 0.9;

/** How long each task took in one earlier run, by index in this graph, ms; undefined: that run had no such task. */
export type Past = readonly (number | undefined)[];
/** A task as it is; times in ms since the epoch. */
export type TaskNow = { status: TaskStatus; started: number | undefined; finished: number | undefined };
export type RunNow = { state: 'queued' | 'open' | 'closed'; now: number; tasks: readonly TaskNow[] };

/** `low` to `high`: eight of ten earlier runs that had come as far took so long. */
type Remaining = { ms: number; low: number; high: number; runs: number };
type NoEstimate = 'closed' | 'queued' | 'too_few_runs' | 'longer_than_before';
type PathTask = {
  task: number;
  /** How long it took; undefined: it has not ended. */
  took: number | undefined;
  /** Of earlier runs; undefined: too few of them had the task. */
  expected: { ms: number; low: number; high: number } | undefined;
};

export type Estimate = {
  /** From now to the end of the last task, ms, or why nobody can say. */
  remaining: Remaining | NoEstimate;
  /** The tasks that decide when the run ends, in order; empty while too little is known of them. */
  path: PathTask[];
};

/**
 * When a run will end, from earlier runs: each of them that had come as far as this one is played on from here along the
 * graph, and the answer is the middle of what they give. So an estimate keeps what durations have in common, and a run
 * that has taken longer than all before it gets none.
 */
export function estimate(graph: Graph, run: RunNow, past: readonly Past[]): Estimate {
  return { remaining: remainingOf(graph, run, past), path: pathOf(graph, run, past) };
}

function remainingOf(graph: Graph, run: RunNow, past: readonly Past[]): Remaining | NoEstimate {
  if (run.state !== 'open') return run.state;
  const open = run.tasks.flatMap((task, i) => (isFinalStatus(task.status) ? [] : [i]));
  const whole = past.filter((took) => open.every((i) => took[i] !== undefined));
  if (whole.length < MIN_RUNS) return 'too_few_runs';
  const alike = whole.filter((took) => open.every((i) => (took[i] ?? 0) >= elapsed(run, i)));
  if (alike.length < MIN_RUNS) return 'longer_than_before';
  const ends = ascending(alike.map((took) => endOf(graph, run, took)));
  return { ms: quantile(ends, 0.5), low: quantile(ends, LOW), high: quantile(ends, HIGH), runs: alike.length };
}

/** How long a task that has begun is at work; 0 for the others. */
function elapsed(run: RunNow, i: number): number {
  const task = run.tasks[i];
  return task?.started === undefined || isFinalStatus(task.status) ? 0 : Math.max(0, run.now - task.started);
}

/** From now to the end of the last task if what is open takes as long as it did then. Dependencies have lower indexes. */
function endOf(graph: Graph, run: RunNow, took: Past): number {
  const ends: number[] = [];
  run.tasks.forEach((task, i) => {
    const left = (took[i] ?? 0) - elapsed(run, i);
    if (isFinalStatus(task.status)) ends.push(graph.inTurn ? (ends.at(-1) ?? 0) : 0);
    else ends.push(task.started === undefined ? (released(graph, ends, i)?.end ?? 0) + left : left);
  });
  return ends.reduce((last, end) => Math.max(last, end), 0);
}

/** The task whose end lets another one begin, and when that is: a dependency, or where tasks go one at a time the one before. */
function released(graph: Graph, ends: readonly number[], i: number): { by: number; end: number } | undefined {
  if (graph.inTurn) return i > 0 ? { by: i - 1, end: ends[i - 1] ?? 0 } : undefined;
  const by = (graph.deps[i] ?? []).map(([dependency]) => ({ by: dependency, end: ends[dependency] ?? 0 })).sort((a, b) => a.end - b.end);
  const need = graph.need[i] ?? 0;
  return by[(need > 0 ? need : by.length) - 1];
}

function pathOf(graph: Graph, run: RunNow, past: readonly Past[]): PathTask[] {
  const tasks = run.tasks.map((now, task) => ({ task, took: tookOf(now), expected: expectedOf(past, task) }));
  const ends: number[] = [];
  const via: (number | undefined)[] = [];
  for (const { task, took, expected } of tasks) {
    const ms = took ?? (run.state === 'closed' ? 0 : expected && Math.max(expected.ms, elapsed(run, task)));
    if (ms === undefined) return [];
    const start = released(graph, ends, task);
    via.push(start?.by);
    ends.push((start?.end ?? 0) + ms);
  }
  const path: PathTask[] = [];
  const last = ends.reduce((best, end, i) => (end > (ends[best] ?? 0) ? i : best), 0);
  for (let at: number | undefined = tasks.length > 0 ? last : undefined; at !== undefined; at = via[at])
    path.unshift(...tasks.slice(at, at + 1));
  return path;
}

const tookOf = ({ status, started, finished }: TaskNow): number | undefined =>
  isFinalStatus(status) ? Math.max(0, (finished ?? 0) - (started ?? finished ?? 0)) : undefined;

function expectedOf(past: readonly Past[], task: number): PathTask['expected'] {
  const took = ascending(past.flatMap((run) => run[task] ?? []));
  if (took.length < MIN_RUNS) return undefined;
  return { ms: quantile(took, 0.5), low: quantile(took, LOW), high: quantile(took, HIGH) };
}

const ascending = (values: number[]): number[] => values.sort((a, b) => a - b);

/** Between the two values that lie around it, rounded to whole ms. @param sorted ascending, not empty */
function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const [below, above] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0];
  return Math.round(below + (above - below) * (at - Math.floor(at)));
}
