import type { ActivityDeps } from '../activities/deps.ts';
import { createEngine } from '../activities/index.ts';
import { createReadSecrets, type ReadSecrets } from '../activities/secrets/readSecrets.ts';
import { createCommands, type Commands } from '../db/commands.ts';
import type { Database } from '../db/database.ts';
import { openPool, startupOptions } from '../db/pool.ts';
import type { Session } from '../db/session.ts';
import { openRunHead } from '../db/dispatch.ts';
import { createChildren, type Children } from '../db/children.ts';
import { createClosingCheck } from '../db/closingCheck.ts';
import { createFires, type Fires } from '../db/fires.ts';
import { createJournal, type Journal } from '../db/journal.ts';
import { createPlans, type Plans } from '../db/repositories/plans.ts';
import { createSubmits } from '../db/submit.ts';
import { Problem } from '../domain/problem.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import type { Log } from '../runtime/logger.ts';
import { createRegistry, createWorkerMetrics, watchCircuits } from '../runtime/metrics.ts';
import { openAuditKeys } from '../providers/auditKeys/auditKeys.ts';
import { openPayloadCipher } from '../providers/payloadCipher/payloadKeys.ts';
import { openSecretCipher } from '../providers/secretCipher/secretCipher.ts';
import { createDataConverter } from '../temporal/dataConverter.ts';
import { startApprovalNotices } from './approvalNotices.ts';
import { startAuditSealer } from './auditSealer.ts';
import { startBulk } from './bulk.ts';
import { serveMetrics } from './metricsServer.ts';
import { openExecutors, type OpenedExecutors } from './openExecutors.ts';

import { runAlone } from './runAlone.ts';
import type { ActivityHooks, EngineOfProcess } from './parts.ts';
import { startWorker } from './startWorker.ts';
import { taskQueueRule } from './taskQueues.ts';
import { startSystemRuns } from './systemRuns.ts';
import { ownWorkflows, workflowBundle } from './workflowBundle.ts';

type Parts = {
  config: Config;
  db: Database;
  journal: Journal;
  commands: Commands;
  plans: Plans;
  fires: Fires;
  children: Children;
  opened: OpenedExecutors;
  readSecrets: ReadSecrets;
  log: Log;
};

/** Everything that has to end registers with the lifecycle, in the order in which it is opened. */
function openParts(deps: { config: Config; log: Log; lifecycle: Lifecycle }): Parts {
  const { config, log, lifecycle } = deps;
  const url = config.DATABASE_URL;
  const say = (event: string, fields: Record<string, unknown>) => {
    log.warn(fields, event);
  };
  const db = openPool({ url, role: 'tiu_engine', max: config.TIU_WORKER_CONNECTIONS });
  lifecycle.onStop('database', () => db.close());
  const commands = createCommands({ url, log: say });
  lifecycle.onStop('commands', () => commands.close());
  const opened = openExecutors({ db, config, clock: systemClock });
  lifecycle.onStop('providers', () => opened.close());
  const journal = createJournal({ url, log: say });
  lifecycle.onStop('journal', () => journal.close());
  const submits = createSubmits({ url, log: say });
  lifecycle.onStop('submits', () => submits.close());
  const defaults = { maxInputBytes: config.TIU_MAX_INPUT, mode: config.TIU_MODE };
  const plans = createPlans(db);
  const closed = createClosingCheck(db, systemClock.now);
  const submitRun: typeof submits.submitRun = async (run) => {
    await closed.check(run.workspace);
    return submits.submitRun(run);
  };
  const fires = createFires({ db, plans, submitRun, defaults });
  const { command } = commands;
  const children = createChildren({ db, plans, submitRun, command, defaults, readObject: opened.objects.get });
  const readSecrets = createReadSecrets({ db, cipher: openSecretCipher(config) });
  return { config, db, journal, commands, plans, fires, children, opened, readSecrets, log };
}

