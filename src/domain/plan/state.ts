import {
  BLOCKED,
  COMPLETED,
  isAtWork,
  isFinal,
  outcomeOf,
  PENDING,
  SKIPPED,
  statusOf,
  WAITING,
  type Outcome,
  type TaskStatus,
} from './outcome.ts';
import { COMPENSATE, FINALLY, MAIN, mainTasks, phaseOf, type Phase } from './phases.ts';
import type { Graph } from './plan.ts';

/** Why a run stops before its tasks are done: a command, its deadline, or `onError: failFast`. */
export type Intent = 'cancel' | 'force' | 'timeout' | 'fail';
/** Why nothing new may begin: what the run was asked, or that it is paused. While it cleans up, only `force` and a pause stop it. */
export type Stop = Intent | 'pause';

/**
 * How an outcome travels from an activity to the workflow: readable in the Temporal UI.
 * `seq` is the number of the event that recorded it; a row with a lower one is older news.
 */
export type OutcomeRow = [name: string, status: TaskStatus, seq: number, generation?: number, branch?: number];

type Dependant = readonly [task: number, edge: number];

/** What is known of a run's tasks, with counters that make every step O(edges of what changed). */
export type GraphState = {
  graph: Graph;
  size: number;
  outcome: Outcome[];
  generation: number[];
  seq: number[];
  branch: number[];
  /** Per task: its edges that are satisfied, whose dependency has settled, and that settled badly without satisfying. */
  satisfied: number[];
  settled: number[];
  bad: number[];
  dependants: Dependant[][];
  index: Map<string, number>;
  phase: Phase;
  /** Compensations that the run needs. */
  begun: Set<number>;
  /** Tasks that nobody may begin. */
  held: ReadonlySet<number>;
  /** Tasks of this phase and those before it without a final outcome. */
  open: number;
  waiting: Set<number>;
  /** Pending tasks that have begun before: a worker was lost, or their turn in a line has come. */
  resumed: Set<number>;
  /** Pending tasks whose verdict is known. */
  ready: Set<number>;
  /** Tasks that somebody is at work on. */
  busy: Set<number>;
};

/** Verdicts on a pending task: run it, or settle it as SKIPPED or BLOCKED; UNDECIDED until then. */
export const UNDECIDED = 0;
export const RUN = 1;

export function createState(graph: Graph, phase: Phase = MAIN): GraphState {
  const size = graph.names.length;
  const zeros = () => new Array<number>(size).fill(0);
  const state: GraphState = {
    graph,
    size,
    outcome: zeros(),
    generation: zeros(),
    seq: zeros(),
    branch: zeros(),
    satisfied: zeros(),
    settled: zeros(),
    bad: zeros(),
    dependants: graph.names.map(() => []),
    index: new Map(graph.names.map((name, i) => [name, i])),
    ...{ phase: MAIN, begun: new Set(), held: new Set() },
    open: mainTasks(graph),
    waiting: new Set(),
    resumed: new Set(),
    ready: new Set(),
    busy: new Set(),
  };
  graph.deps.forEach((edges, task) => {
    edges.forEach(([dependency], edge) => state.dependants[dependency]?.push([task, edge]));
  });
  for (let task = 0; task < state.open; task++) refresh(state, task);
  enter(state, phase);
  return state;
}

const at = (values: readonly number[], i: number): number => values[i] ?? 0;

/** Whether a task counts by now: a compensation once it is needed, one of `finally` once its time has come. */
function isActive({ graph, phase, begun }: GraphState, task: number): boolean {
  const own = phaseOf(graph, task);
  return own === COMPENSATE ? begun.has(task) : own <= phase;
}

/** The run goes on to a later phase, whose tasks count from now on. */
export function enter(state: GraphState, phase: Phase): void {
  if (phase <= state.phase) return;
  state.phase = phase;
  state.outcome.forEach((outcome, task) => {
    if (phase === FINALLY && phaseOf(state.graph, task) === FINALLY) state.open += Number(!isFinal(outcome));
    refresh(state, task);
  });
}

