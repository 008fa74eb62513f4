import { setTimeout as sleep } from 'node:timers/promises';
import { call, definitionOf, layered, noOp } from './definitions.ts';
import { complete, latencies, timed, type Context, type Row, type Scenario } from './scenario.ts';

type Tasks = Record<string, { type: string; with: object; dependsOn?: string[] }>;

const definition = (name: string, tasks: Tasks): object => ({ dsl: 'tiu/1', name: `bench-${name}`, tasks });
const next: Tasks = { next: { ...noOp, dependsOn: ['first'] } };

/** Of one go after the other: begun, waiting, then let go on by `act` and ended. */
async function letGo(context: Context, tasks: (i: number) => Tasks, act: (id: string, i: number) => Promise<unknown>): Promise<Row> {
  const { connection, quick } = context;
  const runs = quick ? 5 : 50;
  const each: number[] = [];
  for (let i = 0; i < runs; i++) {
    const id = await connection.submit(definition('waits', { ...tasks(i), ...next }));
    await connection.reaches(id, 'waiting');
    each.push(await timed(async () => [await act(id, i), await connection.finished(id)]));
  }
  return { figures: latencies(each), runs, tasks: runs * 2 };
}

const approvals = (context: Context): Promise<Row> =>
  letGo(
    context,
    () => ({ first: { type: 'approval', with: { message: 'go?' } } }),
    (id) => context.connection.post(`/api/v1/runs/${id}/tasks/first/approve`, {}),
  );

const events = (context: Context): Promise<Row> => {
  const key = (i: number) => `${process.pid}-${Math.round(performance.now())}-${i}`;
  const keys: string[] = [];
  return letGo(
    context,
    (i) => ({ first: { type: 'event', with: { name: 'bench', key: (keys[i] = key(i)) } } }),
    (_, i) => context.connection.post('/api/v1/events', { name: 'bench', key: keys[i] }),
  );
};

/** A task that starts another run of one task, and waits for it. */
async function children({ connection, quick }: Context): Promise<Row> {
  const runs = quick ? 5 : 50;
  const child = definition('child', { only: noOp });
  const each: number[] = [];
  for (let i = 0; i < runs; i++)
    each.push(await complete(connection, definition('parent', { first: { type: 'workflow', with: { definition: child } } })));
  return { figures: latencies(each), runs: runs * 2, tasks: runs * 2 };
}

/** One effect among many tasks is refused; how long from the retry until the run has completed. */
async function retries({ connection, receiver, quick }: Context): Promise<Row> {
  const tasks = quick ? 100 : 1_000;
  const wide = definitionOf(layered(tasks - 1)) as { tasks: Tasks };
  const refused = { ...call(`${receiver.url}?once=${performance.now()}`), dependsOn: ['t0'] };
  const id = await connection.submit({ ...wide, tasks: { ...wide.tasks, refused } });
  await connection.reaches(id, 'failed');
  const ms = await timed(async () => [await connection.post(`/api/v1/runs/${id}/retry`, {}), await connection.finished(id)]);
  return { figures: { ms }, runs: 1, tasks };
}

/** A run of many tasks is forked from its last one; how long from the request until the fork has completed. */
async function forks({ connection, quick }: Context): Promise<Row> {
  const tasks = quick ? 100 : 1_000;
  const id = await connection.submit(definitionOf(layered(tasks)));
  await connection.finished(id);
  const each: number[] = [];
  for (let i = 0; i < 5; i++)
    each.push(
      await timed(async () => {
        const fork = (await connection.post(`/api/v1/runs/${id}/fork`, { from: [`t${tasks - 1}`] })) as { id: string };
        await connection.finished(fork.id);
      }),
    );
  return { figures: latencies(each), runs: 6, tasks: tasks * 6 };
}

/** A call is under way that nobody answers; how long from the cancel until its connection is closed. */
async function cancels({ connection, receiver, quick }: Context): Promise<Row> {
  const runs = quick ? 3 : 20;
  const each: number[] = [];
  for (let i = 0; i < runs; i++) {
    const { url, began, ended } = receiver.silent();
    const id = await connection.submit(definition('silent', { first: call(url) }));
    await began;
    each.push(
      await timed(async () => {
        await connection.post(`/api/v1/runs/${id}/cancel`, {});
        await ended;
      }),
    );
  }
  return { figures: latencies(each), runs, tasks: runs };
}

/** Two chains of calls go on; how long after the request to pause the last of them began. */
async function pauses({ connection, receiver, quick }: Context): Promise<Row> {
  const runs = quick ? 2 : 10;
  const each: number[] = [];
  for (let i = 0; i < runs; i++) {
    const id = await connection.submit(
      definitionOf({ name: 'chains', deps: [[], [], ...Array.from({ length: 998 }, (_, k) => [k])] }, call(receiver.url)),
    );
    for (const before = receiver.seen(); receiver.seen() < before + 20;) await sleep(5);
    const from = performance.now();
    await connection.post(`/api/v1/runs/${id}/pause`, {});
    for (let seen = -1; seen !== receiver.seen();) {
      seen = receiver.seen();
      await sleep(1_000);
    }
    each.push(Math.max(0, receiver.last() - from));
    await connection.post(`/api/v1/runs/${id}/cancel`, {});
    await connection.reaches(id, 'cancelled');
  }
  return { figures: latencies(each), runs, tasks: runs };
}

/** What is measured of runs that wait, and of commands on them. */
export const controlScenarios: readonly Scenario[] = [
  { name: 'approval', title: 'approve to end: a wait for a person, then one task', reps: 3, measure: approvals },
  { name: 'event', title: 'event to end: a wait for it, then one task', reps: 3, measure: events },
  { name: 'child', title: 'a task that starts a run of one task, submit to end', reps: 3, measure: children },
  { name: 'retry', title: 'retry of one failed among 1,000 tasks, to the end', reps: 3, measure: retries },
  { name: 'cancel', title: 'cancel of a run with a call under way, until its connection is closed', reps: 3, measure: cancels },
  { name: 'pause', title: 'pause of a run of two chains of calls, until the last one has begun', reps: 3, measure: pauses },
  { name: 'fork', title: 'fork of a run of 1,000 tasks from its last, to the end', reps: 3, measure: forks },
];
