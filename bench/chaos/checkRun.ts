import { readDefinitionValue } from '../../src/domain/definition/read.schema.ts';
import { canonicalJson } from '../../src/domain/definition/canonical.ts';
import type { Json } from '../../src/domain/json.ts';
import { compile } from '../../src/domain/plan/compile.ts';
import { isFinalStatus, type TaskStatus } from '../../src/domain/plan/outcome.ts';
import { countedTasks, mainTasks, undoneBy } from '../../src/domain/plan/phases.ts';
import type { Plan } from '../../src/domain/plan/plan.ts';
import type { Call } from '../../tests/chaos/support/receiver.ts';
import type { AcceptedRun, EventRow, StateRow } from '../../tests/chaos/support/runs.ts';

/** Of one generation of a task: a retry begins a new one of what runs again. */
export type TaskRow = {
  run: string;
  task: number;
  item: number;
  generation: number;
  status: TaskStatus;
  seq: number;
  attempt: number;
  finished: Date | null;
};

/** Everything that is known of one run: what was asked, what the rows say, what the outside world saw. */
export type Seen = {
  run: AcceptedRun;
  state: StateRow;
  tasks: readonly TaskRow[];
  events: readonly EventRow[];
  /** Calls of its effects. */
  calls: readonly Call[];
  /** Output of the run; left out where it is not compared. */
  output?: Json;
  /** Whether a call at `at` (ms) may be that of a process that stood still when its task was taken from it. */
  late: (at: number) => boolean;
};

/** `again`: a finished task did something · `events`: a gap, a double, or an event that differs from its row · the rest as it says. */
export type BreachKind = 'lost' | 'stuck' | 'again' | 'events' | 'counters' | 'outcome' | 'order' | 'effects' | 'subscribers' | 'slow';
export type Breach = { kind: BreachKind; run: string; what: string };

type Checking = Seen & {
  plan: Plan;
  bad: (kind: BreachKind, what: string) => void;
  /** Rows of the last generation of each task: what the run ended with. */
  last: readonly TaskRow[];
  /** Of a task or item in a generation (`keyOf`), in order. */
  eventsOf: ReadonlyMap<string, readonly EventRow[]>;
};

/** A moment's grace between the clocks of the database and this process, ms. */
const CLOCK_MS = 5;
/** A task that is ended from outside may still be about to call: its worker has not heard yet. */
const ABORTED = new Set<TaskStatus>(['cancelled', 'timed_out']);

/**
 * Checks one closed run against its definition: counters; events 1..n that end with its end; nothing of a task after its
 * final event; no effect called again once its task is final; order, outcomes and output.
 * @returns what is wrong
 */
export function checkRun(seen: Seen): Breach[] {
  const { run, state } = seen;
  if (state.finished === null) return [{ kind: 'stuck', run: run.id, what: `is still ${state.status}` }];
  const found: Breach[] = [];
  const bad = (kind: BreachKind, what: string) => {
    found.push({ kind, run: run.id, what });
  };
  const checking = { ...seen, plan: planOf(run.definition), bad, last: lastOf(seen.tasks), eventsOf: byGeneration(seen.events) };
  checkCounters(checking);
  checkOutcomes(checking);
  checkEvents(checking);
  checkOrder(checking);
  checkCleanup(checking);
  checkEffects(checking);
  return found;
}

function planOf(definition: Json): Plan {
  const read = readDefinitionValue(definition);
  if (!('definition' in read)) throw new Error(JSON.stringify(read.issues));
  return compile(read.definition);
}

const keyOf = (task: number, item: number | null, generation: number): string => `${task}/${item ?? -1}/${generation}`;

const lastOf = (tasks: readonly TaskRow[]): TaskRow[] => {
  const highest = new Map<number, number>();
  for (const { task, generation } of tasks) highest.set(task, Math.max(generation, highest.get(task) ?? 0));
  return tasks.filter(({ task, generation }) => generation === highest.get(task));
};

/** A generation begins with the event that says so; the first one without. */
function byGeneration(events: readonly EventRow[]): Map<string, EventRow[]> {
  const current = new Map<number, number>();
  const found = new Map<string, EventRow[]>();
  for (const event of events) {
    const { task, item, type, data } = event;
    if (task === null || type.startsWith('command.')) continue;
    const begun = type === 'task.pending' ? (data as { generation?: number } | null)?.generation : undefined;
    if (begun !== undefined) current.set(task, begun);
    const key = keyOf(task, item, current.get(task) ?? 0);
    found.set(key, [...(found.get(key) ?? []), event]);
  }
  return found;
}

