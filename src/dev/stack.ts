import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { lockOwner, makeCluster, postgresPlace, processStart, temporalBinary, tryLock } from '../../tools/setup.mjs';
import { ensureDatabase } from '../db/ensureDatabase.ts';
import { codecSettings, type CodecSettings } from './codec.ts';
import { freePort } from './freePort.ts';
import { createGuard, type Guard } from './guard.ts';
import { keepUp } from './keepUp.ts';
import { NODE_FLAGS } from './nodeFlags.ts';
import type { Owner } from './ownerKey.ts';
import { startPostgres } from './postgres.ts';
import type { Stoppable } from './process.ts';
import { secretSettings } from './secretSettings.ts';
import { startService } from './service.ts';
import { endLeftovers, readStackFile, writeStackFile, type StackRecord } from './stackFile.ts';
import { startTemporal } from './temporal.ts';

export type StackOptions = {
  /** Folder of the project. */
  root: string;
  /** Folder of all state; the project's `.tiu` if not given. */
  state?: string;
  /** Settings of api and worker, over those of this process. */
  env?: Record<string, string>;
  /** Worker processes, 1 or more. */
  workers?: number;
  /** Api processes, 1 or more. The first has the port of the settings. */
  apis?: number;
  /** Stops the start where it is; what runs already is stopped again. */
  signal?: AbortSignal;
  /** Told of crashes and restarts. */
  say?: (line: string) => void;
};
/** `key` is the API key of the stack's owner, `invitation` the token for a person who is to own it, until somebody does. `stop` ends api, workers, Temporal and PostgreSQL, in this order. */
export type Stack = {
  api: string;
  apis: string[];
  key: string;
  keyFile: string;
  invitation?: string | undefined;
  temporalUi: string;
  stop: () => Promise<void>;
};

type Stop = { name: string; stop: () => Promise<void> | void };
type Building = {
  options: StackOptions;
  state: string;
  file: string;
  env: Record<string, string | undefined>;
  guard: Guard;
  record: StackRecord;
  stops: Stop[];
};

/** Of one process of ours at most, with the default settings. */
const CONNECTIONS = 16;
const STOP_ORDER = ['api', 'worker', 'temporal', 'postgres', 'guard', 'lock'];

/**
 * PostgreSQL, Temporal, api and workers as processes of their own under this one, which starts again what crashes.
 * None of them outlives this process. @throws Error when another stack runs in this folder, or a part does not start
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const state = options.state ?? path.join(options.root, '.tiu');
  fs.mkdirSync(state, { recursive: true });
  const lock = path.join(state, 'stack.lock');
  const free = tryLock(lock);
  if (!free) throw new Error(`a stack is running here already (process ${lockOwner(lock) ?? 'unknown'}); stop it first`);
  const file = path.join(state, 'stack.json');
  const before = readStackFile(file);
  const guard = createGuard();
  const building: Building = {
    ...{ options, state, file, guard },
    env: { ...process.env, ...options.env },
    record: { pid: process.pid, ports: before.ports, parts: [] },
    stops: [
      { name: 'lock', stop: free },
      { name: 'guard', stop: guard.close },
    ],
  };
  try {
    await endLeftovers(before.parts);
    return await build(building);
  } catch (error) {
    await stopAll(building);
    throw error;
  }
}

async function build(building: Building): Promise<Stack> {
  const { options, state, record } = building;
  const ports = await apiPorts(building);
  const codec = codecSettings(building.env, { state, port: ports[0] ?? 0 });
  const [database, temporal] = await both(openPostgres(building), openTemporal(building, codec.endpoint));
  options.signal?.throwIfAborted();
  const keyFile = path.join(state, 'owner.key');
  const { key, invitation } = await prepare({ ...building.env, DATABASE_URL: database }, keyFile);
  const env: Settings = { ...building.env, ...temporal, ...codec.env, ...secretSettings(building.env, state), DATABASE_URL: database };
  const publicUrl = env.TIU_PUBLIC_URL ?? `http://127.0.0.1:${ports[0] ?? 0}`;
  const [apis] = await both(startApis(building, env, ports), startWorkers(building, { ...env, TIU_PUBLIC_URL: publicUrl }));
  const [api = ''] = apis;
  options.signal?.throwIfAborted();
  Object.assign(record, { api, database, temporal: temporal.TEMPORAL_ADDRESS, temporalUi: temporal.TIU_TEMPORAL_UI });
  writeStackFile(building.file, record);
  return { api, apis, key, keyFile, invitation, temporalUi: temporal.TIU_TEMPORAL_UI, stop: () => stopAll(building) };
}

/** The current schema, and what the owner goes by. */
async function prepare(env: Settings, keyFile: string): Promise<Owner> {
  const args = ['--disable-warning=ExperimentalWarning', path.join(import.meta.dirname, 'prepareMain.ts'), keyFile];
  return JSON.parse((await promisify(execFile)(process.execPath, args, { env })).stdout) as Owner;
}

