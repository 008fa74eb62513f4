import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { definitionOf, diamond, single } from './definitions.ts';
import { memoryBytes, type Roles } from './processes.ts';
import { ownStack, pool, timed, type Context, type Row, type Scenario } from './scenario.ts';
import { quantile } from './spread.ts';

/** Seconds of overload and of outage; the figures that are quoted have 60. */
const SECONDS = Number(process.env.BENCH_SECONDS ?? 60);
const FACTOR = 10;
/** Open-loop clients share one machine with what they load. */
const CLIENTS = 2;

export type LoadReport = { sent: number; byStatus: Record<string, number>; withoutRetryAfter: number; p99: number };

/** Samples the memory of each process, MB. */
function watchMemory(roles: () => Roles) {
  const samples: Record<string, number[]> = {};
  const look = () => {
    for (const [role, { pss }] of Object.entries(memoryBytes(roles()))) (samples[role] ??= []).push(pss / 2 ** 20);
  };
  look();
  const timer = setInterval(look, 2_000);
  return () => {
    clearInterval(timer);
    look();
    return Object.fromEntries(
      Object.entries(samples).flatMap(([role, mb]) => [
        [`${role} MB before`, mb[0] ?? NaN],
        [`${role} MB at most`, Math.max(...mb)],
        [`${role} MB after`, mb.at(-1) ?? NaN],
      ]),
    ) as Record<string, number>;
  };
}

/** How many runs of ten tasks a second are submitted and finished for 64 clients that wait for each, and the p95 of a submit alone, ms. */
async function sustainable({ connection }: Context, n: number): Promise<{ rate: number; alone: number }> {
  const ms = await timed(() =>
    pool(n, 64, async () => {
      await connection.finished(await connection.submit(definitionOf(diamond())));
    }),
  );
  return { rate: (n / ms) * 1000, alone: await latency({ connection }, 50) };
}

async function latency({ connection }: Pick<Context, 'connection'>, n: number): Promise<number> {
  const each: number[] = [];
  for (let i = 0; i < n; i++) each.push(await timed(() => connection.submit(definitionOf(single()))));
  return quantile(each, 0.95);
}

async function load(stack: Context['stack'], rate: number, seconds: number): Promise<LoadReport[]> {
  const clients = Array.from({ length: CLIENTS }, async () => {
    const child = fork(path.join(import.meta.dirname, 'overloader.ts'), [stack.url, String(rate / CLIENTS), String(seconds)], {
      env: { ...process.env, BENCH_TOKEN: stack.token },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const [report] = (await once(child, 'message')) as [LoadReport];
    return report;
  });
  return Promise.all(clients);
}

const openRuns = async (db: pg.Client): Promise<number> => {
  const found = await db.query<{ n: string }>('select count(*) as n from run_state where finished is null');
  return Number(found.rows[0]?.n);
};

/** Waits until `holds`. @returns after how many s, or NaN past `limit` */
async function secondsUntil(holds: () => Promise<boolean>, limit: number): Promise<number> {
  const from = performance.now();
  while (!(await holds())) {
    if (performance.now() - from > limit * 1000) return NaN;
    await sleep(200);
  }
  return (performance.now() - from) / 1000;
}

/** Ten times as many runs as are carried; then how soon submits are as quick as before. */
async function overload(context: Context): Promise<Row> {
  const { stack, connection, quick } = context;
  const { roles, database } = ownStack(stack);
  const seconds = quick ? 5 : SECONDS;
  const db = new pg.Client(database);
  await db.connect();
  try {
    const { rate, alone } = await sustainable(context, quick ? 200 : 2_000);
    const memory = watchMemory(roles);
    const reports = await load(stack, rate * FACTOR, seconds);
    const recovered = await secondsUntil(
      async () => (await latency({ connection }, 10).catch(() => Infinity)) < Math.max(alone * 2, 50),
      60,
    );
    const queued = await openRuns(db);
    const status: Record<string, number> = {};
    for (const report of reports)
      for (const [name, n] of Object.entries(report.byStatus)) status[`answered ${name}`] = (status[`answered ${name}`] ?? 0) + n;
    const sent = reports.reduce((sum, report) => sum + report.sent, 0);
    return {
      figures: {
        ...{ 'runs carried/s': rate, 'runs offered/s': sent / seconds, ...status },
        'refused without Retry-After': reports.reduce((sum, report) => sum + report.withoutRetryAfter, 0),
        'accepted p99 ms': Math.max(...reports.map((report) => report.p99)),
        'submits as before after s': recovered,
        'runs queued then': queued,
        ...memory(),
      },
    };
  } finally {
    await db.end();
  }
}

/** Temporal is away while runs are submitted at a rate that is carried otherwise; then how soon all have ended. */
async function outage(context: Context): Promise<Row> {
  const { stack, connection, quick } = context;
  const own = ownStack(stack);
  const seconds = quick ? 5 : SECONDS;
  const rate = 20;
  const db = new pg.Client(own.database);
  await db.connect();
  try {
    await secondsUntil(async () => (await openRuns(db)) === 0, 60);
    await own.stopTemporal();
    let refused = 0;
    const submits: Promise<unknown>[] = [];
    for (let i = 0; i < seconds * rate; i++) {
      submits.push(connection.submit(definitionOf(single())).catch(() => void (refused += 1)));
      await sleep(1000 / rate);
    }
    await Promise.all(submits);
    await own.startTemporal();
    const backlog = await openRuns(db);
    const drained = await secondsUntil(async () => (await openRuns(db)) === 0, 90);
    return { figures: { submitted: submits.length, refused, 'backlog when Temporal is back': backlog, 'backlog gone after s': drained } };
  } finally {
    await db.end();
  }
}

export const overloadScenarios: readonly Scenario[] = [
  { name: 'outage', title: `Temporal away for ${SECONDS} s, 20 submits a second`, reps: 1, own: true, measure: outage },
  { name: 'overload', title: `ten times the runs that are carried, for ${SECONDS} s`, reps: 1, own: true, asked: true, measure: overload },
];
