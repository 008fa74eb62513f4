import { NativeConnection } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { within } from '../temporal/failures.ts';

export type TemporalLink = {
  /** The one connection of this process, shared by client and worker, without which a start cannot be eager. */
  connection: () => NativeConnection | undefined;
  /** Waits as long as it takes. @throws Error when `stopping` is aborted first */
  connect: (stopping: AbortSignal) => Promise<NativeConnection>;
  up: () => boolean;
  /** What a call to Temporal said about it. */
  report: (up: boolean) => void;
  close: () => Promise<void>;
};

export type TemporalLinkDeps = {
  config: Pick<Config, 'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE'>;
  log: Log;
  metrics: WorkerMetrics;
  /** Temporal answers, for the first time or again; it may have been wiped meanwhile. */
  onUp: () => void;
};

const RETRY_MS = 300;
const PROBE_MS = 1_000;
const PATIENCE_MS = 1_500;

/**
 * Reaches Temporal lazily: the process starts and waits while it is down. Once made, the connection heals by itself;
 * a probe says when it has.
 */
export function createTemporalLink(deps: TemporalLinkDeps): TemporalLink {
  const { config, log } = deps;
  let connection: NativeConnection | undefined;
  let up: boolean | undefined;
  const report = (now: boolean) => {
    if (up === now) return;
    if (now) log.info({ address: config.TEMPORAL_ADDRESS }, 'temporal.up');
    else log.warn({ address: config.TEMPORAL_ADDRESS }, 'temporal.down');
    up = now;
    deps.metrics.temporalUp.set(now ? 1 : 0);
    if (now) deps.onUp();
  };
  let probing = false;
  const probe = async () => {
    if (probing || !connection) return;
    probing = true;
    report(await answers(connection, config.TEMPORAL_NAMESPACE));
    probing = false;
  };
  const timer = setInterval(() => void probe(), PROBE_MS);
  return {
    connection: () => connection,
    connect: async (stopping) => {
      while (!connection) {
        stopping.throwIfAborted();
        try {
          connection = await NativeConnection.connect({ address: config.TEMPORAL_ADDRESS });
        } catch {
          report(false);
          await sleep(RETRY_MS, undefined, { signal: stopping });
        }
      }
      await probe();
      return connection;
    },
    up: () => up === true,
    report,
    close: async () => {
      clearInterval(timer);
      await connection?.close();
    },
  };
}

/** Asks for the namespace, since a server that has just been wiped answers before it has one. */
async function answers(connection: NativeConnection, namespace: string): Promise<boolean> {
  try {
    await within(
      PATIENCE_MS,
      connection.withDeadline(Date.now() + PATIENCE_MS, () => connection.workflowService.describeNamespace({ namespace })),
    );
    return true;
  } catch {
    return false;
  }
}
