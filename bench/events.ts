import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { chain, definitionOf, pause } from './definitions.ts';
import type { Context, Row, Scenario } from './scenario.ts';

type Report = { events: number; missing: number; p50: number; p99: number };

const STEP_MS = 100;
/** Long enough for everybody to subscribe before the first step ends. */
const SUBSCRIBE_MS = 8_000;

/** Events of one run to many subscribers in another process: from the time of the event to the subscriber's hands. */
async function fanOut({ stack, connection, quick }: Context): Promise<Row> {
  const subscribers = quick ? 50 : 1_000;
  const steps = quick ? 5 : 20;
  const shape = chain(steps + 1);
  const definition = definitionOf(shape, pause(STEP_MS)) as { tasks: Record<string, object> };
  definition.tasks.t0 = pause(quick ? 2_000 : SUBSCRIBE_MS);
  const run = await connection.submit(definition);
  const child = fork(path.join(import.meta.dirname, 'subscribers.ts'), [stack.url, run, String(subscribers)], {
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
    const [report] = (await Promise.all([message(), connection.finished(run)])) as [Report, unknown];
    return {
      figures: { subscribers, 'events received': report.events, missing: report.missing, 'p50 ms': report.p50, 'p99 ms': report.p99 },
      runs: 1,
      tasks: shape.deps.length,
    };
  } finally {
    child.kill('SIGKILL');
  }
}

export const eventsScenario: Scenario = {
  name: 'events',
  title: 'events of one run to 1,000 Socket.IO subscribers',
  reps: 3,
  measure: fanOut,
};
