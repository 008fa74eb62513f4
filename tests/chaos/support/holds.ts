import type { Json } from '../../../src/domain/json.ts';
import { isFinalStatus, type TaskStatus } from '../../../src/domain/plan/outcome.ts';
import { aPlan } from '../../support/anEngine.ts';
import type { Cluster } from './cluster.ts';
import { eventsOf, executionsOf, statesOf, type AcceptedRun, type EventRow, type StateRow } from './runs.ts';

export type Report = {
  /** What is wrong; empty when everything holds. */
  bad: string[];
  runs: number;
  effects: number;
  /** Calls beyond the first of their key. */
  repeated: number;
  /** Most calls of one key. */
  most: number;
};

type TaskRow = { run: string; task: number; item: number; status: TaskStatus; seq: number; attempt: number; finished: Date | null };
type Seen = { run: AcceptedRun; state: StateRow; tasks: TaskRow[]; events: EventRow[]; bad: (what: string) => void };

/** A moment's grace between the clocks of the database and this process, ms. */
const CLOCK_MS = 5;
/** A task that is ended from outside may still be about to call: its worker has not heard yet. */
const ABORTED = new Set<TaskStatus>(['cancelled', 'timed_out']);
const EXECUTION: Record<string, string> = { completed: 'COMPLETED', failed: 'FAILED', timed_out: 'FAILED', cancelled: 'CANCELLED' };

/**
 * Checks what must hold after every attack: each accepted run is finished with the right counters; its events count
 * 1..n and end with its end; nothing of a task happens after its final event; no effect is called again once its task
 * is final; order and outcomes are those of the definition; Temporal agrees.
 * @param options.zombies calls of workers that were stopped and continued may come late
 * @param options.temporal false: executions may be lost (a wipe) or end otherwise (an operator)
 */
export async function holds(
  cluster: Cluster,
  runs: AcceptedRun[],
  options: { zombies?: boolean; temporal?: boolean } = {},
): Promise<Report> {
  const bad: string[] = [];
  const ids = runs.map(({ id }) => id);
  const states = new Map((await statesOf(cluster, ids)).map((state) => [state.run, state]));
  const tasks = await cluster.rows<TaskRow>(
    'select run, task, item, status, seq::int as seq, attempt, finished from task where run = any($1)',
    [ids],
  );
  for (const run of runs) {
    const state = states.get(run.id);
    if (!state) bad.push(`${run.id} was accepted and is gone`);
    else {
      const seen = { run, state, tasks: tasks.filter((row) => row.run === run.id), events: await eventsOf(cluster, run.id) };
      const say = (what: string) => bad.push(`${run.id}: ${what}`);
      checkRun({ ...seen, bad: say });
      checkEffects(cluster, { ...seen, bad: say }, options.zombies ?? false);
    }
  }
  if (options.temporal ?? true)
    for (const [id, status] of await executionsOf(cluster, ids)) {
      const wanted = EXECUTION[states.get(id)?.status ?? ''];
      if (status !== wanted) bad.push(`${id}: Temporal says ${status ?? 'nothing'}, it should be ${wanted ?? ''}`);
    }
  const counts = [...cluster.receiver.counts()].filter(([key]) => ids.includes(key.split('/')[0] ?? '')).map(([, n]) => n);
  const repeated = counts.reduce((sum, n) => sum + n - 1, 0);
  return { bad, runs: runs.length, effects: counts.length, repeated, most: Math.max(0, ...counts) };
}

function checkRun(seen: Seen): void {
  const { run, state, tasks, bad } = seen;
  if (state.finished === null) {
    bad(`is still ${state.status}`);
    return;
  }
  const { graph } = aPlan(run.definition);
  const own = tasks.filter(({ item }) => item === -1);
  if (state.open !== 0) bad(`open is ${state.open}`);
  if (state.total !== graph.names.length) bad(`total is ${state.total}, it has ${graph.names.length} tasks`);
  const failed = own.filter(({ status }) => status === 'failed' || status === 'timed_out').length;
  if (state.failed !== failed) bad(`failed is ${state.failed}, ${failed} tasks failed`);
  if (own.length !== graph.names.length) bad(`${own.length} task rows of ${graph.names.length}`);
  for (const row of tasks) if (!isFinalStatus(row.status) || row.finished === null) bad(`task ${row.task}/${row.item} is ${row.status}`);
  if (run.status !== undefined && run.status !== state.status) bad(`is ${state.status}, should be ${run.status}`);
  for (const row of own) {
    const name = graph.names[row.task] ?? '';
    const wanted = run.tasks?.[name];
    if (wanted !== undefined && wanted !== row.status) bad(`task ${name} is ${row.status}, should be ${wanted}`);
  }
  checkEvents(seen);
  checkOrder(seen, run.definition);
}

