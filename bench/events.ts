import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { chain, definitionOf, pause } from './definitions.ts';
import { pool, type Context, type Row, type Scenario } from './scenario.ts';

type Report = { events: number; missing: number; p50: number; p99: number };

const STEP_MS = 100;
/** Long enough for everybody to subscribe before the first step ends. */
const SUBSCRIBE_MS = 8_000;
const LONGEST_MS = 400_000;

/** Follows runs with many sockets in another process: from the time of an event to the subscriber's hands. */
async function followed({ stack, connection }: Context, runs: string[], subscribers: number): Promise<Row['figures']> {
  const child = fork(path.join(import.meta.dirname, 'subscribers.ts'), [stack.url, String(subscribers), ...runs], {
    env: { ...process.env, BENCH_TOKEN: stack.token },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`subscribers ended with ${String(code)}`);
  });
  failed.catch(() => undefined);
  const message = async () => ((await Promise.race([once(child, 'message'), failed])) as unknown[])[0];
  try {
    await message();
    const [report] = (await Promise.all([message(), ...runs.map((run) => connection.finished(run, LONGEST_MS))])) as [Report, ...unknown[]];
    return {
      subscribers,
      runs: runs.length,
      'events received': report.events,
      missing: report.missing,
      'p50 ms': report.p50,
      'p99 ms': report.p99,
    };
  } finally {
    child.kill('SIGKILL');
  }
}

/** Events of one run to many subscribers. */
async function fanOut(context: Context): Promise<Row> {
  const { connection, quick } = context;
  const steps = quick ? 5 : 20;
  const shape = chain(steps + 1);
  const definition = definitionOf(shape, pause(STEP_MS)) as { tasks: Record<string, object> };
  definition.tasks.t0 = pause(quick ? 2_000 : SUBSCRIBE_MS);
  const run = await connection.submit(definition);
  return { figures: await followed(context, [run], quick ? 50 : 1_000), runs: 1, tasks: shape.deps.length };
}

/**
 * As many open runs as sockets; each has a step every 40 s and they take turns, so that changes come evenly: 25 steps a
 * second, which the machine can carry. At more than that it is the runs that are late, not their subscribers.
 */
async function manyRuns(context: Context): Promise<Row> {
  const { connection, quick } = context;
  const n = quick ? 20 : 1_000;
  const steps = 2;
  const runs: string[] = [];
  await pool(n, 16, async (i) => {
    const definition = definitionOf(chain(steps + 1), pause(quick ? 500 : 40_000)) as { tasks: Record<string, object> };
    definition.tasks.t0 = pause((quick ? 3_000 : 45_000) + i * 40);
    runs.push(await connection.submit(definition));
  });
  return { figures: await followed(context, runs, n), runs: n, tasks: n * (steps + 1) };
}

export const eventScenarios: readonly Scenario[] = [
  { name: 'events', title: 'events of one run to 1,000 Socket.IO subscribers', reps: 3, measure: fanOut },
  { name: 'subscribers', title: 'events of 1,000 open runs to a Socket.IO subscriber each', reps: 1, measure: manyRuns },
];
