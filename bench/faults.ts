import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { definitionOf, layered } from './definitions.ts';
import { cpuSeconds, memoryBytes } from './processes.ts';
import { ownStack, pool, type Context, type Row, type Scenario } from './scenario.ts';

const TASKS = 100;

/** `kill -9` of the only worker when 40 % of the tasks are done; it is started again at once. */
async function kill({ stack, connection, quick }: Context): Promise<Row> {
  const own = ownStack(stack);
  const runs = quick ? 4 : 20;
  const db = new pg.Client(own.database);
  await db.connect();
  try {
    const ids: string[] = [];
    const submitting = pool(runs, 20, async () => {
      ids.push(await connection.submit(definitionOf(layered(TASKS))));
    });
    const until = performance.now() + 60_000;
    while ((await finishedTasks(db, ids)) < runs * TASKS * 0.4 && performance.now() < until) await sleep(2);
    const doneAtKill = await finishedTasks(db, ids);
    const killed = performance.now();
    await own.killWorker();
    await Promise.all([submitting, own.startWorker()]);
    const up = performance.now();
    await Promise.all(ids.map((id) => connection.finished(id)));
    const ms = performance.now() - killed;
    return {
      figures: { 'done at kill': doneAtKill, 'worker back after ms': up - killed, 'all done after ms': ms, ...(await mistakes(db, ids)) },
      runs,
      tasks: runs * TASKS,
    };
  } finally {
    await db.end();
  }
}

async function number(db: pg.Client, text: string, ids: readonly string[]): Promise<number> {
  const found = await db.query<{ n: string | null }>(text, [ids]);
  return Number(found.rows[0]?.n ?? 0);
}

const finishedTasks = (db: pg.Client, ids: readonly string[]) =>
  number(db, 'select sum(total - open) as n from run_state where run = any($1::uuid[])', ids);

/** What must be 0 whatever is killed. */
const mistakes = async (db: pg.Client, ids: readonly string[]) => ({
  'recorded twice': await number(
    db,
    `select count(*) - count(distinct (run, task)) as n from run_event where run = any($1::uuid[]) and type = 'task.completed'`,
    ids,
  ),
  'holes in events': await number(
    db,
    `select sum(last - n) as n from (select max(seq) as last, count(*) as n from run_event where run = any($1::uuid[]) group by run) x`,
    ids,
  ),
});

/** CPU and memory of each process with nothing to do. */
async function idle({ stack, quick }: Context): Promise<Row> {
  const { roles } = ownStack(stack);
  await sleep(quick ? 1_000 : 5_000);
  const before = cpuSeconds(roles());
  const from = performance.now();
  await sleep(quick ? 3_000 : 20_000);
  const seconds = (performance.now() - from) / 1000;
  const after = cpuSeconds(roles());
  const memory = memoryBytes(roles());
  const figures: Record<string, number> = {};
  for (const role of Object.keys(after)) {
    figures[`${role} % of a core`] = (((after[role] ?? 0) - (before[role] ?? 0)) / seconds) * 100;
    figures[`${role} MB`] = (memory[role]?.pss ?? 0) / 2 ** 20;
  }
  figures['all MB'] = Object.values(memory).reduce((sum, { pss }) => sum + pss, 0) / 2 ** 20;
  return { figures };
}

export const idleScenario: Scenario = { name: 'idle', title: 'nothing to do, before any run', reps: 1, own: true, measure: idle };
export const idleAfter: Scenario = { ...idleScenario, name: 'idle-after', title: 'nothing to do, after all of this' };
export const killScenario: Scenario = {
  name: 'kill',
  title: 'kill -9 of the worker, 20 runs of 100 tasks',
  reps: 3,
  own: true,
  measure: kill,
};
