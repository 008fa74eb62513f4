import type { RunStatus, TaskStatus } from '../../../src/domain/plan/outcome.ts';
import { FINALLY, MAIN, type Phase } from '../../../src/domain/plan/phases.ts';
import type { Intent, Stop } from '../../../src/domain/plan/state.ts';

/** Rows as PostgreSQL has them: null where a column has no value, times in ms by the database's clock. */
type RunState = {
  run: string;
  workspace: string;
  status: RunStatus;
  intent: Intent | null;
  reason: string | null;
  epoch: number;
  owner: string | null;
  ownerUntil: number | null;
  total: number;
  open: number;
  failed: number;
  lastSeq: number;
  commandSeq: number;
  appliedSeq: number;
  segOpen: number;
  restarts: number;
  cancelSent: boolean;
  deadline: number | null;
  started: number | null;
  finished: number | null;
  failure: string | null;
  pokedSeq: number;
  pokeAfter: number | null;
  notBefore: number | null;
  phase: Phase;
  decided: RunStatus | null;
  paused: boolean;
  held: number[] | null;
};

export type TaskRow = {
  task: number;
  item: number;
  generation: number;
  status: TaskStatus;
  branch: number | null;
  attempt: number;
  losses: number;
  token: string | null;
  seq: number;
  /** JSON text. */
  output: string | null;
  failure: string | null;
  started: number | null;
  finished: number | null;
  nextAt: number | null;
  deadline: number | null;
};

export type EventRow = {
  seq: number;
  type: string;
  task: number | null;
  item: number | null;
  attempt: number | null;
  data: string | null;
  at: number;
};

export type WaitRow = {
  task: number;
  item: number;
  generation: number;
  kind: string;
  until: number | null;
  decision: TaskStatus | null;
  failure: string | null;
  closed: boolean;
  dispatched: boolean;
  /** JSON text: what it says of itself, what it was given. */
  data: string | null;
  output: string | null;
};

/** An event of the workspace; taken: somebody has got it. */
type OutsideEvent = {
  id: string;
  workspace: string;
  name: string;
  key: string;
  payload: string;
  at: number;
  expires: number;
  taken: number | null;
};

type SliceRow = { task: number; generation: number; k: number; lo: number; hi: number; done: boolean };

/** All that belongs to one run. */
export type RunRows = {
  state: RunState;
  definition: string;
  plan: string;
  input: string | null;
  priority: number;
  mode: string;
  created: number;
  deadlineMs: number | null;
  tasks: Map<string, TaskRow>;
  events: EventRow[];
  commands: { seq: number; type: string; payload: string; task: number | null; phase: Phase }[];
  waits: Map<string, WaitRow>;
  slices: SliceRow[];
  output: string | null;
  forkedFrom: string | null;
};

export type Tables = {
  now: () => number;
  runs: Map<string, RunRows>;
  plans: Map<string, string>;
  keys: Map<string, { hash: string; run: string; expires: number }>;
  events: Map<string, OutsideEvent>;
  /** Runs with a command, other than a cancel, that their workflow has not seen. */
  untold: Map<string, { pokeAfter: number | null }>;
  /** Runs that ended where they stood and whose executions have not learned of it. */
  unshown: Map<string, { asked: number; askedAt: number | null }>;
  duties: Map<string, { holder: string; expires: number }>;
  workers: Map<string, { session: number | null; seen: number }>;
  /** Workers whose session lives. */
  locks: Set<string>;
  /** When the server began to accept sessions. */
  servingSince: number;
};

export const createTables = (now: () => number): Tables => ({
  now,
  runs: new Map(),
  plans: new Map(),
  keys: new Map(),
  events: new Map(),
  untold: new Map(),
  unshown: new Map(),
  duties: new Map(),
  workers: new Map(),
  locks: new Set(),
  servingSince: 0,
});

export const taskKey = (task: number, item: number, generation: number): string => `${task}/${item}/${generation}`;

export const UNFINISHED: ReadonlySet<string> = new Set(['running', 'waiting', 'retrying']);
const FAILED: ReadonlySet<string> = new Set(['failed', 'timed_out']);
export const countsAsFailed = (status: string): boolean => FAILED.has(status);

export const aTask = (task: number, item: number, generation: number): TaskRow => ({
  ...{ task, item, generation, status: 'pending', branch: null, attempt: 0, losses: 0, token: null, seq: 0 },
  ...{ output: null, failure: null, started: null, finished: null, nextAt: null, deadline: null },
});

export const aWait = (of: Pick<WaitRow, 'task' | 'item' | 'generation' | 'kind' | 'until'>): WaitRow => ({
  ...{ ...of, decision: null, failure: null, closed: false, dispatched: false, data: null, output: null },
});

/** The newest generation of each task, by task. */
export function newest(rows: RunRows, tasks: readonly number[] | null): TaskRow[] {
  const found = new Map<number, TaskRow>();
  for (const row of rows.tasks.values()) {
    if (row.item !== -1 || (tasks && !tasks.includes(row.task))) continue;
    if ((found.get(row.task)?.generation ?? -1) < row.generation) found.set(row.task, row);
  }
  return [...found.values()].sort((a, b) => a.task - b.task);
}

/** `[task, status, seq, generation, branch, attempt, losses]` */
export const toRow = (row: TaskRow): unknown[] => [row.task, row.status, row.seq, row.generation, row.branch ?? 0, row.attempt, row.losses];

/** Why nothing new may begin. */
export function stopOf({ intent, phase, paused }: RunState): Stop | null {
  if (intent !== null && (intent === 'force' || phase === MAIN)) return intent;
  return paused ? 'pause' : null;
}

/** Time to the next wait or deadline, ms; null: none. */
export function dueMs(rows: RunRows, now: number): number | null {
  const { phase, intent, deadline } = rows.state;
  const runsOut = (phase === MAIN && intent === null) || (phase === FINALLY && intent !== 'force');
  let due = runsOut && deadline !== null ? deadline : Number.POSITIVE_INFINITY;
  for (const wait of rows.waits.values()) {
    if (wait.closed) continue;
    due = Math.min(due, wait.decision === null ? (wait.until ?? Number.POSITIVE_INFINITY) : now);
  }
  return Number.isFinite(due) ? Math.max(0, due - now) : null;
}

export function addEvent(rows: RunRows, seq: number, event: Partial<EventRow> & { type: string; at: number }): void {
  rows.events.push({ task: null, item: null, attempt: null, data: null, ...event, seq });
}

export const itemOrNull = (item: number): number | null => (item === -1 ? null : item);