/** UNDECIDED, RUN, SKIPPED or BLOCKED. Skipped or blocked is decided when all dependencies have settled, so it never depends on their order. */
export function verdict(state: GraphState, task: number): number {
  const edges = state.graph.deps[task]?.length ?? 0;
  if (at(state.satisfied, task) >= (at(state.graph.need, task) || edges)) return RUN;
  if (at(state.settled, task) < edges) return UNDECIDED;
  return at(state.bad, task) > 0 ? BLOCKED : SKIPPED;
}

function refresh(state: GraphState, task: number): void {
  const isNow = phaseOf(state.graph, task) === state.phase && isActive(state, task);
  if (isNow && at(state.outcome, task) === PENDING && verdict(state, task) !== UNDECIDED) state.ready.add(task);
  else state.ready.delete(task);
}

type Settled = { outcome: Outcome; branch: number };

/** What an edge makes of its dependency's final outcome. A completed switch satisfies only the edges of the branch it took. */
function judge(state: GraphState, [task, edge]: Dependant, { outcome, branch }: Settled): 'satisfied' | 'bad' | 'neither' {
  const [, mask, branches] = state.graph.deps[task]?.[edge] ?? [0, 0];
  const chosen = outcome !== COMPLETED || branches === undefined || branches.includes(branch);
  if ((mask >> outcome) & 1 && chosen) return 'satisfied';
  return outcome === COMPLETED || outcome === SKIPPED ? 'neither' : 'bad';
}

function count(state: GraphState, dependant: Dependant, { by, ...settled }: Settled & { by: 1 | -1 }): void {
  const [task] = dependant;
  state.settled[task] = at(state.settled, task) + by;
  const what = judge(state, dependant, settled);
  if (what === 'satisfied') state.satisfied[task] = at(state.satisfied, task) + by;
  else if (what === 'bad') state.bad[task] = at(state.bad, task) + by;
}

export type Change = { task: number; outcome: Outcome; seq: number; generation?: number; branch?: number };

/** The one way an outcome enters a state. Older news than what is known changes nothing. @returns whether it was news */
export function record(state: GraphState, change: Change): boolean {
  const { task, outcome, seq } = change;
  if (seq <= at(state.seq, task)) return false;
  if (phaseOf(state.graph, task) === COMPENSATE && !state.begun.has(task)) {
    state.begun.add(task);
    state.open++;
  }
  const before = at(state.outcome, task);
  const branchBefore = at(state.branch, task);
  const branch = change.branch ?? 0;
  state.seq[task] = seq;
  state.generation[task] = change.generation ?? 0;
  state.outcome[task] = outcome;
  state.branch[task] = branch;
  if (outcome === WAITING) state.waiting.add(task);
  else state.waiting.delete(task);
  if (outcome === PENDING && before === WAITING) state.resumed.add(task);
  else state.resumed.delete(task);
  if (isActive(state, task)) state.open += Number(isFinal(before)) - Number(isFinal(outcome));
  for (const dependant of state.dependants[task] ?? []) {
    if (isFinal(before)) count(state, dependant, { outcome: before, branch: branchBefore, by: -1 });
    if (isFinal(outcome)) count(state, dependant, { outcome, branch, by: 1 });
    refresh(state, dependant[0]);
  }
  refresh(state, task);
  return true;
}

/** What a row's status means here: work in progress counts as pending. */
export function standingOf(status: TaskStatus): Outcome {
  const outcome = outcomeOf(status);
  return isFinal(outcome) || outcome === WAITING ? outcome : PENDING;
}

/** Applies rows as activities return them. */
export function recordRows(state: GraphState, rows: readonly OutcomeRow[]): void {
  for (const [name, status, seq, generation, branch] of rows) {
    const task = state.index.get(name);
    if (task === undefined) continue;
    const isNews = record(state, { task, outcome: standingOf(status), seq, generation: generation ?? 0, branch: branch ?? 0 });
    if (isNews && isAtWork(status)) state.resumed.add(task);
  }
}

export function rowOf(state: GraphState, task: number): OutcomeRow {
  const row: OutcomeRow = [state.graph.names[task] ?? '', statusOf(at(state.outcome, task)), at(state.seq, task)];
  const [generation, branch] = [at(state.generation, task), at(state.branch, task)];
  if (generation || branch) row.push(generation);
  if (branch) row.push(branch);
  return row;
}

