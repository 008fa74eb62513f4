import type { ActivityDeps } from '../../src/activities/deps.ts';
import { createEngine } from '../../src/activities/index.ts';
import type { Executors } from '../../src/activities/kinds/executor.ts';
import { createCommands } from '../../src/db/commands.ts';
import type { Database, Statement } from '../../src/db/database.ts';
import { openRunHead } from '../../src/db/dispatch.ts';
import { createJournal } from '../../src/db/journal.ts';
import { Problem } from '../../src/domain/problem.ts';
import type { Log } from '../../src/runtime/logger.ts';
import type { WorkerMetrics } from '../../src/runtime/metrics.ts';
import type { Executions } from '../../src/temporal/executions.ts';
import { IDENTITY_PREFIX } from '../../src/temporal/names.ts';
import { createAborts } from '../../src/worker/aborts.ts';
import { createDispatcher } from '../../src/worker/dispatcher.ts';
import { startHealth } from '../../src/worker/health.ts';
import { createPoke } from '../../src/worker/poke.ts';
import { createReconciler } from '../../src/worker/reconciler.ts';
import { createRestarts } from '../../src/worker/restarts.ts';
import { createLateEnds } from '../../src/worker/lateEnds.ts';
import { createLateStarts } from '../../src/worker/lateStarts.ts';
import { createTakeover } from '../../src/worker/takeover.ts';
import { CLAIM_MS, createUnfinishedStarts } from '../../src/worker/unfinishedStarts.ts';
import { randomUUIDv7 } from './substitutes/chance.ts';
import type { Host } from './temporal/execution.ts';

export type ProcessDeps = {
  owner: number;
  send: (statement: Statement) => Promise<object[]>;
  executions: Executions;
  executors: Executors;
  /** Effects at once. */
  maxEffects: number;
  /** False in most worlds: it looks ten times a second. */
  takesOver: boolean;
  /** Whether its session lives. */
  held: () => boolean;
  random: () => number;
  trace: (what: string) => void;
  /** Something the reconciler repaired. */
  corrected: (reason: string) => void;
};

export type Process = Host & {
  worker: string;
  /** A notice of PostgreSQL arrives. */
  notice: (channel: string, payload: string) => void;
};

const counter = { inc: () => undefined, set: () => undefined, startTimer: () => () => 0 };

const metricsOf = (corrected: (reason: string) => void): WorkerMetrics =>
  new Proxy({} as WorkerMetrics, {
    get: (_, name) =>
      name === 'corrections'
        ? {
            ...counter,
            inc: ({ reason }: { reason: string }) => {
              corrected(reason);
            },
          }
        : counter,
  });

const MAX_LATE = 100;
const MAX_STARTS = 16;
const LOOK_MS = 1_000;
const noObject = (): Promise<never> => Promise.reject(new Error('no output is that large'));

/** As `serve` does: on behalf of somebody who acted in Temporal. */
function createCancel(db: Database): (runId: string, reason: string, force: boolean) => Promise<void> {
  const commands = createCommands({ url: '' });
  return async (runId, reason, force) => {
    const run = await openRunHead(db, runId);
    if (!run) return;
    try {
      await commands.command({ type: 'cancel', run: run.runId, workspace: run.workspace, by: 'temporal', reason, force });
    } catch (error) {
      if (!(error instanceof Problem && (error.code === 'run_already_closed' || error.code === 'state_conflict'))) throw error;
    }
  };
}

function createLog(trace: (what: string) => void): Log {
  const say = (fields: object, what: string): void => {
    const { err, error, ...rest } = fields as { err?: unknown; error?: unknown };
    trace(`${what} ${JSON.stringify(rest)} ${(err ?? error) instanceof Error ? String(err ?? error) : ''}`);
  };
  return { warn: say, error: say, info: say, debug: say } as unknown as Log;
}

type EngineParts = Pick<ProcessDeps, 'executors' | 'random' | 'maxEffects' | 'executions'> &
  Pick<ActivityDeps, 'worker' | 'db' | 'journal' | 'aborts' | 'log' | 'started'> & {
    cancelFor: ReturnType<typeof createCancel>;
    onRoom: () => void;
  };

