import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { io } from 'socket.io-client';
import { makeCluster, postgresPlace } from '../tools/setup.mjs';
import { openSession } from '../src/api/auth/openSession.ts';
import { openDatabase, type OrmDatabase } from '../src/db/database.ts';
import { migrate } from '../src/db/migrate.ts';
import { ensureOwner } from '../src/db/repositories/owner.ts';
import { openTokens, type Tokens } from '../src/providers/tokens/tokens.ts';
import { readConfig } from '../src/runtime/config.ts';
import { createGuard } from '../src/dev/guard.ts';
import { NODE_FLAGS } from '../src/dev/nodeFlags.ts';
import { startPostgres } from '../src/dev/postgres.ts';
import { startService } from '../src/dev/service.ts';
import { quantile } from './spread.ts';

/**
 * What signing in costs: `node bench/auth.ts`, against a PostgreSQL and two api processes of its own. Figures of a busy machine are worth nothing.
 */
const CHECKS = 5_000;
const REFRESHES = 500;
const SECONDS = 5;
const CLIENTS = 16;
const ENDS = 50;

const state = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bench-'));
fs.chmodSync(state, 0o755); // PostgreSQL has a user of its own
const place = { ...postgresPlace(), data: path.join(state, 'postgres') };
makeCluster(place, path.join(state, 'password'));
const { url: database, stop } = await startPostgres({ place, passwordFile: path.join(state, 'password') });
await migrate(database);
const db = await openDatabase({ url: database, role: 'tiu_engine', max: 2 });
const { key: ownerKey } = await ensureOwner(db, { workspaceName: 'default' });
const settings = {
  DATABASE_URL: database,
  TIU_TOKEN_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  TIU_MAX_SESSIONS: '1000',
  TIU_RATE_READ: 'user=10000000/1',
  TIU_RATE_AUTH: 'network=10000000/1',
};
const guard = createGuard();
const [first, second] = [await anApi('api-1'), await anApi('api-2')];
const config = readConfig(settings);
const clock = () => Date.now();
const tokens = await openTokens(config, clock);
const say = (what: string, figures: Record<string, number>) =>
  process.stdout.write(
    `${what}: ${Object.entries(figures)
      .map(([name, value]) => `${name} ${value.toFixed(3)}`)
      .join(', ')}\n`,
  );

try {
  process.stdout.write(`${os.cpus().length} cores, ${os.cpus()[0]?.model ?? ''}, load ${os.loadavg()[0]?.toFixed(1) ?? ''}\n`);
  const account = await anAccount(db);
  const signIn = () =>
    openSession({ db, config, tokens, clock }, { account, method: 'password', mfa: false, ip: '127.0.0.1', userAgent: 'bench' });
  const { accessToken, refreshToken } = await signIn();
  await checks(tokens, accessToken);
  await refreshes(refreshToken);
  for (let round = 0; round < 3; round++)
    for (const [name, token] of [
      ['token', accessToken],
      ['key', ownerKey],
    ] as const)
      say(`GET /runs with a ${name}, ${CLIENTS} clients`, await load(token));
  await ends(signIn);
} finally {
  await db.close();
  for (const api of [first, second]) await api.stop();
  await stop();
  guard.close();
  fs.rmSync(state, { recursive: true, force: true });
}

async function anApi(name: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const env = { ...process.env, ...settings, TIU_PORT: '0', TIU_LOG_LEVEL: 'warn', TIU_OBJECTS: path.join(state, 'objects') };
  const script = path.resolve(import.meta.dirname, '../src/api/main.ts');
  const service = await startService({ script, env, flags: NODE_FLAGS.api, guard, logFile: path.join(state, `${name}.log`) });
  return { url: service.line.url ?? '', stop: service.stop };
}

async function anAccount(database: OrmDatabase): Promise<string> {
  const id = randomUUIDv7();
  const rows = (text: string) => database.rows({ name: '', text, values: [id] });
  await rows(`insert into account (id, name, name_key, created, created_by) values ($1, 'bench', 'bench', now(), 'bench')`);
  await rows(
    `insert into membership (workspace, account, role, granted_by, granted) select id, $1, 'owner', 'bench', now() from workspace where name = 'default'`,
  );
  return id;
}

/** Microseconds of CPU of a signature, which is checked once for each token. */
async function checks({ verifyAccess, signAccess }: Tokens, token: string): Promise<void> {
  const each = async (act: () => Promise<unknown>) => {
    const before = process.cpuUsage();
    for (let i = 0; i < CHECKS; i++) await act();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / CHECKS;
  };
  const grant = await verifyAccess(token);
  say('CPU of a token, µs', { check: await each(() => verifyAccess(token)), sign: await each(() => signAccess(grant)) });
}

async function refreshes(begin: string): Promise<void> {
  let refreshToken = begin;
  const times: number[] = [];
  for (let i = 0; i < REFRESHES; i++) {
    const began = performance.now();
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${first.url}/api/v1/auth/refresh`, { method: 'POST', headers, body: JSON.stringify({ refreshToken }) });
    ({ refreshToken } = (await answer.json()) as { refreshToken: string });
    times.push(performance.now() - began);
  }
  say('POST /auth/refresh, ms', { p50: quantile(times, 0.5), p95: quantile(times, 0.95) });
}

async function load(token: string): Promise<Record<string, number>> {
  const until = performance.now() + SECONDS * 1_000;
  const times: number[] = [];
  const client = async () => {
    while (performance.now() < until) {
      const began = performance.now();
      const answer = await fetch(`${first.url}/api/v1/runs?limit=1`, { headers: { authorization: `Bearer ${token}` } });
      await answer.arrayBuffer();
      if (answer.status !== 200) throw new Error(`answered ${answer.status}`);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { 'requests/s': times.length / SECONDS, p50: quantile(times, 0.5), p95: quantile(times, 0.95) };
}

/** From the commit that ends a session to the close of its socket, and to the first request that is refused, in the other process. */
async function ends(signIn: () => Promise<{ accessToken: string; sessionId: string }>): Promise<void> {
  const [socketMs, requestMs]: [number[], number[]] = [[], []];
  const other = second.url;
  for (let i = 0; i < ENDS; i++) {
    const { accessToken: token, sessionId } = await signIn();
    const socket = io(other, { auth: { token }, transports: ['websocket'], reconnection: false, forceNew: true });
    await once(socket as unknown as NodeJS.EventEmitter, 'connect');
    const ask = async () => (await fetch(`${other}/api/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } })).status;
    await ask();
    const closed = once(socket as unknown as NodeJS.EventEmitter, 'disconnect').then(() => performance.now());
    await db.rows({ name: 'bench_end', text: 'update session set ended = clock_timestamp() where id = $1', values: [sessionId] });
    const began = performance.now();
    while ((await ask()) === 200);
    requestMs.push(performance.now() - began);
    socketMs.push((await closed) - began);
  }
  const spread = (times: number[]) => ({ p50: quantile(times, 0.5), p95: quantile(times, 0.95), max: Math.max(...times) });
  say('a session that ends: its socket closed after, ms', spread(socketMs));
  say('a session that ends: its requests refused after, ms', spread(requestMs));
}