/** The task whose commit made `task` decidable: its owner runs it and nobody else does. -1: it has no dependencies. */
export function releaser(state: GraphState, task: number): number {
  const edges = state.graph.deps[task] ?? [];
  if (edges.length === 0) return -1;
  const runs = verdict(state, task) === RUN;
  const by = edges
    .map(([dependency], edge) => ({ dependency, edge }))
    .filter(({ dependency, edge }) => {
      const outcome = at(state.outcome, dependency);
      return !runs || (isFinal(outcome) && judge(state, [task, edge], { outcome, branch: at(state.branch, dependency) }) === 'satisfied');
    })
    .map(({ dependency }) => dependency)
    .sort((a, b) => at(state.seq, a) - at(state.seq, b));
  const need = runs ? at(state.graph.need, task) || edges.length : by.length;
  return by[need - 1] ?? -1;
}

/** Whether one of the tasks that `owned` holds released `task`. */
export const isOwnedBy = (state: GraphState, task: number, owned: ReadonlySet<number>): boolean => owned.has(releaser(state, task));

/** The tasks an owner of `roots` may come to run, and every dependency it must know to do so, ascending. */
export function reach(state: GraphState, roots: readonly number[], mayRun: (task: number) => boolean): number[] {
  const owned = new Set(roots);
  const stack = [...roots];
  for (let task = stack.pop(); task !== undefined; task = stack.pop())
    for (const [dependant] of state.dependants[task] ?? [])
      if (!owned.has(dependant) && mayRun(dependant)) {
        owned.add(dependant);
        stack.push(dependant);
      }
  const needed = new Set(owned);
  for (const task of owned) for (const [dependency] of state.graph.deps[task] ?? []) needed.add(dependency);
  return [...needed].sort((a, b) => a - b);
}

/** Whether a failed task has a dependant that accepts its outcome and is in one of `outcomes`. */
function accepted(state: GraphState, task: number, by: (dependant: Outcome) => boolean): boolean {
  const outcome = at(state.outcome, task);
  return (state.dependants[task] ?? []).some(
    (dependant) => by(at(state.outcome, dependant[0])) && judge(state, dependant, { outcome, branch: 0 }) === 'satisfied',
  );
}

/** All that depends on a task, directly or not. */
export function dependantsOf(state: GraphState, task: number): number[] {
  const found = new Set<number>();
  const stack = [task];
  for (let at = stack.pop(); at !== undefined; at = stack.pop())
    for (const [dependant] of state.dependants[at] ?? [])
      if (!found.has(dependant)) {
        found.add(dependant);
        stack.push(dependant);
      }
  return [...found];
}

const FAILURES = new Set([outcomeOf('failed'), outcomeOf('timed_out')]);

/** Tasks that make the run fail: failed or timed out, not tolerated, and no completed dependant accepts it. */
export function failures(state: GraphState): number[] {
  return failedWithout(state, (outcome) => outcome === COMPLETED);
}

/** Whether the run has failed for good already, whatever its open tasks become: what `onError: failFast` acts on. */
export function hasFailedForGood(state: GraphState): boolean {
  return failedWithout(state, (outcome) => outcome === COMPLETED || !isFinal(outcome)).length > 0;
}

function failedWithout(state: GraphState, by: (dependant: Outcome) => boolean): number[] {
  const found: number[] = [];
  state.outcome.slice(0, mainTasks(state.graph)).forEach((outcome, task) => {
    if (FAILURES.has(outcome) && state.graph.tolerant[task] !== 1 && !accepted(state, task, by)) found.push(task);
  });
  return found;
}

/** The status of a run whose tasks have all settled. */
export function decide(state: GraphState, intent: Stop | null): 'completed' | 'failed' | 'cancelled' | 'timed_out' {
  if (intent === 'timeout') return 'timed_out';
  if (intent === 'cancel' || intent === 'force') return 'cancelled';
  return intent === 'fail' || failures(state).length > 0 ? 'failed' : 'completed';
}
