import type { Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../db/listen.ts';
import { createExecutions, type Executions } from '../temporal/executions.ts';
import { IDENTITY_PREFIX } from '../temporal/names.ts';
import { createTemporalSchedules, type TemporalSchedules } from '../temporal/schedules.ts';
import type { AbortWatch } from './aborts.ts';
import type { AdmissionDeps } from './admission.ts';
import { createWorker } from './createWorker.ts';
import { createDispatcher, type Dispatcher } from './dispatcher.ts';
import { createLateEnds } from './lateEnds.ts';
import { createLateStarts } from './lateStarts.ts';
import { createExternals } from './externals.ts';
import { createFaultLog } from './faultLog.ts';
import { startHealth } from './health.ts';
import { createReconciler } from './reconciler.ts';
import { createRestarts } from './restarts.ts';
import type { StartWorkerDeps, WorkerPlace } from './parts.ts';
import { isKick, type Kick } from '../db/notices.ts';
import { createSchedules, type Schedules } from './schedules.ts';
import type { Takeover } from './takeover.ts';
import { createTemporalLink, type TemporalLink } from './temporalLink.ts';
import { installTemporalRuntime } from './temporalRuntime.ts';
import type { UnfinishedStarts } from './unfinishedStarts.ts';
import type { Waker } from './waker.ts';

export type TemporalSideDeps = Omit<StartWorkerDeps, 'engine'> &
  Pick<AdmissionDeps, 'carry' | 'isInline'> & {
    waker: Waker;
    unfinished: UnfinishedStarts;
    aborts: AbortWatch;
    takeover: Takeover;
    /** Workers of which nothing is left. */
    gone: string[];
    activities: object;
  };

export type TemporalSide = { executions: Executions; schedules: TemporalSchedules; ready: Promise<void> };

/** All of a worker that speaks to Temporal. Loaded apart: its libraries take longer to load than a takeover. */
export function startTemporalSide(deps: TemporalSideDeps, place: WorkerPlace): TemporalSide {
  const { db, config, lifecycle, log, metrics, clock, waker, unfinished, aborts, takeover, session } = deps;
  installTemporalRuntime(log);
  const identity = `${IDENTITY_PREFIX}${place.name}`;
  const link = createTemporalLink({ config, log, metrics, onUp: waker.up });
  const executions = createExecutions({ connection: link.connection, identity, config, log, dataConverter: deps.dataConverter });
  const temporal = { temporalUp: () => link.up() && waker.polling() && session.held(), onTemporal: link.report };
  const shared = { db, executions, metrics, log, clock, worker: place.id, ...temporal };
  lifecycle.onStop('temporal connection', () => link.close());
  const schedules = createTemporalSchedules({ connection: link.connection, identity, config, log, dataConverter: deps.dataConverter });
  const ready = Promise.withResolvers<undefined>();
  const onPolling = () => {
    ready.resolve(undefined);
  };
  const kept = keepWorker({ ...deps, link, executions, identity, onPolling }, place.bundle);
  lifecycle.onStop('workflows and activities', () => kept.stop());
  const reconciler = createReconciler({ ...shared, forceCancel: deps.forceCancel, kick: waker.kick });
  lifecycle.onStop('reconciler', () => reconciler.stop());
  const health = startHealth({ ...shared, reconciler, unfinished, temporalUp: link.up, storageFull: deps.storageFull }, place);
  lifecycle.onStop('health', () => health.stop());
  const onRoom = () => {
    waker.kick('queued');
  };
  const late = createLateStarts(
    { ...shared, idleSince: unfinished.idleSince, gone: deps.gone, onRoom, onLeft: session.leave },
    config.TIU_MAX_LATE_STARTS,
  );
  lifecycle.onStop('late starts', () => late.stop());
  const lateEnds = createLateEnds({ ...shared, idleSince: unfinished.idleSince });
  lifecycle.onStop('late ends', () => lateEnds.stop());
  const restarts = createRestarts({ ...shared, unfinished, takeover, late });
  lifecycle.onStop('restarts', () => restarts.stop());
  const unlessPending = (room: () => number) => () => (restarts.pending() ? 0 : room());
  const dispatcher = createDispatcher({
    late,
    ...{
      ...shared,
      unfinished: { ...unfinished, room: unlessPending(unfinished.room), reserve: unlessPending(unfinished.reserve) },
      maxRuns: config.TIU_MAX_RUNS,
      maxPoked: config.TIU_MAX_POKED,
      closedDelayMs: config.TIU_CLOSED_DELAY,
    },
    ...{ carry: deps.carry, isInline: deps.isInline, children: deps.children, onBulk: deps.onBulk },
    externals: createExternals({ ...shared, plans: deps.plans }),
  });
  lifecycle.onStop('dispatcher', () => dispatcher.stop());
  const kick = (what?: Kick) => {
    restarts.kick();
    dispatcher.kick(what);
  };
  waker.connect({ kick, executions });
  const keeper = createSchedules({ ...deps, ...shared, schedules, kickDispatcher: dispatcher.kick });
  lifecycle.onStop('schedules', () => keeper.stop());
  const notices = listenFor({ ...deps, aborts, dispatcher, schedules: keeper }, place);
  lifecycle.onStop('notices', () => notices.close());
  return { executions, schedules, ready: ready.promise };
}

type KeepDeps = StartWorkerDepsOfWorker & {
  link: TemporalLink;
  executions: Executions;
  identity: string;
  waker: Waker;
  activities: object;
  onPolling: () => void;
};
type StartWorkerDepsOfWorker = Pick<StartWorkerDeps, 'config' | 'log' | 'lifecycle' | 'dataConverter'>;

const AGAIN_MS = 1_000;

/** A worker that ends without having been asked to (its namespace is gone for a moment after a wipe) is made again. */
function keepWorker(deps: KeepDeps, bundle: () => Promise<string>): { stop: () => Promise<void> } {
  const { lifecycle, log, waker } = deps;
  let current: Worker | undefined;
  const isStopping = () => lifecycle.stopping.aborted;
  const once = async () => {
    const [connection, file] = await Promise.all([deps.link.connect(lifecycle.stopping), bundle()]);
    const [worker] = await Promise.all([createWorker({ ...deps, connection, bundle: file }), deps.executions.prepare()]);
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
      if (channel === 'kick') for (const what of payload.split(',')) dispatcher.kick(isKick(what) ? what : undefined);
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
