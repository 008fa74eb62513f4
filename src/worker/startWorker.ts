import type { DataConverter } from '@temporalio/common';
import type { Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Commands } from '../db/commands.ts';
import type { Database } from '../db/database.ts';
import type { Fires } from '../db/fires.ts';
import { listen } from '../db/listen.ts';
import type { Session } from '../db/session.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { createExecutions, type Executions } from '../temporal/executions.ts';
import { IDENTITY_PREFIX } from '../temporal/names.ts';
import { createTemporalSchedules, type TemporalSchedules } from '../temporal/schedules.ts';
import { createAborts, type Aborts, type AbortWatch } from './aborts.ts';
import { CLAIM_MS, type AdmissionDeps } from './admission.ts';
import { createWorker } from './createWorker.ts';
import { createDispatcher, createPoke, type Dispatcher } from './dispatcher.ts';
import { createFaultLog } from './faultLog.ts';
import { startHealth, type HealthDeps } from './health.ts';
import { createReconciler } from './reconciler.ts';
import { createSchedules, type Schedules } from './schedules.ts';
import { createTakeover, type Takeover } from './takeover.ts';
import { createTemporalLink, type TemporalLink } from './temporalLink.ts';
import { createUnfinishedStarts, type UnfinishedStarts } from './unfinishedStarts.ts';

/** What activities may ask of the process they run in. */
export type ActivityHooks = {
  /** Id of this process. */
  worker: string;
  /** Effects at work at once in this process. */
  maxEffects: number;
  aborts: Aborts;
  /** Pokes an open run; a closed one needs none. */
  poke: (runId: string) => Promise<void>;
  /** Asks Temporal to cancel the run's execution. */
  requestCancel: (runId: string) => Promise<void>;
  /** The dispatcher has something to do. */
  kick: () => void;
  /** The first `loadRun` of a run has ended. */
  startedRun: (runId: string) => void;
  /** Temporal says that a time of the schedule has come, ms since the epoch. */
  fireSchedule: (schedule: string, at: number) => Promise<void>;
};

export type StartWorkerDeps = Pick<HealthDeps, 'storageFull'> & {
  db: Database;
  config: Config;
  log: Log;
  metrics: WorkerMetrics;
  clock: Clock;
  lifecycle: Lifecycle;
  /** Nothing is begun while others take this worker for dead. */
  session: Pick<Session, 'held'>;
  /** Of what enters Temporal. */
  dataConverter: DataConverter;
  /** Cancels a run at once, on behalf of an operator. */
  forceCancel: (runId: string, reason: string) => Promise<void>;
  fires: Fires;
  command: Commands['command'];
  engine: (hooks: ActivityHooks) => EngineOfProcess;
};

/** What runs in this process: activities for Temporal, and first segments straight from the claim. */
export type EngineOfProcess = { activities: object } & Pick<AdmissionDeps, 'carry' | 'isInline'>;

export type WorkerPlace = {
  /** uuid, new for every process. */
  id: string;
  name: string;
  version: string;
  /** File of the workflow bundle. */
  bundle: string;
  /** Startup options of the LISTEN connection. */
  databaseOptions: string;
};

/**
 * Everything a worker process does: carries workflows and activities, starts and pokes runs, repairs. Ends with the
 * lifecycle: first no new starts, then Temporal's worker drains, then the rest.
 * @returns resolves when the worker polls for the first time; Temporal may be down until then
 */
export async function startWorker(deps: StartWorkerDeps, place: WorkerPlace): Promise<void> {
  const { db, config, lifecycle, log, metrics, clock } = deps;
  const identity = `${IDENTITY_PREFIX}${place.name}`;
  const waker = createWaker();
  const link = createTemporalLink({ config, log, metrics, onUp: waker.up });
  const executions = createExecutions({ connection: link.connection, identity, config, log, dataConverter: deps.dataConverter });
  const unfinished = createUnfinishedStarts({ clock, onRoom: waker.kick }, { max: config.TIU_MAX_UNFINISHED_STARTS, claimMs: CLAIM_MS });
  const aborts = createAborts({ db });
  const temporal = { temporalUp: () => link.up() && waker.polling() && deps.session.held(), onTemporal: link.report };
  const shared = { db, executions, metrics, log, clock, worker: place.id, ...temporal };
  lifecycle.onStop('temporal connection', () => link.close());
  const schedules = createTemporalSchedules({ connection: link.connection, identity, config, log, dataConverter: deps.dataConverter });
  const { activities, ...carrying } = deps.engine({
    ...createHooks({ db, executions, schedules, fires: deps.fires, aborts, unfinished, kick: waker.kick }),
    ...{ worker: place.id, maxEffects: config.TIU_MAX_EFFECTS },
  });
  const ready = Promise.withResolvers<undefined>();
  const kept = keepWorker(
    {
      ...deps,
      link,
      executions,
      identity,
      waker,
      activities,
      onPolling: () => {
        ready.resolve(undefined);
      },
    },
    place.bundle,
  );
  lifecycle.onStop('workflows and activities', () => kept.stop());
  const reconciler = createReconciler({ ...shared, forceCancel: deps.forceCancel, kick: waker.kick });
  lifecycle.onStop('reconciler', () => reconciler.stop());
  const health = startHealth({ ...shared, reconciler, unfinished, temporalUp: link.up, storageFull: deps.storageFull }, place);
  lifecycle.onStop('health', () => health.stop());
  const takeover = createTakeover({ ...shared, unfinished, held: deps.session.held, onDone: waker.kick });
  lifecycle.onStop('takeover', () => takeover.stop());
  const room = () => (takeover.pending() ? 0 : unfinished.room());
  const dispatcher = createDispatcher({ ...shared, unfinished: { ...unfinished, room }, ...carrying, maxRuns: config.TIU_MAX_RUNS });
  lifecycle.onStop('dispatcher', () => dispatcher.stop());
  waker.connect({ dispatcher, takeover, executions });
  const keeper = createSchedules({ ...deps, ...shared, schedules, kickDispatcher: dispatcher.kick });
  lifecycle.onStop('schedules', () => keeper.stop());
  const notices = listenFor({ ...deps, aborts, dispatcher, schedules: keeper }, place);
  lifecycle.onStop('notices', () => notices.close());
  await ready.promise;
}

