import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { openConnection, type Connection } from '../../src/db/connection.ts';
import { migrate } from '../../src/db/migrate.ts';
import { startPostgres, type Postgres } from '../../src/dev/postgres.ts';
import { makeCluster, postgresPlace } from '../../tools/setup.mjs';
import { someRuns, statement } from './journalRuns.ts';

/**
 * Four writers over the same runs, stopped, killed and cut off from their server; then every promise is checked.
 * TIU_STRESS_SECONDS (8) is how long it goes on.
 */
const SECONDS = Number(process.env.TIU_STRESS_SECONDS ?? 8);
const WRITERS = 4;
const TASKS = 10;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-stress-'));
const acks = path.join(folder, 'acks');
const place = { ...postgresPlace(), data: path.join(folder, 'postgres') };
const passwordFile = path.join(folder, 'password');
const writers: ChildProcess[] = [];
let postgres: Postgres;
let db: Connection;
let deadlocks = 0;

const start = (port?: number) =>
  startPostgres({
    place,
    passwordFile,
    ...(port !== undefined && { port }),
    settings: { commit_delay: '2000', commit_siblings: '0', deadlock_timeout: '300ms' },
  });
const startWriter = () =>
  spawn(process.execPath, [fileURLToPath(new URL('./journalStressWriter.ts', import.meta.url))], {
    env: { PATH: process.env.PATH, STRESS_URL: postgres.url, STRESS_ACKS: acks },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
const rows = <R extends Record<string, unknown>>(text: string, ...values: unknown[]) => db.rows<R>(statement(text, values));
const count = async (of: string): Promise<number> => (await rows<{ n: number }>(`select count(*)::int as n from ${of}`))[0]?.n ?? -1;
const random = (below: number) => Math.floor(Math.random() * below);

beforeAll(async () => {
  fs.chmodSync(folder, 0o755);
  fs.writeFileSync(acks, '');
  makeCluster(place, passwordFile);
  postgres = await start();
  await migrate(postgres.url);
  db = openConnection({ url: postgres.url, name: 'stress' });
});
afterAll(async () => {
  for (const writer of writers) writer.kill('SIGKILL');
  try {
    await db.end();
  } finally {
    await postgres.stop();
  }
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Statistics do not survive a crash of the server. */
async function countDeadlocks(): Promise<void> {
  deadlocks +=
    (await rows<{ n: number }>('select deadlocks::int as n from pg_stat_database where datname = current_database()'))[0]?.n ?? 0;
}

async function disturb(w: number): Promise<'stop' | 'kill' | 'none'> {
  const writer = writers[w];
  if (!writer || random(10) < 2) return 'none';
  if (random(3) === 0) {
    const gone = once(writer, 'exit');
    writer.kill('SIGKILL');
    await gone;
    writers[w] = startWriter();
    return 'kill';
  }
  writer.kill('SIGSTOP');
  setTimeout(() => writer.kill('SIGCONT'), 300 + random(1_500));
  return 'stop';
}

async function restart(): Promise<void> {
  await countDeadlocks().catch(() => undefined);
  const { pid, exited, port } = postgres;
  process.kill(pid, random(2) === 0 ? 'SIGQUIT' : 'SIGINT');
  await exited;
  await sleep(random(300));
  postgres = await start(port);
}

async function chaos(): Promise<{ stop: number; kill: number; none: number; restart: number }> {
  const done = { stop: 0, kill: 0, none: 0, restart: 0 };
  const until = Date.now() + SECONDS * 1_000;
  let nextRestart = Date.now() + 2_500;
  while (Date.now() < until) {
    await sleep(100 + random(200));
    const open = await count('run_state where finished is null').catch(() => 999);
    if (open < 30) await someRuns(db, 30, TASKS).catch(() => undefined);
    if (Date.now() > nextRestart) {
      await restart();
      done.restart += 1;
      nextRestart = Date.now() + 3_000 + random(2_000);
    } else done[await disturb(random(WRITERS))] += 1;
  }
  return done;
}

const CLOSED = `('run.completed', 'run.cancelled')`;
const FINAL = `('task.completed', 'task.failed')`;

/** Each is a number of offences. */
const OFFENCES = {
  openRuns: 'run_state where finished is null',
  gaps: `(select s.run from run_state s join run_event e using (run) group by s.run having min(e.seq) <> 1 or max(e.seq) <> count(*) or max(e.seq) <> s.last_seq) x`,
  timesBackwards: '(select at < lag(at) over (partition by run order by seq) b from run_event) x where b',
  notClosedOnce: `run_state s where (select count(*) from run_event e where e.run = s.run and e.type in ${CLOSED}) <> 1`,
  closeNotLast: `run_event e join run_state s using (run) where e.type in ${CLOSED} and e.seq <> s.last_seq`,
  noOutput: 'run_state s where not exists (select from run_output o where o.run = s.run)',
  tasksMissing: `run_state s where (select count(*) from task t where t.run = s.run and t.finished is not null) <> s.total`,
  finishedNotOnce: `task t where (select count(*) from run_event e where e.run = t.run and e.task = t.task and e.type in ${FINAL}) <> 1`,
  seqOfAnother: `task t join run_event e on e.run = t.run and e.seq = t.seq where e.task is distinct from t.task or e.type <> 'task.' || t.status`,
  counters: `run_state s where open <> 0 or failed <> (select count(*) from task t where t.run = s.run and t.status = 'failed')`,
  unseenAtClose: 'run_state where applied_seq < command_seq',
  commandWithoutEvent: `command c full join (select * from run_event where type = 'command.cancel') e on e.run = c.run and e.seq = c.seq where c.run is null or e.run is null`,
  cancelLost: `run_state s where status <> 'cancelled' and exists (select from command c where c.run = s.run)`,
};

/** Whether what the writers were told is what the database holds. */
async function brokenPromises(): Promise<Record<string, number>> {
  const broken = { lost: 0, twice: 0, commandsLost: 0, closesLost: 0, faults: 0 };
  const tasks = new Map(
    (await rows<{ k: string; v: string }>(`select run || ' ' || task as k, concat_ws(' ', status, attempt, seq) as v from task`)).map(
      (t) => [t.k, t.v],
    ),
  );
  const commands = new Set((await rows<{ k: string }>(`select run || ' ' || seq as k from command`)).map((c) => c.k));
  const states = new Map(
    (await rows<{ k: string; v: string }>(`select run::text as k, status || ' ' || last_seq as v from run_state`)).map((s) => [s.k, s.v]),
  );
  const seen = new Set<string>();
  for (const line of fs.readFileSync(acks, 'utf8').trim().split('\n')) {
    const [what = '', run = '', a = '', ...rest] = line.split(' ');
    const key = `${run} ${a}`;
    if (what === 'done') {
      if (seen.has(key)) broken.twice += 1;
      seen.add(key);
      if (tasks.get(key) !== rest.join(' ')) broken.lost += 1;
    }
    if (what === 'command' && !commands.has(key)) broken.commandsLost += 1;
    if (what === 'closed' && states.get(run) !== [a, ...rest].join(' ')) broken.closesLost += 1;
    if (what === 'fault') broken.faults += 1;
  }
  expect(seen.size).toBeGreaterThan(100);
  return broken;
}

test(
  'writers that are stopped, killed and cut off leave no gap, no double and no deadlock',
  async () => {
    await someRuns(db, 30, TASKS);
    for (let i = 0; i < WRITERS; i++) writers.push(startWriter());
    const disturbances = await chaos();
    // from here on nothing disturbs: everything must end
    const calm = Date.now();
    while (Date.now() - calm < 60_000 && (await count('run_state where finished is null').catch(() => -1)) !== 0) await sleep(100);
    await sleep(1_500); // those that were stopped wake up and try
    for (const writer of writers) {
      const gone = once(writer, 'exit');
      writer.kill('SIGTERM');
      await gone;
    }
    await countDeadlocks();
    const offences: Record<string, number> = { deadlocks, ...(await brokenPromises()) };
    for (const [name, of] of Object.entries(OFFENCES)) offences[name] = await count(of);
    if (process.env.TIU_STRESS_SECONDS !== undefined) {
      const stats = fs.readFileSync(acks, 'utf8').match(/^stats .*$/gm) ?? [];
      process.stdout.write(
        `${JSON.stringify({ disturbances, runs: await count('run_state'), events: await count('run_event'), commands: await count('command'), stats })}\n`,
      );
    }
    expect(offences).toEqual(Object.fromEntries(Object.keys(offences).map((name) => [name, 0])));
    expect(disturbances.stop + disturbances.kill).toBeGreaterThan(3);
    expect(disturbances.restart).toBeGreaterThan(0);
  },
  (SECONDS + 120) * 1_000,
);
