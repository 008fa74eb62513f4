import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { temporalBinary } from '../tools/setup.mjs';
import { freePort } from '../src/dev/freePort.ts';
import type { Guard } from '../src/dev/guard.ts';
import { DYNAMIC_CONFIG, serveTemporal, type Temporal } from '../src/dev/temporal.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const SOURCE = path.join(ROOT, 'tools/temporal');
const VERSION = /go\.temporal\.io\/server v([\d.]+)/.exec(fs.readFileSync(path.join(SOURCE, 'go.mod'), 'utf8'))?.[1] ?? '';
const TOOLS = { server: 'go.temporal.io/server/cmd/server', sql: 'go.temporal.io/server/cmd/tools/sql' };
const DATABASES = { temporal: 'temporal', temporal_visibility: 'visibility' };

const run = promisify(execFile);

export type PlaceOfTemporal = {
  /** Address of a PostgreSQL server, of a user who may create databases. */
  postgres: string;
  /** Existing folder. */
  folder: string;
  port?: number;
  guard?: Guard;
  dynamicConfig?: Record<string, unknown>;
};

/** The Temporal server as it is run in production, with history and visibility in PostgreSQL. Built when first needed. */
export async function startTemporalOnPostgres(place: PlaceOfTemporal): Promise<Temporal> {
  const { hostname, port: sqlPort, username, password } = new URL(place.postgres);
  const secret = decodeURIComponent(password);
  await makeSchema({ SQL_HOST: hostname, SQL_PORT: sqlPort, SQL_USER: username, SQL_PASSWORD: secret, SQL_PLUGIN: 'postgres12' });
  const port = place.port ?? (await lowPort());
  const dynamic = path.join(place.folder, 'temporal.dynamic.yaml');
  const values = Object.entries({ ...DYNAMIC_CONFIG, ...place.dynamicConfig });
  fs.writeFileSync(dynamic, values.map(([name, value]) => `${name}:\n  - value: ${JSON.stringify(value)}\n`).join(''));
  const served = await serveTemporal({
    binary: built('server'),
    args: ['--allow-no-auth', 'start'],
    env: {
      ...{ DB: 'postgres12', POSTGRES_SEEDS: hostname, DB_PORT: sqlPort, POSTGRES_USER: username, POSTGRES_PWD: secret },
      ...{ DBNAME: 'temporal', VISIBILITY_DBNAME: 'temporal_visibility', SQL_MAX_CONNS: '10', SQL_VIS_MAX_CONNS: '5' },
      ...{ NUM_HISTORY_SHARDS: '4', BIND_ON_IP: '127.0.0.1', LOG_LEVEL: 'error', DYNAMIC_CONFIG_FILE_PATH: dynamic },
      ...(await otherPorts()),
      ...{ FRONTEND_GRPC_PORT: String(port), PUBLIC_FRONTEND_ADDRESS: `127.0.0.1:${port}` },
    },
    port,
    ...(place.guard && { guard: place.guard }),
  });
  await makeNamespace(served.address);
  return { ...served, ui: '' };
}

const SERVICES = ['FRONTEND', 'HISTORY', 'MATCHING', 'WORKER', 'INTERNAL_FRONTEND'];

async function otherPorts(): Promise<Record<string, string>> {
  const names = SERVICES.flatMap((service) => [`${service}_GRPC_PORT`, `${service}_MEMBERSHIP_PORT`, `${service}_HTTP_PORT`]);
  const ports: Record<string, string> = {};
  for (const name of names) ports[name] = String(await lowPort());
  return ports;
}

let candidate = 10_000 + ((process.pid * 37) % 20_000);

/** A free port that the server can write down: the column that it has for it in PostgreSQL ends at 32,767. */
export async function lowPort(): Promise<number> {
  do candidate = candidate >= 32_000 ? 10_000 : candidate + 1;
  while ((await freePort(candidate)) !== candidate);
  return candidate;
}

async function makeSchema(env: Record<string, string>): Promise<void> {
  const tool = built('sql');
  for (const [database, schema] of Object.entries(DATABASES)) {
    const ask = (...args: string[]) => run(tool, ['--database', database, ...args], { env: { ...process.env, ...env } });
    try {
      await ask('create-database');
    } catch (error) {
      if (!String((error as { stderr?: string; stdout?: string }).stderr).includes('already exists')) throw error;
      continue; // made by an earlier start
    }
    await ask('setup-schema', '-v', '0.0');
    await ask('update-schema', '--schema-name', `postgresql/v12/${schema}`);
  }
}

/** Until the server takes it: its caches know of a new namespace some seconds later. */
async function makeNamespace(address: string): Promise<void> {
  const cli = temporalBinary() ?? '';
  const ask = (...args: string[]) => run(cli, ['operator', 'namespace', ...args, '--namespace', 'default', '--address', address]);
  for (let tries = 0; ; tries++) {
    try {
      await ask('describe').catch(() => ask('create', '--retention', '72h'));
      return;
    } catch (error) {
      if (tries === 30) throw error;
      await new Promise((again) => setTimeout(again, 500));
    }
  }
}

/** File of a program of the server, in the cache; 3 to 8 minutes of the processor when it is not there yet. */
function built(name: keyof typeof TOOLS): string {
  const file = path.join(ROOT, '.tiu/bin', `temporal-${name === 'sql' ? 'sql-tool' : name}-${VERSION}`);
  if (fs.existsSync(file)) return file;
  process.stderr.write(`building ${TOOLS[name]} ${VERSION}\n`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const flags = ['-p', '1', '-trimpath', '-tags', 'disable_grpc_modules', '-ldflags', '-s -w', '-o', `${file}.new`];
  execFileSync('nice', ['-n', '10', 'go', 'build', ...flags, TOOLS[name]], {
    cwd: SOURCE,
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  fs.renameSync(`${file}.new`, file);
  return file;
}
