import type { Database } from '../db/database.ts';
import { endedRuns } from '../db/workers.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Executions, RunHead } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';

/**
 * `completed`: its execution has nothing to do but to say so · `found`: it may have had its execution already ·
 * `replaces`: it has one, which is terminated in the same step
 */
type LateStart = { run: RunHead; completed: boolean; found?: true; replaces?: true };

/** Starts of executions whose runs have ended already: they make a run visible in Temporal, and nobody waits for them. */
export type LateStarts = {
  add: (late: LateStart) => void;
  /** Whether less than `max` wait. */
  room: () => boolean;
  /** Workspace of each that waits. */
  workspaces: () => string[];
  /** Starts what waits, for at most 3 s; the rest is left to others. */
  stop: () => Promise<void>;
};

export type LateStartsDeps = {
  executions: Pick<Executions, 'start' | 'restart'>;
  clock: Clock;
  metrics: Pick<WorkerMetrics, 'starts' | 'lateStarts'>;
  log: Log;
  temporalUp: () => boolean;
  onTemporal: (up: boolean) => void;
  /** Since when no run is being begun here, ms since the epoch; undefined while one is. */
  idleSince: () => number | undefined;
  db: Pick<Database, 'rows'>;
  /** Workers of which nothing is left: what they had put off is done here. */
  gone: string[];
  /** There is room again. */
  onRoom: () => void;
  /** This process ends and leaves some to others. */
  onLeft: () => void;
};

/** A client at work leaves smaller gaps, ms: after one like this the machine is theirs. */
const QUIET_MS = 250;
/** So long the first of them stands back at most, ms; then one comes in the wake of a run: its client has something else to do for a moment. */
export const LATEST_MS = 30_000;
const WAKE_MS = 20;
/** How far apart those are at least, and how far at most where runs leave no gap at all. */
const APART_MS = 40;
const NO_WAKE_MS = 200;
/** Where they hold up the next runs: how far they are apart at most, and the gap that they wait for, ms. */
const FULL_MS = 50;
const PAUSE_MS = 5;
const LOOK_MS = 5;
const DOWN_MS = 500;
const FIND_MS = 1_000;
const STOP_MS = 3_000;
const LANES_OF_STOP = 8;

type Waiting = LateStart & { since: number };
type Queue = LateStartsDeps & { max: number; waiting: Waiting[]; stopped: boolean; started: number; downUntil: number };

/**
 * One at a time, when no run has been begun for a while: a start costs this machine more than the run itself did. Once `max`
 * wait, they only let runs go first. What is left when the process ends, others find by its runs.
 */
export function createLateStarts(deps: LateStartsDeps, max: number): LateStarts {
  const queue: Queue = { ...deps, max, waiting: [], stopped: false, started: -Infinity, downUntil: 0 };
  let working: Promise<void> | undefined;
  const work = async () => {
    while (queue.waiting.length > 0 && !queue.stopped) {
      if (mayStart(queue)) await startFirst(queue);
      else await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    working = undefined;
  };
  const add = (late: LateStart) => {
    if (queue.stopped) return;
    queue.waiting.push({ ...late, since: queue.clock.now() });
    queue.metrics.lateStarts.set(queue.waiting.length);
    working ??= work();
  };
  const finding = createPump(() => find(queue, add), createFaultLog(deps, 'late_starts.not_found'));
  const timer = setInterval(finding.kick, FIND_MS);
  return {
    add,
    room: () => queue.waiting.length < max,
    workspaces: () => queue.waiting.map(({ run }) => run.workspace),
    stop: async () => {
      queue.stopped = true;
      clearInterval(timer);
      await Promise.all([working, finding.stop()]);
      const until = queue.clock.now() + STOP_MS;
      const may = () => queue.temporalUp() && queue.clock.now() >= queue.downUntil && queue.clock.now() < until;
      const lane = async () => {
        while (queue.waiting.length > 0 && may()) await startFirst(queue);
      };
      await Promise.all(Array.from({ length: LANES_OF_STOP }, lane));
      if (queue.waiting.length > 0) deps.onLeft();
    },
  };
}

/** What a worker had put off when it ended: it cannot be told from what it had started, so it is asked for once more. */
async function find(queue: Queue, add: LateStarts['add']): Promise<boolean> {
  const [worker] = queue.gone;
  if (worker === undefined) return false;
  for (const { completed, ...run } of await endedRuns(queue.db, { worker, limit: queue.max, now: queue.clock.now() }))
    add({ run, completed, found: true });
  queue.gone.shift();
  return true;
}

function mayStart(queue: Queue): boolean {
  const now = queue.clock.now();
  const [first] = queue.waiting;
  if (!first || !queue.temporalUp() || now < queue.downUntil) return false;
  const idle = queue.idleSince();
  const quietMs = idle === undefined ? 0 : now - idle;
  const apart = now - queue.started;
  if (queue.waiting.length >= queue.max) return quietMs >= PAUSE_MS || apart >= FULL_MS;
  if (quietMs >= QUIET_MS || now - first.since < LATEST_MS) return quietMs >= QUIET_MS;
  return apart >= (idle !== undefined && quietMs < WAKE_MS ? APART_MS : NO_WAKE_MS);
}

async function startFirst(queue: Queue): Promise<void> {
  const late = queue.waiting.shift();
  queue.started = queue.clock.now();
  if (queue.waiting.length === queue.max - 1) queue.onRoom();
  queue.metrics.lateStarts.set(queue.waiting.length);
  if (!late) return;
  const { run, completed, found, replaces } = late;
  try {
    if (replaces) await queue.executions.restart(run, { completed });
    else await queue.executions.start(run, { completed, ...(found && { found }) });
    queue.metrics.starts.inc({ result: 'ok' });
  } catch (error) {
    const failure = temporalFailure(error);
    queue.metrics.starts.inc({ result: failure });
    if (failure === 'down') {
      queue.onTemporal(false);
      queue.waiting.unshift(late);
      queue.downUntil = queue.clock.now() + DOWN_MS;
    } else queue.log.error({ err: error, runId: run.runId }, 'run.late_start_refused');
  }
}