type Woken = { dispatcher: Dispatcher; takeover: Takeover; executions: Executions };

/** Breaks the circle between the link, which says when Temporal is back, and those who want to know. */
function createWaker() {
  let woken: Woken | undefined;
  let polling = false;
  const kick = () => {
    woken?.takeover.kick();
    woken?.dispatcher.kick();
  };
  return {
    kick,
    connect: (parts: Woken) => {
      woken = parts;
      kick();
    },
    /** Temporal may have lost the search attributes with everything else. */
    up: () => {
      void woken?.executions.prepare().then(kick);
    },
    /** Nothing is started before this process polls: it is the one that will be asked to carry it. */
    polling: () => polling,
    setPolling: (now: boolean) => {
      polling = now;
      if (now) kick();
    },
  };
}

type HookParts = {
  db: Database;
  executions: Executions;
  schedules: TemporalSchedules;
  fires: Fires;
  aborts: AbortWatch;
  unfinished: UnfinishedStarts;
  kick: () => void;
};

function createHooks(parts: HookParts): Omit<ActivityHooks, 'worker' | 'maxEffects'> {
  return {
    aborts: { add: parts.aborts.add },
    poke: createPoke(parts),
    requestCancel: parts.executions.cancel,
    kick: parts.kick,
    startedRun: parts.unfinished.done,
    fireSchedule: async (schedule, at) => {
      // one that has no row, for instance after a restored backup, would fire for ever
      if ((await parts.fires.fireDue(schedule, at)) === 'gone') await parts.schedules.remove(schedule);
    },
  };
}

type KeepDeps = StartWorkerDepsOfWorker & {
  link: TemporalLink;
  executions: Executions;
  identity: string;
  waker: ReturnType<typeof createWaker>;
  activities: object;
  onPolling: () => void;
};
type StartWorkerDepsOfWorker = Pick<StartWorkerDeps, 'config' | 'log' | 'lifecycle' | 'dataConverter'>;

const AGAIN_MS = 1_000;

/** A worker that ends without having been asked to (its namespace is gone for a moment after a wipe) is made again. */
function keepWorker(deps: KeepDeps, bundle: string): { stop: () => Promise<void> } {
  const { lifecycle, log, waker } = deps;
  let current: Worker | undefined;
  const isStopping = () => lifecycle.stopping.aborted;
  const once = async () => {
    const connection = await deps.link.connect(lifecycle.stopping);
    await deps.executions.prepare();
    const worker = await createWorker({ ...deps, connection, bundle });
    if (isStopping()) return;
    current = worker;
    const running = worker.run();
    waker.setPolling(true);
    deps.onPolling();
    await running;
  };
  const loop = async () => {
    while (!isStopping()) {
      try {
        await once();
      } catch (error) {
        if (!isStopping()) log.error({ err: error }, 'worker.ended');
      }
      current = undefined;
      waker.setPolling(false);
      await sleep(AGAIN_MS, undefined, { signal: lifecycle.stopping }).catch(() => undefined);
    }
  };
  const done = loop();
  return {
    stop: async () => {
      if (current?.getState() === 'RUNNING') current.shutdown();
      await done;
    },
  };
}

const EVERYTHING = '*';

/** `kick`: the dispatcher has something to do. `run`: something was committed to these runs, perhaps an intent to stop. */
function listenFor(
  deps: Pick<StartWorkerDeps, 'db' | 'log' | 'clock' | 'metrics' | 'lifecycle'> & {
    aborts: AbortWatch;
    dispatcher: Dispatcher;
    schedules: Schedules;
  },
  place: WorkerPlace,
) {
  const { aborts, dispatcher, schedules } = deps;
  const fault = createFaultLog(deps, 'notices.failed');
  const look = (runs?: readonly string[]) => {
    aborts.look(runs).catch(fault);
  };
  const timer = setInterval(look, AGAIN_MS);
  const listener = listen({
    url: deps.db.url,
    options: place.databaseOptions,
    channels: ['run', 'kick', 'schedule'],
    onNotice: (channel, payload) => {
      deps.metrics.notices.inc({ channel });
      if (channel === 'kick') dispatcher.kick();
      else if (channel === 'schedule') schedules.kick();
      else {
        schedules.runsChanged();
        look(payload === EVERYTHING ? undefined : payload.split(','));
      }
    },
    onListen: () => {
      dispatcher.kick();
      schedules.kick();
      look();
    },
    onError: fault,
  });
  return {
    close: async () => {
      clearInterval(timer);
      await listener.close();
    },
  };
}
