import { randomBytes, randomInt } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makeCluster, postgresPlace } from '../tools/setup.mjs';
import { normaliseEmail, normaliseName } from '../src/domain/account/names.ts';
import { openDatabase } from '../src/db/database.ts';
import { ensureDatabase } from '../src/db/ensureDatabase.ts';
import { migrate } from '../src/db/migrate.ts';
import { issueOneTime } from '../src/db/oneTime.ts';
import { createAccount } from '../src/db/repositories/accounts.ts';
import { createGuard } from '../src/dev/guard.ts';
import { startPostgres } from '../src/dev/postgres.ts';
import { startService } from '../src/dev/service.ts';
import { createPasswords } from '../src/providers/password/passwords.ts';
import { quantile } from './spread.ts';

/**
 * Whether answers tell who has an account, by their time or size: `node bench/enumeration.ts [pairs]`, against a stack of its own.
 * For each endpoint as many requests about accounts as about nobody, mixed. 0.5 = nothing is told; by chance alone it stays
 * within 0.5 ± 0.04 with 500 pairs. Also the time of a sign-in that succeeds.
 */
const PAIRS = Number(process.argv[2] ?? 500);
/** Each is asked about several times: as often as failures are allowed. */
const PEOPLE = 50;
const PASSWORD = 'dumpling orbit gravel quay';

const state = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-bench-'));
fs.chmodSync(state, 0o755); // PostgreSQL has a user of its own
const unlimited = Object.fromEntries(['LOGIN', 'CODE', 'RESET', 'AUTH'].map((name) => [`TIU_RATE_${name}`, 'network=1000000/1']));
const env = {
  ...unlimited,
  ...{
    TIU_TOKEN_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    TIU_SECRET_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    TIU_MAX_QUEUED_MAILS: '1000000',
    TIU_REGISTRATION: 'open',
    TIU_LOG_LEVEL: 'warn',
    TIU_LOGIN_TRIES: '1000000',
  },
};
const guard = createGuard();
const place = { ...postgresPlace(), data: path.join(state, 'postgres') };
makeCluster(place, path.join(state, 'password'));
const postgres = await startPostgres({ place, passwordFile: path.join(state, 'password'), guard });
const database = await ensureDatabase(postgres.url, 'tiu');
await migrate(database);
const api = await startService({
  script: path.resolve(import.meta.dirname, '../src/api/main.ts'),
  env: {
    ...process.env,
    ...env,
    DATABASE_URL: database,
    TIU_PORT: '0',
    TIU_MAIL_OUTBOX: path.join(state, 'outbox'),
    TIU_MAX_EVENT_LOOP_DELAY: '60000',
  },
  logFile: path.join(state, 'api.log'),
  guard,
});
const db = await openDatabase({ url: database, role: 'tiu_engine', max: 2 });

type Sample = { ms: number; bytes: number };

async function post(endpoint: string, body: object): Promise<Sample> {
  const from = performance.now();
  const answer = await fetch(`${api.line.url}/api/v1/auth/${endpoint}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (answer.status >= 500 || answer.status === 429) throw new Error(`${endpoint}: ${text}`);
  const ms = performance.now() - from;
  return { ms, bytes: [...answer.headers].reduce((sum, [name, value]) => sum + name.length + value.length, text.length) };
}

/** Chance that one about an account is greater than one about nobody. */
function auc(known: readonly number[], unknown: readonly number[]): number {
  const wins = known.map((a) => unknown.reduce((sum, b) => sum + (a > b ? 1 : a === b ? 0.5 : 0), 0));
  return wins.reduce((sum, won) => sum + won, 0) / (known.length * unknown.length);
}

async function compare(endpoint: string, bodyOf: (known: boolean, at: number) => object | Promise<object>): Promise<void> {
  const samples = { known: [] as Sample[], unknown: [] as Sample[] };
  for (let at = 0; at < PAIRS; at += 1) {
    const first = randomInt(2) === 0;
    for (const known of [first, !first]) samples[known ? 'known' : 'unknown'].push(await post(endpoint, await bodyOf(known, at)));
  }
  const of = (key: 'ms' | 'bytes') =>
    auc(
      samples.known.map((sample) => sample[key]),
      samples.unknown.map((sample) => sample[key]),
    );
  const median = (which: 'known' | 'unknown') =>
    quantile(
      samples[which].map(({ ms }) => ms),
      0.5,
    ).toFixed(2);
  print(
    `${endpoint}: AUC time ${of('ms').toFixed(3)}, size ${of('bytes').toFixed(3)}; median ${median('known')} and ${median('unknown')} ms`,
  );
}

const print = (line: string) => process.stdout.write(`${line}\n`);

async function somebody(at: number): Promise<{ id: string; name: string; email: string }> {
  const name = normaliseName(`known_${String(at).padStart(4, '0')}`);
  const email = normaliseEmail(`known_${String(at).padStart(4, '0')}@people.example`);
  if (!name || !email) throw new Error('no name');
  const passwords = createPasswords({ memoryKiB: 19_456, passes: 2, lanes: 1, concurrent: 2, queued: 100 });
  const hash = await passwords.hash(PASSWORD);
  const account = { name, email: { ...email, verified: true }, password: { hash, short: false }, by: 'bench', now: Date.now() };
  return { id: await createAccount(db, account), name: name.shown, email: email.shown };
}

try {
  print(`${os.cpus().length} cores, ${os.cpus()[0]?.model ?? ''}, load ${os.loadavg()[0]?.toFixed(1) ?? ''}, ${PAIRS} pairs`);
  const people = await Promise.all(Array.from({ length: PEOPLE }, (_, at) => somebody(at)));
  const who = (known: boolean, at: number) => {
    const number = at % PEOPLE;
    const name = `nobod_${String(number).padStart(4, '0')}`;
    return (known ? people[number] : undefined) ?? { id: null, name, email: `${name}@people.example` };
  };
  for (let warm = 0; warm < 40; warm += 1) await post('login', { identifier: `warm_${warm}`, password: PASSWORD });
  await compare('login', (known, at) => ({ identifier: who(known, at).name, password: `wrong ${at}` }));
  await compare('register', (known, at) => ({ name: `fresh_${at}`, email: who(known, at).email, password: PASSWORD }));
  await compare('forgot-password', (known, at) => ({ email: who(known, at).email }));
  const issue = (kind: 'mfa_pending' | 'reset_password', account: string) =>
    issueOneTime(db, { kind, account, now: Date.now(), ttlMs: 60_000, data: {} });
  const nobody = () => `tiuo_${randomBytes(32).toString('base64url')}`;
  await compare('login/mfa', async (known, at) => {
    const token = await issue('mfa_pending', who(true, at).id ?? ''); // also where it is not used: a database that was just asked answers sooner
    return { mfaToken: known ? token : nobody(), code: '000000' };
  });
  await compare('reset-password', async (known, at) => {
    const token = await issue('reset_password', who(true, at).id ?? '');
    await db.rows({ name: 'use_up', text: 'update one_time set used = now() where used is null', values: [] });
    return { token: known ? token : nobody(), password: PASSWORD };
  });
  const times: number[] = [];
  for (let at = 0; at < 200; at += 1) times.push((await post('login', { identifier: who(true, at).name, password: PASSWORD })).ms);
  print(
    `a sign-in that succeeds, one after the other: p50 ${quantile(times, 0.5).toFixed(1)} ms, p95 ${quantile(times, 0.95).toFixed(1)} ms`,
  );
} finally {
  await db.close();
  await api.stop();
  await postgres.stop();
  guard.close();
  fs.rmSync(state, { recursive: true, force: true });
}
