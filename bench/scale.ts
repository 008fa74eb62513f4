import pg from 'pg';
import { definitionOf, layered, single } from './definitions.ts';
import { historyLength } from './histories.ts';
import { memoryBytes } from './processes.ts';
import { ownStack, pool, timed, type Context, type Row, type Scenario } from './scenario.ts';

const MINUTES = 60_000;

/** Highest memory of the worker while `work` lasts, MB. */
async function peak(roles: () => Readonly<Record<string, number>>, work: () => Promise<unknown>): Promise<number> {
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, memoryBytes(roles()).worker?.rss ?? 0);
  }, 500);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return most / 2 ** 20;
}

const wideMap = (items: number): object => ({
  dsl: 'tiu/1',
  name: 'bench-map',
  tasks: {
    all: {
      type: 'transform',
      map: { matrix: { a: range(items / 250), b: range(250) }, maxConcurrency: 100 },
      with: { value: '${index}' },
    },
    after: { type: 'transform', dependsOn: ['all'], with: { value: 'done' } },
  },
});
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** A map of many items; the worker is killed when a third of them is done, and started again. */
async function map100k({ stack, connection, quick }: Context): Promise<Row> {
  const own = ownStack(stack);
  const items = quick ? 5_000 : 100_000;
  const db = new pg.Client(own.database);
  await db.connect();
  const count = async (run: string, what: string) =>
    Number(
      (await db.query<{ n: string }>(`select count(${what}) as n from task where run = $1 and item >= 0 and status = 'completed'`, [run]))
        .rows[0]?.n,
    );
  try {
    let run = '';
    const go = async (kill: boolean) => {
      run = await connection.submit(wideMap(items));
      const ended = connection.finished(run, 10 * MINUTES);
      if (kill) {
        while ((await count(run, '*')) < items / 3) await new Promise((resolve) => setTimeout(resolve, 100));
        await own.killWorker();
        await own.startWorker();
      }
      await ended;
    };
    let ms = 0;
    const memory = await peak(own.roles, async () => {
      ms = await timed(() => go(false));
    });
    const history = await historyLength(stack, run);
    const killedMs = await timed(() => go(true));
    return {
      figures: {
        ...{ items, ms, 'items/s': (items / ms) * 1000, 'worker MB at most': memory, 'events in the history': history },
        ...{
          'ms with a kill': killedMs,
          'items done': await count(run, 'distinct item'),
          'history with a kill': await historyLength(stack, run),
        },
      },
      runs: 2,
      tasks: items * 2,
    };
  } finally {
    await db.end();
  }
}

async function graph10k({ stack, connection, quick }: Context): Promise<Row> {
  const own = ownStack(stack);
  const tasks = quick ? 1_000 : 10_000;
  let ms = 0;
  let run = '';
  const memory = await peak(own.roles, async () => {
    ms = await timed(async () => {
      run = await connection.submit(definitionOf(layered(tasks, 5)));
      await connection.finished(run, 5 * MINUTES);
    });
  });
  return {
    figures: { tasks, ms, 'ms a task': ms / tasks, 'worker MB at most': memory, 'events in the history': await historyLength(stack, run) },
    runs: 1,
    tasks,
  };
}

/** Memory of each process after 1,000 runs and after many more. */
async function soak({ stack, connection, quick }: Context): Promise<Row> {
  const { roles } = ownStack(stack);
  const points = quick ? [50, 100, 200] : [1_000, 5_000, 10_000, 15_000, 20_000];
  const runs = (n: number) =>
    pool(n, 32, async () => {
      await connection.finished(await connection.submit(definitionOf(single())));
    });
  const figures: Record<string, number> = {};
  let done = 0;
  for (const n of points) {
    await runs(n - done);
    done = n;
    // Of pages that processes share, each has its part: else PostgreSQL's count once for every connection.
    for (const [role, { pss }] of Object.entries(memoryBytes(roles()))) figures[`${role} MB after ${n} runs`] = pss / 2 ** 20;
  }
  return { figures, runs: done, tasks: done };
}

export const scaleScenarios: readonly Scenario[] = [
  { name: 'map-100k', title: 'map of 100,000 items', reps: 1, own: true, measure: map100k },
  { name: 'graph-10k', title: 'layers of 5, 10,000 tasks', reps: 1, own: true, measure: graph10k },
  { name: 'soak', title: 'memory over 20,000 runs', reps: 1, own: true, measure: soak },
];
