import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/** Registry of a process with the usual figures about it (memory, event loop, CPU). Not the global one: tests make their own. */
export function createRegistry(labels: Record<string, string> = {}) {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  collectDefaultMetrics({ register: registry });
  return registry;
}

export type MetricsRegistry = ReturnType<typeof createRegistry>;

/** Durations in seconds, as Prometheus wants them. */
export const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** What a worker counts. */
export function createWorkerMetrics(registry: MetricsRegistry) {
  const registers = [registry];
  return {
    starts: new Counter({ name: 'tiu_run_starts_total', help: 'Workflow starts asked of Temporal', labelNames: ['result'], registers }),
    pokes: new Counter({ name: 'tiu_run_pokes_total', help: 'Runs told to look into the database', labelNames: ['reason'], registers }),
    cancels: new Counter({ name: 'tiu_run_cancels_total', help: 'Cancel requests sent to Temporal', registers }),
    slices: new Counter({ name: 'tiu_slice_starts_total', help: 'Slices of maps started', registers }),
    externals: new Counter({ name: 'tiu_activity_starts_total', help: 'Executions that call activities of users started', registers }),
    lateStarts: new Gauge({ name: 'tiu_late_starts', help: 'Ended runs whose executions are still to be started in Temporal', registers }),
    unfinishedStarts: new Gauge({ name: 'tiu_unfinished_starts', help: 'Runs started here whose first task has not ended', registers }),
    admission: new Histogram({ name: 'tiu_admission_seconds', help: 'One admission tick', buckets: SECONDS, registers }),
    temporalUp: new Gauge({ name: 'tiu_temporal_up', help: '1 while Temporal answers', registers }),
    reconciled: new Gauge({
      name: 'tiu_reconciler_last_pass_timestamp_seconds',
      help: 'Last complete pass; none for 10 s is an alarm (holder only)',
      registers,
    }),
    corrections: new Counter({
      name: 'tiu_reconciler_corrections_total',
      help: 'Runs, slices and calls of activities that had to be repaired; should stay 0',
      labelNames: ['reason'],
      registers,
    }),
    takeovers: new Counter({ name: 'tiu_takeovers_total', help: 'Workers taken over by this one', labelNames: ['reason'], registers }),
    runsTakenOver: new Counter({ name: 'tiu_runs_taken_over_total', help: 'Runs of workers that are gone, begun anew here', registers }),
    reminders: new Counter({
      name: 'tiu_reminders_total',
      help: 'Notices of approvals and their reminders: told (to the log of the run alone), sent, failed (to be tried again), lost (given up)',
      labelNames: ['result'],
      registers,
    }),
    auditSealed: new Counter({
      name: 'tiu_audit_sealed_total',
      help: 'Audit rows that this worker gave their place in the chain',
      registers,
    }),
    auditWaiting: new Gauge({
      name: 'tiu_audit_waiting_seconds',
      help: 'Age of the oldest audit row without a place in the chain, every 10 s; above 10 is an alarm (holder only)',
      registers,
    }),
    notices: new Counter({ name: 'tiu_notices_total', help: 'Notices received', labelNames: ['channel'], registers }),
  };
}

/** Hosts with a series of their own; the rest is counted as `other`. */
const MAX_HOSTS = 50;

/** The circuits that are not closed, by host and state, as they are when metrics are asked for. */
export function watchCircuits(registry: MetricsRegistry, states: () => { host: string; open: number; halfOpen: number }[]): void {
  new Gauge({
    name: 'tiu_circuits',
    help: 'Circuits of outside hosts that are not closed, each of one workspace',
    labelNames: ['host', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [i, { host, open, halfOpen }] of states().entries()) {
        const label = i < MAX_HOSTS ? host : 'other';
        if (open > 0) this.inc({ host: label, state: 'open' }, open);
        if (halfOpen > 0) this.inc({ host: label, state: 'half_open' }, halfOpen);
      }
    },
  });
}