const isFinalEvent = (event: EventRow): boolean => event.type.startsWith('task.') && isFinalStatus(event.type.slice(5) as TaskStatus);

function checkEvents({ state, tasks, events, bad }: Seen): void {
  events.forEach((event, i) => {
    if (event.seq !== i + 1) bad(`event ${i + 1} is numbered ${event.seq}`);
  });
  if (events.length !== state.last_seq) bad(`${events.length} events, last_seq is ${state.last_seq}`);
  if (events[0]?.type !== 'run.accepted' || events[1]?.type !== 'run.started')
    bad(`begins with ${events[0]?.type ?? ''}, ${events[1]?.type ?? ''}`);
  if (events.at(-1)?.type !== `run.${state.status}`) bad(`is ${state.status} and its last event is ${events.at(-1)?.type ?? ''}`);
  const byTask = Map.groupBy(
    events.filter((event) => event.task !== null),
    (event) => `${event.task ?? ''}/${event.item ?? -1}`,
  );
  for (const row of tasks) {
    const own = byTask.get(`${row.task}/${row.item}`) ?? [];
    const finals = own.filter(isFinalEvent);
    if (finals.length !== 1) bad(`task ${row.task}/${row.item} has ${finals.length} final events`);
    if (finals[0] !== own.at(-1)) bad(`task ${row.task}/${row.item}: ${own.at(-1)?.type ?? ''} after ${finals[0]?.type ?? ''}`);
    if (finals[0]?.seq !== row.seq || finals[0].type !== `task.${row.status}`) bad(`task ${row.task}/${row.item}: row and event differ`);
    const attempts = own.filter(({ type }) => type === 'task.started').map(({ attempt }) => attempt ?? 0);
    if (attempts.some((attempt, i) => i > 0 && attempt <= (attempts[i - 1] ?? 0)))
      bad(`task ${row.task}/${row.item}: attempts ${attempts.join()}`);
    byTask.delete(`${row.task}/${row.item}`);
  }
  for (const key of byTask.keys()) bad(`events of task ${key}, which has no row`);
}

/** A task that ran did so after as many of its dependencies as it needed had settled. */
function checkOrder({ tasks, events, bad }: Seen, definition: Json): void {
  const { graph } = aPlan(definition);
  const settled = new Map(
    events.filter((event) => isFinalEvent(event) && event.item === null).map((event) => [event.task ?? -1, event.seq]),
  );
  for (const { task, item, status } of tasks) {
    if (item !== -1 || status === 'cancelled') continue;
    const edges = graph.deps[task] ?? [];
    const first = events.find((event) => event.task === task && event.item === null)?.seq ?? 0;
    const before = edges.filter(([dependency]) => (settled.get(dependency) ?? Infinity) < first).length;
    const needed = status === 'skipped' || status === 'blocked' || graph.need[task] === 0 ? edges.length : 1;
    if (before < needed) bad(`task ${graph.names[task] ?? ''} began with ${before} of ${needed} dependencies settled`);
  }
}

function checkEffects(cluster: Cluster, { run, tasks, events, bad }: Seen, zombies: boolean): void {
  const { graph } = aPlan(run.definition);
  const calls = cluster.receiver.calls.filter(({ key }) => key.startsWith(`${run.id}/`));
  const rowOf = new Map(tasks.map((row) => [`${run.id}/${graph.names[row.task] ?? ''}/${row.item < 0 ? '-' : row.item}/0`, row]));
  for (const { key, at } of calls) {
    const row = rowOf.get(key);
    const end = events.find(({ seq }) => seq === row?.seq);
    if (!row || !end) bad(`the receiver knows a key of no task: ${key}`);
    else if (!zombies && !ABORTED.has(row.status) && at > end.at.getTime() + CLOCK_MS)
      bad(`${key} was called ${at - end.at.getTime()} ms after it was ${row.status}`);
  }
  const called = new Set(calls.map(({ key }) => key));
  for (const [key, row] of rowOf) {
    const isCall = graph.kinds[row.task] === 'http' && (row.item >= 0 || aPlan(run.definition).tasks[row.task]?.map === undefined);
    if (isCall && row.status === 'completed' && !called.has(key)) bad(`${key} is completed and the receiver never saw it`);
  }
}