const openEngine = (parts: Parts, hooks: ActivityHooks): EngineOfProcess =>
  createEngine({
    ...hooks,
    db: parts.db,
    journal: parts.journal,
    log: parts.log,
    objects: parts.opened.objects,
    executors: parts.opened.executors,
    readSecrets: parts.readSecrets,
    maxOutput: parts.opened.maxOutput,
    external: externalBounds(parts.config),
    maxMappedChildren: parts.config.TIU_MAX_MAPPED_CHILDREN,
    started: hooks.startedRun,
    noteCancel: (runId, reason) => cancelFor(parts, { runId, reason, force: false }),
    solo: runAlone,
    now: systemClock.now,
    random: Math.random,
  });

const externalBounds = (config: Config): ActivityDeps['external'] => ({
  maxArgs: config.TIU_MAX_ACTIVITY_ARGS,
  startMs: config.TIU_ACTIVITY_START_TIMEOUT,
  mayUse: taskQueueRule(config),
});

/** On behalf of somebody who acted in Temporal. A run that has closed meanwhile, or that cleans up, needs no cancel. */
async function cancelFor(parts: Parts, cancel: { runId: string; reason: string; force: boolean }): Promise<void> {
  const run = await openRunHead(parts.db, cancel.runId);
  if (!run) return;
  try {
    await parts.commands.command({
      type: 'cancel',
      run: run.runId,
      workspace: run.workspace,
      by: 'temporal',
      reason: cancel.reason,
      force: cancel.force,
    });
  } catch (error) {
    if (!(error instanceof Problem && (error.code === 'run_already_closed' || error.code === 'state_conflict'))) throw error;
  }
}

export type ServeDeps = { config: Config; log: Log; lifecycle: Lifecycle; session: Session; onCarrying: () => void };

/** Everything of a worker that takes long to load. @returns resolves when it polls for the first time */
export async function serve(deps: ServeDeps, worker: { id: string; name: string; version: string }): Promise<void> {
  const { config, log, lifecycle, session } = deps;
  const parts = openParts({ config, log, lifecycle });
  const dataConverter = createDataConverter(openPayloadCipher(config));
  const registry = createRegistry({ process: 'worker' });
  const metrics = createWorkerMetrics(registry);
  watchCircuits(registry, parts.opened.circuits.states);
  if (config.TIU_METRICS_PORT !== undefined) {
    const server = await serveMetrics(registry, config.TIU_METRICS_PORT);
    lifecycle.onStop('metrics', () => server.close());
  }
  const { db, plans, commands } = parts;
  const bulk = startBulk(
    { db, plans, commandMany: commands.commandMany, log, clock: systemClock, worker: worker.id },
    config.TIU_BULK_RATE,
  );
  lifecycle.onStop('bulk', () => bulk.stop());
  const sealer = startAuditSealer(
    { db, keys: openAuditKeys(config), log, metrics, clock: systemClock, worker: worker.id },
    config.TIU_AUDIT_CHECKPOINT,
  );
  lifecycle.onStop('audit sealer', () => sealer.stop());
  const { notify } = parts.opened.executors;
  const notices = startApprovalNotices(
    { db, plans, notify, log, metrics, clock: systemClock, random: Math.random },
    { tries: config.TIU_NOTICE_TRIES, delayMs: config.TIU_NOTICE_DELAY },
  );
  lifecycle.onStop('notices of approvals', () => notices.stop());
  await startWorker(
    {
      ...{
        db,
        config,
        log,
        metrics,
        clock: systemClock,
        lifecycle,
        session,
        onCarrying: deps.onCarrying,
        dataConverter,
        storageFull: parts.opened.objects.isFull,
      },
      ...{ fires: parts.fires, children: parts.children, plans, command: commands.command, onBulk: bulk.kick },
      forceCancel: (runId, reason) => cancelFor(parts, { runId, reason, force: true }),
      engine: (hooks) => openEngine(parts, hooks),
    },
    {
      ...worker,
      bundle: () => workflowBundle(ownWorkflows(dataConverter.failureConverterPath)),
      databaseOptions: startupOptions('tiu_engine'),
    },
  );
  if (!config.TIU_SYSTEM) return;
  const systemRuns = startSystemRuns(
    { db, log, clock: systemClock, worker: worker.id, closingMs: config.TIU_CLOSING_GRACE },
    SYSTEM_RUNS_AFTER_MS,
  );
  lifecycle.onStop('system runs', () => systemRuns.stop());
}

/** A worker that has just started has better things to do. */
const SYSTEM_RUNS_AFTER_MS = 600_000;
