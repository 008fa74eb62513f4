import { z } from 'zod';
import { appliedMigrations, liveWorkers, openRuns } from '../../../db/repositories/health.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';
import { maybeTime, time } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';

/** A worker that was not heard of for this long counts as gone, ms. */
const WORKER_SEEN_MS = 10_000;

const Live = z.object({ status: z.literal('ok') }).meta({ id: 'Live' });
const Ready = z.object({ status: z.enum(['ok', 'unavailable']), database: z.boolean(), migrations: z.boolean() }).meta({ id: 'Ready' });
const Health = Ready.extend({
  workers: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      version: z.string(),
      startedAt: time,
      seenAt: time,
      temporal: z.boolean(),
      reconciledAt: maybeTime,
    }),
  ),
  temporal: z.boolean().meta({ description: 'Some worker reaches it' }),
  storage: z
    .enum(['ok', 'full'])
    .meta({ description: 'Whether objects can be stored, as the last put of this process and of each worker found' }),
  lastReconcileAt: maybeTime,
  openRuns: z.record(z.string(), z.int()),
}).meta({ id: 'Health' });

const tag = 'health';

async function readiness(deps: Deps) {
  const applied = await appliedMigrations(deps.engine).catch(() => undefined);
  const migrations = applied !== undefined && deps.migrations.every((name) => applied.includes(name));
  return { status: migrations ? ('ok' as const) : ('unavailable' as const), database: applied !== undefined, migrations };
}

const live = defineRoute({
  method: 'get',
  path: '/health/live',
  action: 'public',
  cost: 'none',
  tag,
  summary: 'Is the process alive',
  responses: { 200: { description: 'Yes', schema: Live } },
  handler: () => Promise.resolve({ status: 200, body: { status: 'ok' } }),
});

const ready = defineRoute({
  method: 'get',
  path: '/health/ready',
  action: 'public',
  cost: 'none',
  tag,
  summary: 'May requests be sent here: database reachable, schema current',
  responses: { 200: { description: 'Yes', schema: Ready }, 503: { description: 'Not now', schema: Ready } },
  handler: async ({ deps }) => {
    const body = await readiness(deps);
    return { status: body.status === 'ok' ? 200 : 503, body };
  },
});

const detail = defineRoute({
  method: 'get',
  path: '/health',
  action: 'system.read',
  cost: 'none',
  tag,
  summary: 'Workers, Temporal, reconciler and open runs',
  responses: { 200: { description: 'As the database knows it', schema: Health } },
  handler: async ({ deps }) => {
    const [state, workers, runs] = await Promise.all([readiness(deps), liveWorkers(deps.engine, WORKER_SEEN_MS), openRuns(deps.engine)]);
    const reconciled = workers.flatMap((worker) => (worker.reconciled === null ? [] : iso(worker.reconciled))).sort();
    const body = {
      ...state,
      workers: workers.map((worker) => ({
        id: worker.id,
        name: worker.name,
        version: worker.version,
        startedAt: iso(worker.started),
        seenAt: iso(worker.seen),
        temporal: worker.temporal,
        reconciledAt: maybeIso(worker.reconciled),
      })),
      temporal: workers.some((worker) => worker.temporal),
      storage: deps.objects.isFull() || workers.some((worker) => worker.storage_full) ? ('full' as const) : ('ok' as const),
      lastReconcileAt: reconciled.at(-1) ?? null,
      openRuns: Object.fromEntries(runs.map(({ status, n }) => [status, n])),
    };
    return { status: 200, body };
  },
});

const metrics = defineRoute({
  method: 'get',
  path: '/metrics',
  action: 'system.read',
  cost: 'none',
  tag,
  summary: 'Figures of this process for Prometheus',
  responses: { 200: { description: 'Text exposition format', types: ['text/plain'] } },
  handler: async ({ deps }) => ({ status: 200, type: deps.metrics.registry.contentType, body: await deps.metrics.registry.metrics() }),
});

export const healthRoutes: readonly Route[] = [live, ready, detail, metrics];
