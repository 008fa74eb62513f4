import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { pino } from 'pino';
import type { Database } from '../../../src/db/database.ts';
import { startupOptions } from '../../../src/db/pool.ts';
import { createPlans } from '../../../src/db/repositories/plans.ts';
import { readConfig } from '../../../src/runtime/config.ts';
import { createLifecycle, type Lifecycle } from '../../../src/runtime/lifecycle.ts';
import { createRegistry, createWorkerMetrics, type WorkerMetrics } from '../../../src/runtime/metrics.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import type { ActivityHooks } from '../../../src/worker/parts.ts';
import { startWorker } from '../../../src/worker/startWorker.ts';
import { installTemporalRuntime } from '../../../src/worker/temporalRuntime.ts';
import { workflowBundle } from '../../../src/worker/workflowBundle.ts';
import { cancelCommand } from './aRun.ts';

export const silent = pino({ level: process.env.TIU_TEST_LOG ?? 'silent' }, pino.destination({ fd: 2, sync: true }));

const here = path.join(process.cwd(), 'tests/worker/support');
const testBundle = () =>
  workflowBundle({ workflowsPath: path.join(here, 'workflows.ts'), folders: [here], cache: path.join(process.cwd(), '.tiu') });

let installed = false;
export function installOnce(): void {
  if (!installed) installTemporalRuntime(silent);
  installed = true;
}

const configOf = (db: Database, extra: Record<string, string> = {}) =>
  readConfig({ DATABASE_URL: db.url, TEMPORAL_ADDRESS: process.env.TIU_TEST_TEMPORAL_ADDRESS, TIU_SHUTDOWN_GRACE: '500', ...extra });

export type TestWorker = {
  metrics: WorkerMetrics;
  lifecycle: Lifecycle;
  ready: Promise<void>;
  stop: () => Promise<void>;
  slices: object[];
  externals: object[];
  loads: string[];
};

/** A worker in this process, with the stand-in for the engine. Not awaited: Temporal may be down. */
export async function aWorker(db: Database, extra: Record<string, string>): Promise<TestWorker> {
  installOnce();
  const lifecycle = createLifecycle({ log: silent });
  const metrics = createWorkerMetrics(createRegistry());
  const [slices, externals]: [object[], object[]] = [[], []];
  const loads: string[] = [];
  const activities = (hooks: ActivityHooks) => ({
    load: async (runId: string) => {
      loads.push(runId);
      await db.pool.query('select load_run_v1($1)', [runId]);
      hooks.startedRun(runId);
      const { rows } = await db.pool.query<{ mode: string }>(`select input->>'mode' as mode from run where id = $1`, [runId]);
      return rows[0]?.mode ?? 'end';
    },
    finish: async (runId: string) => {
      await db.pool.query(`update run_state set finished = now(), status = 'completed', open = 0 where run = $1 and finished is null`, [
        runId,
      ]);
    },
    loadSlice: (slice: object) => {
      slices.push(slice);
      return Promise.resolve();
    },
    loadExternal: (external: object) => {
      externals.push(external);
      return Promise.resolve();
    },
  });
  const bundle = await testBundle();
  const ready = startWorker(
    {
      db,
      config: configOf(db, extra),
      log: silent,
      metrics,
      clock: systemClock,
      lifecycle,
      dataConverter: {},
      engine: (hooks) => ({
        activities: activities(hooks),
        carry: () => Promise.resolve(null),
        isInline: () => Promise.resolve(false),
        carryAgain: () => Promise.resolve(null),
      }),
      onCarrying: () => undefined,
      session: { held: () => true, opened: Promise.resolve(), leave: () => undefined },
      fires: {
        fireDue: () => Promise.resolve('fired'),
        fireOverdue: () => Promise.resolve('fired'),
        submitPending: () => Promise.resolve(0),
      },
      children: { look: () => Promise.resolve(false), settle: () => Promise.resolve(false) },
      plans: createPlans(db),
      ...{ command: () => Promise.resolve(0), onBulk: () => undefined },
      forceCancel: (runId, reason) => cancelCommand(db, runId, reason),
    },
    { id: randomUUID(), name: 'test', version: '0', bundle: () => Promise.resolve(bundle), databaseOptions: startupOptions('tiu_engine') },
  );
  return { metrics, lifecycle, ready, stop: () => lifecycle.stop('test'), slices, externals, loads };
}
