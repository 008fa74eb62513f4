import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { createRegistry, SECONDS } from '../runtime/metrics.ts';

export type ApiMetrics = ReturnType<typeof createApiMetrics>;

/** What an API process counts. */
export function createApiMetrics() {
  const registry: Registry = createRegistry();
  const registers = [registry];
  return {
    registry,
    requests: new Histogram({
      name: 'tiu_http_request_seconds',
      help: 'Requests by route',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS,
      registers,
    }),
    accepted: new Counter({ name: 'tiu_runs_accepted_total', help: 'Runs accepted', labelNames: ['replayed'], registers }),
    refused: new Counter({
      name: 'tiu_requests_refused_total',
      help: 'Requests refused for lack of room',
      labelNames: ['code'],
      registers,
    }),
    deliveries: new Counter({
      name: 'tiu_hook_deliveries_total',
      help: 'Deliveries to hooks: new, known, or why one was refused',
      labelNames: ['result'],
      registers,
    }),
    ...accountMetrics(registers),
    observeLoad: (load: () => Record<string, number>) =>
      new Gauge({
        name: 'tiu_api_load',
        help: 'What the process has in hand',
        labelNames: ['what'],
        registers,
        collect() {
          for (const [what, value] of Object.entries(load())) this.set({ what }, value);
        },
      }),
    observeSockets: (count: () => number) =>
      new Gauge({
        name: 'tiu_sockets',
        help: 'Open sockets',
        registers,
        collect() {
          this.set(count());
        },
      }),
    auditDropped: new Counter({
      name: 'tiu_audit_dropped_total',
      help: 'Refusals that are in the audit as a number only, or lost; an alarm',
      registers,
    }),
    behind: new Counter({ name: 'tiu_readers_behind_total', help: 'Readers told to catch up', registers }),
  };
}

/** Of accounts and their mails. */
const accountMetrics = (registers: Registry[]) => ({
  passwordHashes: new Counter({
    name: 'tiu_password_hashes_total',
    help: 'Hashes of passwords that were computed',
    labelNames: ['what'],
    registers,
  }),
  mails: new Counter({
    name: 'tiu_mails_total',
    help: 'Mails of accounts: sent, postponed, failed, expired',
    labelNames: ['result'],
    registers,
  }),
});
