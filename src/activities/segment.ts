import { randomUUID } from 'node:crypto';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { loadOwner, type LoadedOwner } from '../db/execution.ts';
import { Refused, Stale, type Committed, type JournalRecord } from '../db/journal/record.ts';
import { isFinal, outcomeOf, PENDING, type ClosedStatus, type TaskStatus } from '../domain/plan/outcome.ts';
import { mayOwn } from '../domain/plan/places.ts';
import {
  createState,
  decide,
  enter,
  hasFailedForGood,
  isOwnedBy,
  reach,
  record,
  recordRows,
  rowOf,
  verdict,
  type GraphState,
  standingOf,
  type OutcomeRow,
  type Stop,
} from '../domain/plan/state.ts';
import { Problem } from '../domain/problem.ts';
import { cleanupOf } from '../domain/plan/cleanup.ts';
import { cleansUp, MAIN, mainTasks } from '../domain/plan/phases.ts';
import type { Graph } from '../domain/plan/plan.ts';
import { createRankedQueue, type RankedQueue } from '../domain/plan/rankedQueue.ts';
import { closingRecord } from './closing.ts';
import type { ActivityDeps } from './deps.ts';
import { createOutputs, type Outputs, type TaskView } from './outputs.ts';
import type { RunContext } from './plans.ts';
import type { Mark } from './items.ts';

/** What an activity tells the workflow: everything it owns, whoever recorded it. */
export type Owned = { rows: OutcomeRow[]; intent: Stop | null; due: number | null; closed: ClosedStatus | null };
export type OwnedOrStale = Owned | { stale: true };

/** Inline tasks at work at once in one segment. */
const MAX_ACTIVE = 200;

type Before = { status: TaskStatus; attempt: number; losses: number };

/** Tasks that it may begin. */
type Todo = RankedQueue;

/** One activity's view of a run while it runs what it owns: its roots and whatever its own commits release. */
export type Segment = {
  deps: ActivityDeps;
  context: RunContext;
  epoch: number;
  state: GraphState;
  outputs: Outputs;
  owned: Set<number>;
  todo: Todo;
  /** Of tasks that go one at a time: all with a lower number have ended. */
  turn: number;
  active: number;
  commits: number;
  token: string;
  handle: { dead?: Error };
  before: Map<number, Before>;
  /** A worker died since the last commit: the tasks that were ready then go one at a time, and each says first that it begins. */
  careful: boolean;
  /** How many of those are left. */
  suspects: number;
  /** Its view holds every task, so it can tell the end of the run. */
  whole: boolean;
  until: number;
  openedAt: number;
  abort: AbortController;
  intent: Stop | null;
  due: number | null;
  closed: ClosedStatus | null;
  closing: boolean;
  /** A task that is held was left out. */
  skipped: boolean;
  stale: boolean;
  error: Error | undefined;
  execute: (segment: Segment, task: number) => Promise<void>;
  wake: () => void;
};

export type OwnRequest = {
  run: string;
  epoch: number;
  roots: readonly number[];
  sliceMs: number;
  /** What the database would say of the tasks, when it has just said so. */
  loaded?: LoadedOwner;
  /** Every row of the run, read under this epoch: with them the segment can tell its end though it began in the middle. */
  known?: readonly OutcomeRow[];
};

/** @returns undefined if the epoch is over */
export async function openSegment(
  deps: ActivityDeps,
  context: RunContext,
  request: OwnRequest & Pick<Segment, 'execute'>,
): Promise<Segment | undefined> {
  const state = createState(context.compiled.plan.graph);
  const needed = reach(state, request.roots, mayOwn(state));
  const loaded = request.loaded ?? (await loadOwner(deps.db, { run: request.run, epoch: request.epoch, tasks: needed }));
  if ('stale' in loaded) return undefined;
  enter(state, loaded.phase);
  state.held = new Set(loaded.held);
  if (request.known) recordRows(state, request.known);
  const before = new Map<number, Before>();
  for (const [task, status, seq, generation, branch, attempt, losses] of loaded.rows) {
    record(state, { task, outcome: standingOf(status), seq, generation, branch });
    before.set(task, { status, attempt, losses });
  }
  return {
    deps,
    context,
    epoch: request.epoch,
    state,
    outputs: createOutputs(deps, context),
    owned: new Set(),
    todo: todoOf(state.graph),
    turn: request.roots.reduce((first, root) => Math.min(first, root), state.size),
    active: 0,
    commits: 0,
    token: randomUUID(),
    handle: {},
    before,
    careful: loaded.careful,
    suspects: 0,
    whole: request.known !== undefined || needed.length === mainTasks(state.graph),
    until: performance.now() + request.sliceMs,
    openedAt: performance.now(),
    abort: new AbortController(),
    intent: loaded.intent,
    due: loaded.due,
    closed: null,
    ...{ closing: false, skipped: false },
    stale: false,
    error: undefined,
    execute: request.execute,
    wake: () => undefined,
  };
}

