import { Client, Connection } from '@temporalio/client';
import { freePort } from '../../src/dev/freePort.ts';
import type { Service } from '../../src/dev/service.ts';
import { aCluster, kill, type Cluster, type ClusterOptions } from '../../tests/chaos/support/cluster.ts';
import { openProxy, type Proxy } from './proxy.ts';

/** A place for a process that dies and is replaced. */
type Place = {
  pid: () => number | undefined;
  /** kill -9, if there is somebody. */
  kill: () => Promise<void>;
  /** SIGTERM. */
  drain: () => Promise<void>;
  /** Resolves when its process is ready. */
  fill: () => Promise<void>;
};
type ApiPlace = Place & { url: string };
export type WorkerPlace = Place & { wire: Proxy };

/** The stack under attack: two apis at addresses that stay, three workers, each with a wire of its own to Temporal. */
export type Field = {
  cluster: Cluster;
  apis: readonly ApiPlace[];
  workers: readonly WorkerPlace[];
  temporal: () => Client;
  /** Calls of a process that stood still until now, or for `ms` more, may come late. */
  mayBeLate: (from: number, ms?: number) => void;
  isLate: (at: number) => boolean;
  close: () => Promise<void>;
};

const APIS = 2;
const WORKERS = 3;
/** What a process still does at once when it goes on after it stood still. */
const LATE_MS = 3_000;

/** Starts everything. @param options.prepare see ClusterOptions */
export async function openField(options: Pick<ClusterOptions, 'prepare'> = {}): Promise<Field> {
  const cluster = await aCluster({ apis: 0, workers: 0, ...options });
  const wires: Proxy[] = [];
  const late: { from: number; to: number }[] = [];
  let connection: Connection | undefined;
  const close = async () => {
    await connection?.close();
    await cluster.stop();
    for (const wire of wires) await wire.close();
  };
  try {
    connection = await Connection.connect({ address: cluster.temporal.address });
    const client = new Client({ connection });
    const apis = await Promise.all(Array.from({ length: APIS }, () => anApi(cluster)));
    const workers: WorkerPlace[] = [];
    for (let i = 0; i < WORKERS; i++) {
      const wire = await openProxy(cluster.temporal.address);
      wires.push(wire);
      workers.push({ ...place(() => cluster.startWorker({ TEMPORAL_ADDRESS: wire.address })), wire });
    }
    await workers[0]?.fill(); // it makes the bundle of the workflow code, which the others then find
    await Promise.all([...apis, ...workers.slice(1)].map((each) => each.fill()));
    return {
      ...{ cluster, apis, workers, close },
      temporal: () => client,
      mayBeLate: (from, ms = LATE_MS) => {
        late.push({ from, to: Date.now() + ms });
      },
      isLate: (at) => late.some(({ from, to }) => at >= from && at <= to),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function anApi(cluster: Cluster): Promise<ApiPlace> {
  const port = await freePort();
  return { ...place(() => cluster.startApi({ TIU_PORT: String(port) })), url: `http://127.0.0.1:${port}` };
}

function place(start: () => Promise<Service>): Place {
  let service: Service | undefined;
  return {
    pid: () => service?.pid,
    kill: async () => {
      if (service) await kill(service);
      service = undefined;
    },
    drain: async () => {
      await service?.stop();
      service = undefined;
    },
    fill: async () => {
      service ??= await start();
    },
  };
}