/** Waits for both even when one fails: what has come up must be known before it can be stopped. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}

/** What depends on others ends first. Every part is stopped, whatever another one throws. */
async function stopAll(building: Building): Promise<void> {
  const rank = ({ name }: Stop) => STOP_ORDER.findIndex((start) => name.startsWith(start));
  const problems: unknown[] = [];
  for (const part of building.stops.splice(0).sort((a, b) => rank(a) - rank(b))) {
    try {
      if (part.name === 'guard') forgetAddresses(building);
      await part.stop();
    } catch (error) {
      problems.push(error);
    }
  }
  if (problems.length > 0) throw new AggregateError(problems, 'the stack did not stop cleanly');
}

function forgetAddresses({ file, record }: Building): void {
  writeStackFile(file, { ports: record.ports, parts: [] });
}

/** Starts a part and keeps it up. */
async function keep(building: Building, part: { name: string; signal: NodeJS.Signals; start: () => Promise<Stoppable> }): Promise<void> {
  const { record, file, options } = building;
  const kept = await keepUp(
    {
      say: options.say ?? (() => undefined),
      onStart: (name, pid) => {
        const others = record.parts.filter((other) => other.name !== name);
        record.parts = [...others, { name, pid, start: processStart(pid), signal: part.signal }];
        writeStackFile(file, record);
      },
    },
    part,
  );
  building.stops.push({ name: part.name, stop: kept.stop });
}

/** @returns the address of our database in DATABASE_URL, else in the embedded server */
async function openPostgres(building: Building): Promise<string> {
  const { env, state, record, guard, options } = building;
  if (env.DATABASE_URL) return env.DATABASE_URL;
  const place = { ...postgresPlace(), ...(options.state === undefined ? {} : { data: path.join(state, 'postgres') }) };
  const passwordFile = path.join(state, 'postgres.password');
  makeCluster(place, passwordFile);
  const port = await freePort(record.ports.postgres);
  record.ports.postgres = port;
  const processes = (options.apis ?? 1) + (options.workers ?? 1);
  const settings = { max_connections: String(Math.max(200, processes * CONNECTIONS)) };
  let url = '';
  await keep(building, {
    name: 'postgres',
    signal: 'SIGINT',
    start: async () => {
      const postgres = await startPostgres({ place, passwordFile, port, guard, settings });
      ({ url } = postgres);
      return postgres;
    },
  });
  return ensureDatabase(url, 'tiu');
}

type TemporalSettings = { TEMPORAL_ADDRESS: string; TIU_TEMPORAL_UI: string; TIU_CODEC_ORIGINS?: string | undefined };