/** Runs a segment to its end: nothing ready, or its slice is up, or the run stops. */
export async function drain(segment: Segment, roots: readonly number[]): Promise<void> {
  const unlisten = segment.deps.aborts.add(segment.context.facts.run, ({ stop, held }) => {
    segment.state.held = new Set(held);
    if (stop !== null && segment.intent !== stop) {
      segment.intent = stop;
      if (stop !== 'pause') segment.abort.abort(new Problem('task_cancelled'));
    }
    pump(segment);
  });
  try {
    await new Promise<void>((resolve) => {
      segment.wake = resolve;
      for (const root of roots) own(segment, root);
      segment.suspects = segment.todo.size();
      pump(segment);
    });
  } finally {
    unlisten();
  }
}

export function halted(segment: Segment): boolean {
  return (
    segment.stale ||
    segment.error !== undefined ||
    segment.closed !== null ||
    segment.intent !== null ||
    performance.now() > segment.until ||
    (segment.state.graph.failFast === 1 && hasFailedForGood(segment.state))
  );
}

function pump(segment: Segment): void {
  const limit = segment.careful ? 1 : MAX_ACTIVE;
  while (segment.active < limit && !halted(segment)) {
    const task = take(segment);
    if (task === undefined) break;
    if (segment.state.held.has(task)) {
      segment.skipped = true; // the workflow begins it when it may
      continue;
    }
    segment.active++;
    segment
      .execute(segment, task)
      .catch((error: unknown) => {
        segment.error ??= asError(error);
      })
      .finally(() => {
        segment.active--;
        if (--segment.suspects <= 0) segment.careful = false;
        pump(segment);
      });
  }
  if (segment.active === 0 && segment.commits === 0) segment.wake();
}

/** The next task that may begin; undefined: none may here, whatever is left is for the workflow. */
function take(segment: Segment): number | undefined {
  const { todo, state } = segment;
  if (!state.graph.inTurn) return todo.pop();
  while (isFinal(state.outcome[segment.turn] ?? PENDING)) segment.turn++;
  return todo.first() === segment.turn ? todo.pop() : undefined;
}

/** In the order in which they begin: by their numbers one at a time, by rank, or as they came. */
function todoOf({ inTurn, rank }: Graph): Todo {
  if (inTurn || rank) return createRankedQueue((task) => (inTurn ? task : (rank?.[task] ?? 0)));
  const tasks: number[] = [];
  return { push: (task) => void tasks.push(task), pop: () => tasks.shift(), first: () => tasks[0], size: () => tasks.length };
}

/** Takes a task into ownership: to run it, or if it has settled already, to go on with what it released. */
function own(segment: Segment, task: number): void {
  if (segment.owned.has(task)) return;
  segment.owned.add(task);
  if (segment.state.outcome[task] === PENDING) segment.todo.push(task);
  else release(segment, task);
}

function release(segment: Segment, task: number): void {
  const { state, owned } = segment;
  for (const [dependant] of state.dependants[task] ?? [])
    if (!owned.has(dependant) && mayOwn(state)(dependant) && verdict(state, dependant) !== 0 && isOwnedBy(state, dependant, owned))
      own(segment, dependant);
}

