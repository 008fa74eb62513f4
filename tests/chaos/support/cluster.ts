import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { NODE_FLAGS } from '../../../src/dev/nodeFlags.ts';
import { makeCluster, postgresPlace, temporalBinary } from '../../../tools/setup.mjs';
import { openDatabase } from '../../../src/db/database.ts';
import { ensureDatabase } from '../../../src/db/ensureDatabase.ts';
import { migrate } from '../../../src/db/migrate.ts';
import { ensureOwner } from '../../../src/db/repositories/owner.ts';
import { freePort } from '../../../src/dev/freePort.ts';
import { createGuard, type Guard } from '../../../src/dev/guard.ts';
import { startPostgres, type Postgres } from '../../../src/dev/postgres.ts';
import { startService, type Service } from '../../../src/dev/service.ts';
import { startTemporal, type Temporal } from '../../../src/dev/temporal.ts';
import { aReceiver, type Receiver } from './receiver.ts';
import { until } from '../../support/until.ts';

export type ClusterOptions = {
  /** Worker processes, 2 unless told otherwise. */
  workers?: number;
  apis?: number;
  /** Settings of api and workers. */
  env?: Record<string, string>;
  /** Of the Temporal server. */
  dynamicConfig?: Record<string, unknown>;
  /** Called with the folder in which `postgres`, `temporal` and `objects` will lie, before anything is there. What it answers is called at the end. */
  prepare?: (folder: string) => () => void;
  /** Another server than the development one; it has its data in our PostgreSQL, and cannot be wiped. */
  temporal?: { port: () => Promise<number>; start: (place: StartOfTemporal) => Promise<Temporal> };
};

type StartOfTemporal = { postgres: string; folder: string; port: number; guard: Guard; dynamicConfig: Record<string, unknown> };

/** A server that can be killed and started again in its place. */
type Server = { readonly pid: number; kill: () => Promise<void>; start: () => Promise<void> };

export type Cluster = {
  folder: string;
  key: string;
  receiver: Receiver;
  /** Settings of the processes that are started from now on. */
  env: Record<string, string | undefined>;
  apis: Service[];
  workers: Service[];
  /** Rows of the database; asked again for some seconds while it is away. */
  rows: <R extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<R[]>;
  /** A connection of the test's own, for instance to hold a lock. */
  connect: () => Promise<pg.Client>;
  postgres: Server;
  temporal: Server & { wipe: () => Promise<void>; address: string };
  /** With more settings of its own, if given. */
  startWorker: (env?: Record<string, string>) => Promise<Service>;
  /** Starts as many workers as are missing. */
  staff: (workers: number) => Promise<void>;
  startApi: (env?: Record<string, string>) => Promise<Service>;
  /** Output of the Temporal CLI. */
  cli: (...args: string[]) => Promise<string>;
  /** What api and workers have logged. */
  log: () => string;
  stop: () => Promise<void>;
};

type Building = {
  options: ClusterOptions;
  folder: string;
  guard: Guard;
  receiver: Receiver;
  stops: (() => Promise<void> | void)[];
  env: Record<string, string | undefined>;
  logs: string[];
};

const ROOT = process.cwd();
/** Folders of a cluster that fill up. */
const VOLUMES = ['postgres', 'temporal', 'objects'];

/** PostgreSQL, Temporal, apis and workers as processes of their own, for one suite alone. None outlives this process. */
export async function aCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-chaos-'));
  fs.chmodSync(folder, 0o755);
  const building: Building = { options, folder, guard: createGuard(), receiver: await aReceiver(), stops: [], env: {}, logs: [] };
  try {
    for (const name of VOLUMES) fs.mkdirSync(path.join(folder, name), { mode: 0o755 });
    if (options.prepare) building.stops.push(options.prepare(folder));
    return await build(building);
  } catch (error) {
    await stopAll(building);
    throw error;
  }
}