/** @returns the server of TEMPORAL_ADDRESS, else the embedded one */
async function openTemporal(building: Building, codecEndpoint: CodecSettings['endpoint']): Promise<TemporalSettings> {
  const { env, state, record, guard } = building;
  if (env.TEMPORAL_ADDRESS) return { TEMPORAL_ADDRESS: env.TEMPORAL_ADDRESS, TIU_TEMPORAL_UI: env.TIU_TEMPORAL_UI ?? '' };
  const binary = temporalBinary();
  if (binary === undefined) throw new Error('there is no Temporal server: run npm run setup');
  const database = path.join(state, 'temporal.db');
  forgetOtherVersions(database, binary);
  const port = await freePort(record.ports.temporal);
  const uiPort = await freePort(record.ports.temporalUi);
  Object.assign(record.ports, { temporal: port, temporalUi: uiPort });
  const start = () => startTemporal({ ...{ binary, database, port, uiPort, guard }, codecEndpoint });
  await keep(building, { name: 'temporal', signal: 'SIGINT', start });
  const origins = [`http://127.0.0.1:${uiPort}`, `http://localhost:${uiPort}`];
  return {
    TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
    TIU_TEMPORAL_UI: `http://127.0.0.1:${uiPort}`,
    TIU_CODEC_ORIGINS: env.TIU_CODEC_ORIGINS ?? origins.join(','),
  };
}

/** The development server never migrates its file. A new file costs nothing: runs are restarted from PostgreSQL. */
function forgetOtherVersions(database: string, binary: string): void {
  const note = `${database}.madeBy`;
  const current = `${fs.realpathSync(binary)} ${fs.statSync(binary).size}`;
  if (fs.existsSync(note) && fs.readFileSync(note, 'utf8') === current) return;
  for (const suffix of ['', '-wal', '-shm']) fs.rmSync(database + suffix, { force: true });
  fs.writeFileSync(note, current);
}

type Settings = Building['env'];

/** One first: it makes the bundle of the workflow code, which the others then find. */
async function startWorkers(building: Building, env: Settings): Promise<void> {
  await startWorker(building, env, 1);
  const rest = Array.from({ length: (building.options.workers ?? 1) - 1 }, (_, index) => startWorker(building, env, index + 2));
  await Promise.allSettled(rest);
  await Promise.all(rest);
}

async function startWorker(building: Building, env: Settings, number: number): Promise<void> {
  const name = `worker-${number}`;
  const service = { script: entryOf(building, 'worker'), env: settings(building, env), flags: NODE_FLAGS.worker, standsBack: true };
  await keep(building, {
    name,
    signal: 'SIGTERM',
    start: () => startService({ ...service, guard: building.guard, logFile: path.join(building.state, `logs/${name}.log`) }),
  });
}

/** The port of the settings or the one that was used last, and for each further api the next one if it is free. */
async function apiPorts({ env, record, options }: Building): Promise<number[]> {
  const before = record.ports.apis ?? [];
  const ports = [Number(env.TIU_PORT ?? 0) || (await freePort(before[0]))];
  while (ports.length < (options.apis ?? 1)) ports.push(await freePort(before[ports.length] ?? (ports.at(-1) ?? 0) + 1));
  record.ports.apis = ports;
  return ports;
}

/** @returns the addresses, in the order of the ports */
async function startApis(building: Building, env: Settings, ports: readonly number[]): Promise<string[]> {
  const starts = ports.map((port, index) => startApi(building, env, { port, name: index === 0 ? 'api' : `api-${index + 1}` }));
  await Promise.allSettled(starts);
  return Promise.all(starts);
}

async function startApi(building: Building, env: Settings, { port, name }: { port: number; name: string }): Promise<string> {
  const { guard, state } = building;
  const service = { script: entryOf(building, 'api'), env: settings(building, { ...env, TIU_PORT: String(port) }), flags: NODE_FLAGS.api };
  let url = '';
  await keep(building, {
    name,
    signal: 'SIGTERM',
    start: async () => {
      const api = await startService({ ...service, guard, logFile: path.join(state, `logs/${name}.log`) });
      url = api.line.url ?? '';
      return api;
    },
  });
  return url;
}

const entryOf = (building: Building, role: string): string => path.join(building.options.root, `src/${role}/main.ts`);

const settings = (building: Building, env: Settings): Settings => ({
  ...env,
  TIU_OBJECTS: env.TIU_OBJECTS ?? path.join(building.state, 'objects'),
  TIU_MAIL_OUTBOX: env.TIU_MAIL_OUTBOX ?? path.join(building.state, 'outbox'),
  TIU_LOG_LEVEL: env.TIU_LOG_LEVEL ?? 'info',
});
