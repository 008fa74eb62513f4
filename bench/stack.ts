import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makeCluster, postgresPlace, temporalBinary } from '../tools/setup.mjs';
import { openDatabase } from '../src/db/database.ts';
import { ensureDatabase } from '../src/db/ensureDatabase.ts';
import { migrate } from '../src/db/migrate.ts';
import { ensureOwner } from '../src/db/repositories/owner.ts';
import { createGuard } from '../src/dev/guard.ts';
import { NODE_FLAGS } from '../src/dev/nodeFlags.ts';
import { startPostgres } from '../src/dev/postgres.ts';
import { startService, type Service } from '../src/dev/service.ts';
import { startTemporal } from '../src/dev/temporal.ts';
import { startTemporalOnPostgres } from './temporalServer.ts';
import type { Roles } from './processes.ts';

/** What is measured: a stack of our own, or one that runs already (then nothing is known of its processes). */
export type Stack = {
  url: string;
  token: string;
  versions: Record<string, string>;
  roles: () => Roles;
  /** Only of a stack of our own. */
  own?: {
    database: string;
    temporal: string;
    temporalCli: string;
    folder: string;
    killWorker: () => Promise<void>;
    startWorker: () => Promise<void>;
    /** Temporal goes, as its server would be shut down, and comes back with what it had. */
    stopTemporal: () => Promise<void>;
    startTemporal: () => Promise<void>;
  };
  stop: () => Promise<void>;
};

export type StackOptions = {
  /** More flags for node, by role. */
  flags?: Partial<Record<'api' | 'worker', readonly string[]>>;
  /** More settings of api and worker. */
  env?: Record<string, string>;
  /** Lets the database count statements, which costs it a little. */
  statements?: boolean;
  /** Keeps logs and data, and says where. */
  keep?: boolean;
};

const ROOT = path.resolve(import.meta.dirname, '..');
/** Owner of what is measured. */
const WORKSPACE = 'bench';

/** The stack of TIU_URL and TIU_TOKEN if they are set, else one of its own in a temporary folder. */
export function openStack(options: StackOptions = {}): Promise<Stack> {
  const { TIU_URL: url, TIU_TOKEN: token } = process.env;
  if (url === undefined || token === undefined) return startOwn(options);
  return Promise.resolve({ url, token, versions: { node: process.version }, roles: () => ({}), stop: () => Promise.resolve() });
}

type Stop = () => unknown;

async function startOwn(options: StackOptions): Promise<Stack> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bench-'));
  fs.chmodSync(folder, 0o755); // PostgreSQL may run as another user
  const stops: Stop[] = [];
  if (!options.keep)
    stops.push(() => {
      fs.rmSync(folder, { recursive: true, force: true });
    });
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    return await build(options, { folder, stops, stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

type Place = { folder: string; stops: Stop[]; stop: () => Promise<void> };

async function build(options: StackOptions, { folder, stops, stop }: Place): Promise<Stack> {
  const guard = createGuard();
  stops.push(guard.close);
  const stores = await startStores(options, { folder, stops, stop }, guard);
  const database = await ensureDatabase(stores.postgres.url, 'tiu');
  await migrate(database);
  const token = await makeKey(database);
  const env = {
    ...process.env,
    DATABASE_URL: database,
    TEMPORAL_ADDRESS: stores.temporal.address,
    TIU_PORT: '0',
    TIU_OBJECTS: path.join(folder, 'objects'),
    TIU_LOG_LEVEL: 'warn',
    TIU_HTTP_ALLOW: '127.0.0.0/8',
    ...options.env,
  };
  const start = async (role: 'api' | 'worker', until: 'ready' | 'carries' = 'ready') => {
    const flags = [...NODE_FLAGS[role], ...(options.flags?.[role] ?? [])];
    const service = await startService({
      script: path.join(ROOT, `src/${role}/main.ts`),
      env,
      flags,
      standsBack: role === 'worker',
      until,
      logFile: path.join(folder, `${role}.log`),
      guard,
    });
    stops.push(service.stop);
    return service;
  };
  const [api, first] = await Promise.all([start('api'), start('worker')]);
  let worker: Service = first;
  let { temporal } = stores;
  return {
    url: api.line.url ?? '',
    token,
    versions: { ...stores.versions, ...ownVersions() },
    roles: () => ({ api: api.pid, worker: worker.pid, temporal: temporal.pid, postgres: stores.postgres.pid }),
    own: {
      ...{ database, temporal: stores.temporal.address, temporalCli: stores.binary, folder },
      killWorker: async () => {
        process.kill(worker.pid, 'SIGKILL');
        await worker.exited;
      },
      startWorker: async () => {
        worker = await start('worker', 'carries');
      },
      stopTemporal: () => temporal.stop(),
      startTemporal: async () => {
        const port = Number(new URL(`http://${temporal.address}`).port);
        temporal = await startTemporal({ binary: stores.binary, database: path.join(folder, 'temporal.db'), uiPort: false, port, guard });
        stops.push(temporal.stop);
      },
    },
    stop,
  };
}

async function startStores(options: StackOptions, { folder, stops }: Place, guard: ReturnType<typeof createGuard>) {
  const binary = temporalBinary();
  if (binary === undefined) throw new Error('there is no Temporal server: run npm run setup');
  const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
  const passwordFile = path.join(folder, 'password');
  makeCluster(place, passwordFile);
  const starting = startPostgres({
    place,
    passwordFile,
    guard,
    ...(options.statements && { settings: { shared_preload_libraries: 'pg_stat_statements' } }),
  });
  const onPostgres = process.env.TIU_BENCH_STORE === 'postgres'; // else the development server, with a file
  const [postgres, temporal] = await Promise.all([
    starting,
    onPostgres
      ? starting.then(({ url }) => startTemporalOnPostgres({ postgres: url, folder, guard }))
      : startTemporal({ binary, database: path.join(folder, 'temporal.db'), uiPort: false, guard }),
  ]);
  stops.push(postgres.stop, temporal.stop);
  const version = (command: string, args: string[]) => execFileSync(command, args).toString().trim();
  const versions = { postgres: version(`${place.native}/bin/postgres`, ['--version']), temporal: version(binary, ['--version']) };
  return { postgres, temporal, binary, versions };
}

async function makeKey(database: string): Promise<string> {
  const db = await openDatabase({ url: database, role: 'tiu_engine', max: 1 });
  try {
    return (await ensureOwner(db, { workspaceName: WORKSPACE })).key;
  } finally {
    await db.close();
  }
}

function ownVersions(): Record<string, string> {
  const read = (file: string) => (JSON.parse(fs.readFileSync(path.join(ROOT, file), 'utf8')) as { version: string }).version;
  return { tiu: read('package.json'), 'temporal sdk': read('node_modules/@temporalio/worker/package.json'), node: process.version };
}