async function build(building: Building): Promise<Cluster> {
  const { options, folder, receiver, stops } = building;
  stops.push(() => receiver.close());
  const opening = openPostgres(building);
  const [postgres, temporal] = await Promise.all([opening, openTemporal(building, opening)]);
  const url = await ensureDatabase(postgres.url, 'tiu');
  await migrate(url);
  const key = await ownerKey(url);
  building.env = {
    PATH: process.env.PATH,
    DATABASE_URL: url,
    TEMPORAL_ADDRESS: temporal.address,
    TIU_TASK_QUEUE: 'chaos',
    TIU_PORT: '0',
    TIU_OBJECTS: path.join(folder, 'objects'),
    TIU_HTTP_ALLOW: `127.0.0.1:${receiver.port}`,
    TIU_CIRCUIT_FAILURES: '0', // what the receiver refuses is a test of retries, and many at once
    TIU_LOG_LEVEL: 'warn',
    TIU_SHUTDOWN_GRACE: '1000',
    ...options.env,
  };
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  pool.on('error', () => undefined); // it was killed: the next query says so
  stops.push(() => pool.end());
  const cluster: Cluster = {
    ...{ folder, key, receiver, env: building.env, apis: [], workers: [] },
    rows: (text, values = []) => until(text, async () => (await pool.query<never>(text, values)).rows),
    connect: async () => {
      const client = new pg.Client(url);
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    ...{ postgres, temporal },
    startWorker: (env) => start(building, cluster.workers, { role: 'worker', env }),
    staff: async (workers) => {
      const missing = Math.max(0, workers - cluster.workers.length);
      await Promise.all(Array.from({ length: missing }, () => cluster.startWorker()));
    },
    startApi: (env) => start(building, cluster.apis, { role: 'api', env }),
    cli: async (...args) =>
      (await promisify(execFile)(temporalBinary() ?? '', [...args, '--address', temporal.address], { maxBuffer: 2 ** 26 })).stdout,
    log: () => building.logs.map((file) => fs.readFileSync(file, 'utf8')).join(''),
    stop: () => stopAll(building),
  };
  await startProcesses(cluster, options);
  return cluster;
}

/** The first worker makes the bundle of the workflow code, which the others then find. */
async function startProcesses(cluster: Cluster, { apis = 1, workers = 2 }: ClusterOptions): Promise<void> {
  const rest = (async () => {
    if (workers > 0) await cluster.startWorker();
    await cluster.staff(workers);
  })();
  await Promise.all([...Array.from({ length: apis }, () => cluster.startApi()), rest]);
}

async function ownerKey(url: string): Promise<string> {
  const db = await openDatabase({ url, role: 'tiu_engine', max: 1 });
  const { key } = await ensureOwner(db, { workspaceName: 'own' });
  await db.close();
  return key;
}

async function openPostgres(building: Building): Promise<Server & { url: string }> {
  const { folder, guard } = building;
  const place = { ...postgresPlace(), data: path.join(folder, 'postgres/data') };
  const passwordFile = path.join(folder, 'password');
  makeCluster(place, passwordFile);
  const port = await freePort();
  const run = () => startPostgres({ place, passwordFile, port, guard });
  let current: Postgres = await run();
  building.stops.push(() => current.stop());
  return {
    url: current.url,
    get pid() {
      return current.pid;
    },
    kill: async () => {
      process.kill(current.pid, 'SIGKILL');
      await current.exited;
    },
    // the sessions of a killed server linger for a moment and keep its memory from the next one
    start: async () => {
      current = await until('PostgreSQL starts again', run);
    },
  };
}

async function openTemporal(building: Building, postgres: Promise<{ url: string }>): Promise<Cluster['temporal']> {
  const { folder, guard, options } = building;
  const database = path.join(folder, 'temporal/temporal.db');
  const dynamicConfig = options.dynamicConfig ?? {};
  const { temporal: other } = options;
  const port = await (other ? other.port() : freePort());
  const run = other
    ? async () => other.start({ ...{ folder, port, guard, dynamicConfig }, postgres: (await postgres).url })
    : () => startTemporal({ binary: temporalBinary() ?? '', database, port, uiPort: false, guard, dynamicConfig });
  let current: Temporal = await run();
  building.stops.push(() => current.stop());
  const kill = async () => {
    process.kill(current.pid, 'SIGKILL');
    await current.exited;
  };
  return {
    address: `127.0.0.1:${port}`,
    get pid() {
      return current.pid;
    },
    kill,
    start: async () => {
      current = await run();
    },
    wipe: async () => {
      if (other) throw new Error('this server cannot be wiped');
      await kill();
      for (const suffix of ['', '-wal', '-shm']) fs.rmSync(database + suffix, { force: true });
      current = await run();
    },
  };
}

async function start(
  building: Building,
  list: Service[],
  { role, env }: { role: 'api' | 'worker'; env: Record<string, string> | undefined },
): Promise<Service> {
  const logFile = path.join(building.folder, `${role}-${building.logs.length}.log`);
  building.logs.push(logFile);
  const service = await startService({
    ...{ script: path.join(ROOT, `src/${role}/main.ts`), env: { ...building.env, ...env }, logFile, guard: building.guard },
    flags: NODE_FLAGS[role],
  });
  list.push(service);
  void service.exited.then(() => {
    list.splice(list.indexOf(service), 1);
  });
  building.stops.push(async () => {
    if (list.includes(service)) await kill(service);
  });
  return service;
}

/** kill -9. */
export async function kill(service: Service): Promise<void> {
  process.kill(service.pid, 'SIGKILL');
  await service.exited;
}

async function stopAll(building: Building): Promise<void> {
  for (const stop of building.stops.reverse()) await stop();
  building.guard.close();
  if (process.env.TIU_KEEP_CHAOS === undefined) fs.rmSync(building.folder, { recursive: true, force: true });
}
