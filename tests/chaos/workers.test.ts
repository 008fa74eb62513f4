import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Service } from '../../src/dev/service.ts';
import { aCluster, kill, type Cluster } from './support/cluster.ts';
import { holds } from './support/holds.ts';
import { processOf } from './support/processOf.ts';
import { call, closed, define, eventsOf, happened, statesOf, submit, transform, wait, type AcceptedRun } from './support/runs.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await aCluster();
});
afterAll(() => cluster.stop());
afterEach(async () => {
  await Promise.all(arrivals.splice(0));
  await cluster.staff(2);
});

/** Workers on their way, in place of those that were killed. */
const arrivals: Promise<unknown>[] = [];
async function strike(worker: Service): Promise<void> {
  await kill(worker);
  arrivals.push(cluster.startWorker());
}

const LIMIT_MS = 300_000;

/** The worker at the other end of a call. */
const worker = (port: number) => {
  const pid = processOf({ near: port, far: cluster.receiver.port });
  const found = cluster.workers.find((candidate) => candidate.pid === pid);
  if (!found) throw new Error(`no worker holds port ${port}`);
  return found;
};

async function end(runs: AcceptedRun[], options: { zombies?: boolean } = {}) {
  await closed(cluster, runs);
  const report = await holds(cluster, runs, options);
  expect(report.bad).toEqual([]);
  return report;
}

const taskOf = async (run: AcceptedRun, task = 0) =>
  (
    await cluster.rows<{ status: string; attempt: number; losses: number; failure: { code: string } | null }>(
      'select status, attempt, losses, failure from task where run = $1 and task = $2 and item = -1',
      [run.id, task],
    )
  )[0];

/** Tasks that keep a segment at work for a while, in a chain. */
const busy = (length: number) =>
  Object.fromEntries(
    Array.from({ length }, (_, i) => [
      `t${i}`,
      transform('${size(range(0, 2000).map(i, i * 2).filter(i, i % 3 == 0))}', i === 0 ? {} : { dependsOn: [`t${i - 1}`] }),
    ]),
  );

test(
  'an idle worker is killed: the other one carries what comes next and what was waiting',
  async () => {
    const waiting = await submit(cluster, define({ w: wait('PT1S'), after: transform(1, { dependsOn: ['w'] }) }), { status: 'completed' });
    await happened(cluster, waiting, 'run.waiting');
    const [first] = cluster.workers;
    if (first) await strike(first);
    const next = await submit(cluster, define({ a: transform(1) }), { status: 'completed' });
    await end([waiting, next]);
  },
  LIMIT_MS,
);

test(
  'all workers are killed in a segment: what was durable stays, the rest is done by those that come',
  async () => {
    const run = await submit(cluster, define(busy(3_000)), { status: 'completed' });
    await happened(cluster, run, 'task.completed', 3);
    await Promise.all(cluster.workers.map(kill));
    const before = await eventsOf(cluster, run.id);
    expect((await statesOf(cluster, [run.id]))[0]?.finished).toBeNull();
    await cluster.staff(2);
    await end([run]);
    expect((await eventsOf(cluster, run.id)).slice(0, before.length)).toEqual(before);
  },
  LIMIT_MS,
);

test(
  'a worker is killed with a request under way: the next attempt sends it again under the same key',
  async () => {
    const open = cluster.receiver.hold('/before');
    const run = await submit(cluster, define({ a: call(cluster, '/before'), b: transform(1, { dependsOn: ['a'] }) }), {
      status: 'completed',
    });
    const { port } = await cluster.receiver.next(run.id);
    await strike(worker(port));
    open();
    expect(await end([run])).toMatchObject({ effects: 1, most: 2 });
    expect(await taskOf(run)).toMatchObject({ attempt: 2, losses: 1 });
  },
  LIMIT_MS,
);

test(
  'a worker is killed with the answer in its hands and nothing written: the effect is repeated under the same key',
  async () => {
    cluster.receiver.beforeAnswer(({ port }) => {
      cluster.receiver.beforeAnswer(undefined);
      const { pid } = worker(port);
      process.kill(pid, 'SIGSTOP');
      setImmediate(() => process.kill(pid, 'SIGKILL'));
    });
    const run = await submit(cluster, define({ a: call(cluster, '/after'), b: call(cluster, '/after', { dependsOn: ['a'] }) }), {
      status: 'completed',
    });
    await happened(cluster, run, 'run.completed');
    expect(await end([run])).toMatchObject({ effects: 2, repeated: 1, most: 2 });
  },
  LIMIT_MS,
);

test(
  'a worker is killed inside its commit: the commit counts and the effect is not repeated',
  async () => {
    const open = cluster.receiver.hold('/commit');
    const run = await submit(cluster, define({ a: call(cluster, '/commit'), b: transform(1, { dependsOn: ['a'] }) }), {
      status: 'completed',
    });
    const { port } = await cluster.receiver.next(run.id);
    const victim = worker(port);
    const locker = await cluster.connect();
    await locker.query('begin');
    await locker.query('select from run_state where run = $1 for update', [run.id]);
    open();
    await until('the commit waits for its lock', async () => {
      const waiting = await cluster.rows(`select from pg_stat_activity where wait_event_type = 'Lock' and query like '%journal_commit%'`);
      return waiting.length > 0;
    });
    await strike(victim);
    await locker.query('rollback');
    await locker.end();
    expect(await end([run])).toMatchObject({ effects: 1, most: 1 });
  },
  LIMIT_MS,
);