function openEngine(parts: EngineParts): ReturnType<typeof createEngine> {
  const { executors, executions, db } = parts;
  return createEngine({
    ...parts,
    maxOutput: 2 ** 20,
    external: { maxArgs: 2 ** 18, startMs: 1_000, mayUse: () => false },
    maxMappedChildren: 1_000,
    readSecrets: () => Promise.resolve({}),
    objects: { put: noObject, get: noObject, open: noObject },
    poke: createPoke({ db, executions: () => executions }),
    requestCancel: executions.cancel,
    fireSchedule: () => Promise.resolve(),
    now: () => Date.now(),
    noteCancel: (runId, reason) => parts.cancelFor(runId, reason, false),
    kick: parts.onRoom,
    solo: (kind, input, execution) =>
      executors[kind]?.(input, { ...execution, signal: new AbortController().signal }) ?? Promise.reject(new Problem('engine_fault')),
  });
}

/** A worker process of the product: its own code, as `startWorker` and `main` put it together, on a simulated world. */
export function createProcess(deps: ProcessDeps): Process {
  const { executions, trace } = deps;
  const worker = randomUUIDv7();
  const log = createLog(trace);
  const db = { rows: deps.send } as unknown as Database;
  const journal = createJournal({ url: '' });
  const aborts = createAborts({ db });
  const clock = { now: () => Date.now() };
  let kick = (): void => undefined;
  const cancelFor = createCancel(db);
  const onRoom = (): void => {
    kick();
  };
  const unfinished = createUnfinishedStarts({ clock, onRoom }, { max: MAX_STARTS, claimMs: CLAIM_MS });
  const engine = openEngine({ ...deps, worker, db, journal, aborts, log, cancelFor, onRoom, started: unfinished.done });
  const temporal = { temporalUp: deps.held, onTemporal: () => undefined };
  const shared = { db, executions, metrics: metricsOf(deps.corrected), log, clock, worker, ...temporal };
  const gone: string[] = [];
  const onGone = (id: string): void => void gone.push(id);
  const takeover = deps.takesOver
    ? createTakeover({ ...shared, carry: engine.carryAgain, held: deps.held, onTaken: onRoom, onGone })
    : undefined;
  const late = createLateStarts({ ...shared, gone, onRoom, onLeft: () => undefined, idleSince: unfinished.idleSince }, MAX_LATE);
  createLateEnds({ ...shared, idleSince: unfinished.idleSince });
  const restarts = takeover && createRestarts({ ...shared, unfinished, takeover, late });
  const room = (): number => (restarts?.pending() ? 0 : unfinished.room());
  const dispatcher = createDispatcher({
    ...{ ...shared, late },
    unfinished: { ...unfinished, room, reserve: () => (restarts?.pending() ? 0 : unfinished.reserve()) },
    ...{ maxRuns: 1_000, maxPoked: 60, closedDelayMs: 25, onBulk: () => undefined },
    children: { look: () => Promise.resolve(false), settle: () => Promise.resolve(false) },
    externals: { look: () => Promise.resolve(false) },
    carry: engine.carry,
    isInline: engine.isInline,
  });
  kick = () => {
    restarts?.kick();
    dispatcher.kick();
  };
  const reconciler = createReconciler({ ...shared, forceCancel: (runId, reason) => cancelFor(runId, reason, true), kick });
  startHealth({ ...shared, reconciler, unfinished, storageFull: () => false }, { id: worker, name: worker, version: '0' });
  const look = (runs?: readonly string[]): void => void aborts.look(runs).catch(() => undefined);
  setInterval(look, LOOK_MS);
  kick();
  return {
    owner: deps.owner,
    worker,
    identity: `${IDENTITY_PREFIX}${deps.owner}`,
    activities: engine.activities,
    cache: new Map(),
    notice: (channel, payload) => {
      if (channel === 'kick') kick();
      else look(payload === '*' ? undefined : payload.split(','));
    },
  };
}