/** Of a fork: what it has kept of its source, before it began. */
const isKept = ({ type, data }: EventRow): boolean =>
  type.startsWith('task.') && typeof (data as { from?: unknown } | null)?.from === 'string';

function checkCounters({ state, tasks, last, plan, bad }: Checking): void {
  const { graph } = plan;
  const own = last.filter(({ item }) => item === -1);
  if (state.open !== 0) bad('counters', `open is ${state.open}`);
  const total = countedTasks(graph);
  if (state.total !== total) bad('counters', `total is ${state.total}, it has ${total} tasks`);
  const failed = own.filter(({ status }) => status === 'failed' || status === 'timed_out').length;
  if (state.failed !== failed) bad('counters', `failed is ${state.failed}, ${failed} tasks failed`);
  const counted = own.filter(({ task }) => task < total).length;
  if (counted !== total) bad('counters', `${counted} task rows of ${total}`);
  for (const row of tasks)
    if (!isFinalStatus(row.status) || row.finished === null) bad('counters', `task ${row.task}/${row.item} is ${row.status}`);
}

function checkOutcomes({ run, state, last, output, plan, bad }: Checking): void {
  const cancelled = run.cancellable === true && state.status === 'cancelled';
  if (run.status !== undefined && run.status !== state.status && !cancelled) bad('outcome', `is ${state.status}, should be ${run.status}`);
  for (const row of last) {
    const name = plan.graph.names[row.task] ?? '';
    const wanted = run.tasks?.[name];
    if (row.item === -1 && wanted !== undefined && wanted !== row.status && !cancelled)
      bad('outcome', `task ${name} is ${row.status}, should be ${wanted}`);
  }
  if (run.output === undefined || state.status !== 'completed') return;
  if (canonicalJson(output ?? null) !== canonicalJson(run.output))
    bad('outcome', `its output is ${JSON.stringify(output).slice(0, 100)}, should be ${JSON.stringify(run.output)}`);
}

/** That a task is undone comes besides: it has ended before. */
const isFinalEvent = (event: EventRow): boolean =>
  event.type.startsWith('task.') && event.type !== 'task.compensated' && isFinalStatus(event.type.slice(5) as TaskStatus);

function checkEvents({ state, tasks, events, eventsOf, bad }: Checking): void {
  events.forEach((event, i) => {
    if (event.seq !== i + 1) bad('events', `event ${i + 1} is numbered ${event.seq}`);
  });
  if (events.length !== state.last_seq) bad('events', `${events.length} events, last_seq is ${state.last_seq}`);
  const own = events.filter((event) => !isKept(event));
  const opening = own.slice(
    0,
    own.findIndex(({ type }) => type.startsWith('task.')),
  );
  const types = opening.map(({ type }) => type).filter((type) => !type.startsWith('command.')); // one may come before the start
  const endedInQueue = state.started === null && ['timed_out', 'cancelled'].includes(state.status);
  if (types[0] !== 'run.accepted' || (types[1] !== 'run.started' && !endedInQueue)) bad('events', `begins with ${types.join()}`);
  if (events.at(-1)?.type !== `run.${state.status}`) bad('events', `is ${state.status} and its last event is ${events.at(-1)?.type ?? ''}`);
  const left = new Map(eventsOf);
  for (const row of tasks) {
    const key = keyOf(row.task, row.item, row.generation);
    const all = left.get(key) ?? [];
    const isUndone = row.status === 'compensated' && all.at(-1)?.type === 'task.compensated' && all.at(-1)?.seq === row.seq;
    const before = isUndone ? all.slice(0, -1) : all;
    const finals = before.filter(isFinalEvent);
    if (finals.length !== 1) bad(finals.length > 1 ? 'again' : 'events', `task ${key} has ${finals.length} final events`);
    if (finals[0] !== before.at(-1)) bad('again', `task ${key}: ${before.at(-1)?.type ?? ''} after ${finals[0]?.type ?? ''}`);
    if (!isUndone && (finals[0]?.seq !== row.seq || finals[0].type !== `task.${row.status}`))
      bad('events', `task ${key}: row and event differ`);
    if (isUndone && finals[0]?.type !== 'task.completed') bad('order', `task ${key} was undone after ${finals[0]?.type ?? 'nothing'}`);
    const attempts = before.filter(({ type }) => type === 'task.started').map(({ attempt }) => attempt ?? 0);
    if (attempts.some((attempt, i) => i > 0 && attempt <= (attempts[i - 1] ?? 0)))
      bad('events', `task ${key}: attempts ${attempts.join()}`);
    left.delete(key);
  }
  for (const key of left.keys()) bad('events', `events of task ${key}, which has no row`);
}