/** Records a task's end (or wait) in memory, so that successors may start, and sends it to the journal. Resolves when durable. */
export function settle(segment: Segment, mark: Mark, view: TaskView): Promise<void> {
  const { state } = segment;
  record(state, {
    task: mark.task,
    outcome: outcomeOf(mark.status),
    seq: Number.POSITIVE_INFINITY,
    generation: mark.generation,
    branch: mark.branch ?? 0,
  });
  segment.outputs.settle(mark.task, view);
  const durable = commit(segment, mark).then((committed) => {
    if (committed) state.seq[mark.task] = committed.seq;
  });
  release(segment, mark.task);
  if (segment.whole && state.phase === MAIN && state.open === 0 && !segment.closing && segment.intent === null && endsHere(state)) {
    segment.closing = true;
    segment.active++;
    void proposeEnd(segment).finally(() => {
      segment.active--;
      pump(segment);
    });
  }
  return durable;
}

/** Whether nothing follows when its tasks have settled: whatever cleans up is begun by the workflow alone. */
const endsHere = (state: GraphState): boolean => !cleansUp(state.graph) || cleanupOf(state, decide(state, null)) === null;

/** The last commit of a run also writes its final status, so subscribers learn the end before Temporal has closed the workflow. */
async function proposeEnd(segment: Segment): Promise<void> {
  try {
    await commit(segment, await closingRecord(segment.deps, segment, null));
  } catch (error) {
    segment.error ??= asError(error);
  }
}

type Sendable = Mark | Omit<Extract<JournalRecord, { type: 'close' }>, 'segment' | 'run' | 'epoch'>;

/** Sends one record. A refusal is remembered, never thrown: the segment stops and forgets what it had in memory. */
export async function commit(segment: Segment, sendable: Sendable): Promise<Committed | undefined> {
  const { deps, context, epoch, token, handle } = segment;
  segment.commits++;
  try {
    const committed = await deps.journal.push({
      ...sendable,
      segment: handle,
      run: context.facts.run,
      epoch,
      ...(sendable.type === 'task' && { token }),
    } as JournalRecord);
    if (committed.intent !== null) segment.intent = committed.intent;
    if (committed.closed) segment.closed = committed.closed;
    return committed;
  } catch (error) {
    await refuse(segment, sendable, error);
    return undefined;
  } finally {
    segment.commits--;
    queueMicrotask(() => {
      pump(segment);
    });
  }
}

async function refuse(segment: Segment, sendable: Sendable, error: unknown): Promise<void> {
  if (error instanceof Stale) segment.stale = true;
  else if (error instanceof Refused) segment.error ??= displaced();
  else if (error instanceof Problem && sendable.type === 'task') {
    segment.error ??= displaced();
    const { task, item, generation, attempt } = sendable;
    const failure = JSON.stringify(error.toFailure());
    const { context, epoch, token } = segment;
    await segment.deps.journal
      .push({ type: 'task', segment: {}, run: context.facts.run, epoch, token, task, item, generation, attempt, status: 'failed', failure })
      .catch(() => undefined);
  } else segment.error ??= asError(error);
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** Somebody else owns the task: look again in a moment, what they recorded is then ours to report. */
export const displaced = (): ApplicationFailure =>
  ApplicationFailure.create({
    message: 'displaced',
    type: 'displaced',
    nextRetryDelay: '200ms',
    category: ApplicationFailureCategory.BENIGN,
  });

/** @throws what ended the segment before its time, for Temporal to repeat it */
export function reportOf(segment: Segment): OwnedOrStale {
  if (segment.stale) return { stale: true };
  if (segment.error !== undefined) throw segment.error;
  const { state, intent, closed } = segment;
  const rows = [...segment.owned]
    .filter((task) => Number.isFinite(state.seq[task]) && state.outcome[task] !== PENDING)
    .map((task) => rowOf(state, task));
  const due = segment.due === null ? null : Math.max(0, segment.due - (performance.now() - segment.openedAt));
  return { rows, intent: intent ?? (segment.skipped ? 'pause' : null), due, closed };
}

/** A wait of this segment is due in `ms`. */
export function dueIn(segment: Segment, ms: number): void {
  const sinceOpened = performance.now() - segment.openedAt + ms;
  segment.due = segment.due === null ? sinceOpened : Math.min(segment.due, sinceOpened);
}