test(
  'a stopped worker loses its effect to another one; continued, it changes nothing',
  async () => {
    const open = cluster.receiver.hold('/zombie');
    const run = await submit(
      cluster,
      define({ a: call(cluster, '/zombie'), b: transform('${tasks.a.output.body.calls}', { dependsOn: ['a'] }) }),
      {
        status: 'completed',
      },
    );
    const { port } = await cluster.receiver.next(run.id);
    const zombie = worker(port);
    process.kill(zombie.pid, 'SIGSTOP');
    // The polls of a stopped worker swallow one try after the other until they end, up to a minute: cut them off.
    await cluster.temporal.kill();
    await cluster.temporal.start();
    const taken = await cluster.receiver.next(run.id);
    expect(worker(taken.port).pid).not.toBe(zombie.pid);
    open();
    await closed(cluster, [run]);
    const events = await eventsOf(cluster, run.id);
    const [{ now } = { now: new Date() }] = await cluster.rows<{ now: Date }>('select clock_timestamp() as now');
    process.kill(zombie.pid, 'SIGCONT');
    await until('the stopped worker is at work again', async () => {
      const alive = await cluster.rows(`select from worker where seen > $1 and (data->>'pid')::int = $2`, [now, zombie.pid]);
      return alive.length > 0;
    });
    expect(await eventsOf(cluster, run.id)).toEqual(events);
    expect(await end([run], { zombies: true })).toMatchObject({ effects: 1, most: 2 });
  },
  LIMIT_MS,
);

test(
  'workers stopped in the middle of segments and continued later agree with those that took over',
  async () => {
    const runs = await Promise.all(Array.from({ length: 4 }, () => submit(cluster, define(busy(120)), { status: 'completed' })));
    await until('some is durable', async () =>
      (
        await statesOf(
          cluster,
          runs.map(({ id }) => id),
        )
      ).some(({ open }) => open < 120),
    );
    const [zombie] = cluster.workers;
    if (zombie) process.kill(zombie.pid, 'SIGSTOP');
    await closed(cluster, runs);
    if (zombie) process.kill(zombie.pid, 'SIGCONT');
    await end([...runs, await submit(cluster, define({ a: transform(1) }), { status: 'completed' })], { zombies: true });
  },
  LIMIT_MS,
);

test(
  'a task that ends its worker each time is tried alone the third time, and only that failure is its own',
  async () => {
    const open = cluster.receiver.hold('/crash');
    const run = await submit(cluster, define({ a: call(cluster, '/crash'), b: transform(1, { dependsOn: ['a'] }) }), {
      status: 'failed',
      tasks: { a: 'failed', b: 'blocked' },
    });
    for (let loss = 0; loss < 2; loss++) {
      const { port } = await cluster.receiver.next(run.id);
      await strike(worker(port));
    }
    const { port } = await cluster.receiver.next(run.id);
    const alone = processOf({ near: port, far: cluster.receiver.port });
    expect(cluster.workers.map(({ pid }) => pid)).not.toContain(alone);
    if (alone === undefined) {
      const calls = cluster.receiver.calls.filter(({ key }) => key.startsWith(run.id));
      throw new Error(`nobody holds the call at ${port}: ${JSON.stringify(calls)}\n${cluster.log().slice(-3_000)}`);
    }
    process.kill(alone, 'SIGKILL');
    await closed(cluster, [run]);
    open();
    expect(await taskOf(run)).toMatchObject({ attempt: 3, losses: 2, failure: { code: 'task_crashed_worker' } });
    expect(await end([run])).toMatchObject({ effects: 1, most: 3 });
  },
  LIMIT_MS,
);

test(
  'wide maps go on when a worker is killed in their middle',
  async () => {
    const items = {
      inline: { ...transform('${item * 2}'), map: { items: '${range(0, 1200)}' } },
      posts: { ...call(cluster, '/wide?ms=20'), map: { items: '${range(0, 300)}', maxConcurrency: 40 } },
      sum: transform('${sum(tasks.inline.output) + size(tasks.posts.output)}'),
    };
    const run = await submit(cluster, define(items, { output: { value: '${tasks.sum.output}' } }), { status: 'completed' });
    await until('some items are done', () => cluster.receiver.calls.filter(({ key }) => key.startsWith(run.id)).length > 60);
    const [first] = cluster.workers;
    if (first) await strike(first);
    expect(await end([run])).toMatchObject({ effects: 300 });
    const [row] = await cluster.rows<{ output: number }>('select output from run_output where run = $1', [run.id]);
    expect(row?.output).toBe(1200 * 1199 + 300);
  },
  LIMIT_MS,
);