/** A task that ran did so after as many of its dependencies as it needed had settled. */
function checkOrder({ last, eventsOf, plan, bad }: Checking): void {
  const { graph } = plan;
  const own = last.flatMap(({ task, item, generation }) => (item === -1 ? (eventsOf.get(keyOf(task, null, generation)) ?? []) : []));
  const settled = new Map(own.filter(isFinalEvent).map((event) => [event.task, event.seq]));
  // that it runs again is said before what it depends on has
  const began = new Map(own.toReversed().flatMap((event) => (event.type === 'task.pending' ? [] : [[event.task, event.seq] as const])));
  for (const { task, item, status } of last) {
    if (item !== -1 || status === 'cancelled') continue;
    const edges = graph.deps[task] ?? [];
    const first = began.get(task) ?? 0;
    const before = edges.filter(([dependency]) => (settled.get(dependency) ?? Infinity) < first).length;
    // with `join: any` its own condition may skip it as soon as one has matched
    const needed = status === 'blocked' || graph.need[task] === 0 ? edges.length : 1;
    if (before < needed) bad('order', `task ${graph.names[task] ?? ''} began with ${before} of ${needed} dependencies settled`);
  }
}

/** What cleans up begins when all tasks have settled; what was completed last is undone first. */
function checkCleanup({ events, plan, bad }: Checking): void {
  const { graph } = plan;
  const own = events.filter(({ task, item, type }) => task !== null && item === null && type !== 'task.compensated');
  const settled = Math.max(0, ...own.filter((event) => (event.task ?? 0) < mainTasks(graph)).map(({ seq }) => seq));
  for (const { task, seq, type } of own)
    if ((task ?? 0) >= mainTasks(graph) && seq < settled && type !== 'task.cancelled')
      bad('order', `${type} of ${graph.names[task ?? 0] ?? ''} came before all tasks had settled`);
  const ends = own.filter(isFinalEvent);
  const undone = ends
    .flatMap(({ task }) => undoneBy(graph, task ?? 0) ?? [])
    .map((task) => ends.find((event) => event.task === task)?.seq ?? 0);
  if (undone.some((seq, i) => i > 0 && seq > (undone[i - 1] ?? 0))) bad('order', `what ended at ${undone.join()} was undone in this order`);
}

function checkEffects({ run, tasks, eventsOf, calls, late, plan, bad }: Checking): void {
  const { graph } = plan;
  const rowOf = new Map(
    tasks.map((row) => [`${run.id}/${graph.names[row.task] ?? ''}/${row.item < 0 ? '-' : row.item}/${row.generation}`, row]),
  );
  const bodies = new Map<string, string>();
  for (const { key, at, path, body } of calls) {
    const row = rowOf.get(key);
    const end = row && eventsOf.get(keyOf(row.task, row.item, row.generation))?.findLast(isFinalEvent);
    if (!row || !end) bad('effects', `the receiver knows a key of no task: ${key}`);
    else if (!late(at) && !ABORTED.has(row.status) && at > end.at.getTime() + CLOCK_MS)
      bad('again', `${key} was called ${at - end.at.getTime()} ms after it was ${row.status}`);
    if ((bodies.get(key) ?? path + body) !== path + body) bad('effects', `${key} was used for two different requests`);
    bodies.set(key, path + body);
  }
  for (const [key, row] of rowOf) {
    const isCall = graph.kinds[row.task] === 'http' && (row.item >= 0 || plan.tasks[row.task]?.map === undefined);
    const isOurs = eventsOf.get(keyOf(row.task, row.item, row.generation))?.every((event) => !isKept(event)) ?? true;
    if (isCall && isOurs && (row.status === 'completed' || row.status === 'compensated') && !bodies.has(key))
      bad('effects', `${key} is completed and the receiver never saw it`);
  }
}
