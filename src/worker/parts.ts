import type { DataConverter } from '@temporalio/common';
import type { CarryAgain } from '../activities/carry.ts';
import type { Commands } from '../db/commands.ts';
import type { Database } from '../db/database.ts';
import type { Children } from '../db/children.ts';
import type { Fires } from '../db/fires.ts';
import type { Plans } from '../db/repositories/plans.ts';
import type { Session } from '../db/session.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Aborts } from './aborts.ts';
import type { AdmissionDeps } from './admission.ts';
import type { HealthDeps } from './health.ts';

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
  /** It carries what others held, and begins what is queued, though it has not reached Temporal yet. */
  onCarrying: () => void;
  /** Nothing is begun while others take this worker for dead. */
  session: Pick<Session, 'held' | 'opened' | 'leave'>;
  /** Of what enters Temporal. */
  dataConverter: DataConverter;
  /** Cancels a run at once, on behalf of an operator. */
  forceCancel: (runId: string, reason: string) => Promise<void>;
  fires: Fires;
  children: Children;
  plans: Plans;
  command: Commands['command'];
  /** There is a bulk job. */
  onBulk: () => void;
  engine: (hooks: ActivityHooks) => EngineOfProcess;
};

/** What runs in this process: activities for Temporal, and first segments straight from the claim. */
export type EngineOfProcess = { activities: object } & Pick<AdmissionDeps, 'carry' | 'isInline'> & { carryAgain: CarryAgain };

export type WorkerPlace = {
  /** uuid, new for every process. */
  id: string;
  name: string;
  version: string;
  /** File of the workflow bundle. */
  bundle: () => Promise<string>;
  /** Startup options of the LISTEN connection. */
  databaseOptions: string;
};
