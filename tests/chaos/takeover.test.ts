import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import type { Service } from '../../src/dev/service.ts';
import { aCluster, kill, type Cluster } from './support/cluster.ts';
import { holds } from './support/holds.ts';
import { processOf } from './support/processOf.ts';
import { call, closed, define, eventsOf, happened, submit, transform, wait, type AcceptedRun } from './support/runs.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
let temporal: Connection;
/** Long timeouts: what goes on within a test was taken over, not timed out. */
const NEVER = '600000';
beforeAll(async () => {
  cluster = await aCluster({ env: { TIU_WORKFLOW_TASK_TIMEOUT: NEVER } });
  temporal = await Connection.connect({ address: cluster.temporal.address });
});
afterAll(async () => {
  await temporal.close();
  await cluster.stop();
});
afterEach(() => cluster.staff(2));

const LIMIT_MS = 300_000;

type WorkerRow = { id: string; pid: number; session: Date; seen: Date };
const workerRows = () => cluster.rows<WorkerRow>(`select id, (data->>'pid')::int as pid, session, seen from worker`);
const rowOf = async (service: Service) => (await workerRows()).find(({ pid }) => pid === service.pid);
/** The worker at the other end of a call. */
const holderOf = (port: number): Service => {
  const pid = processOf({ near: port, far: cluster.receiver.port });
  const found = cluster.workers.find((candidate) => candidate.pid === pid);
  if (!found) throw new Error(`no worker holds port ${port}`);
  return found;
};
const ownerOf = async (run: AcceptedRun) =>
  (await cluster.rows<{ owner: string | null; epoch: number }>('select owner, epoch from run_state where run = $1', [run.id]))[0];
const lossesOf = async (run: AcceptedRun) =>
  (
    await cluster.rows<{ attempt: number; losses: number }>('select attempt, losses from task where run = $1 and task = 0 and item = -1', [
      run.id,
    ])
  )[0];
const statusesOf = async (run: AcceptedRun) => {
  const statuses: string[] = [];
  for await (const execution of new Client({ connection: temporal }).workflow.list({ query: `WorkflowId = 'run/${run.id}'` }))
    statuses.push(execution.status.name);
  return statuses.sort();
};
const expectAll = async (runs: AcceptedRun[], options: { zombies?: boolean; temporal?: boolean } = {}) => {
  await closed(cluster, runs);
  const report = await holds(cluster, runs, options);
  expect(report.bad).toEqual([]);
  return report;
};

/** A run whose effect is under way, and the worker that carries it. */
async function underWay(path: string) {
  const open = cluster.receiver.hold(path);
  const run = await submit(cluster, define({ a: call(cluster, path), b: transform(1, { dependsOn: ['a'] }) }), { status: 'completed' });
  const { port } = await cluster.receiver.next(run.id);
  return { run, open, holder: holderOf(port) };
}

test(
  'a killed worker is taken over at once: its effect runs again elsewhere, its row goes',
  async () => {
    const { run, open, holder } = await underWay('/killed');
    const before = await rowOf(holder);
    expect((await ownerOf(run))?.owner).toBe(before?.id);
    await kill(holder);
    const again = await cluster.receiver.next(run.id);
    open();
    const report = await expectAll([run]);
    expect(report).toMatchObject({ effects: 1, most: 2 });
    expect(holderOf(again.port).pid).not.toBe(holder.pid);
    expect(await lossesOf(run)).toEqual({ attempt: 2, losses: 1 });
    await until('the row of the dead worker goes', async () => !(await workerRows()).some(({ id }) => id === before?.id));
    await until('visibility follows', async () => (await statusesOf(run)).join() === 'COMPLETED,TERMINATED');
  },
  LIMIT_MS,
);

test(
  'a short run whose worker was killed before it was shown in Temporal is shown by who takes over',
  async () => {
    await cluster.staff(1);
    const [first] = cluster.workers;
    // Many at once, so that starts are put off.
    const runs = await Promise.all(Array.from({ length: 60 }, () => submit(cluster, define({ a: transform(1) }), { status: 'completed' })));
    await closed(cluster, runs);
    if (first) await kill(first);
    const shown = await Promise.all(runs.map(statusesOf));
    expect(shown.some((statuses) => statuses.length === 0)).toBe(true);
    await cluster.staff(2);
    // One that was started just before the kill may have its workflow task with the dead worker, and runs until its timeout.
    const isShown = async (run: AcceptedRun) => /^(COMPLETED|RUNNING)$/.test((await statusesOf(run)).join());
    for (const run of runs) await until(`run ${run.id} is shown, once`, () => isShown(run));
    await expectAll(runs, { temporal: false });
  },
  LIMIT_MS,
);

/** Waits until every open run of `id` belongs to somebody else. */
const nothingLeftOf = (id: string) =>
  until(
    'all is taken over',
    async () => (await cluster.rows('select from run_state where owner = $1 and finished is null', [id])).length === 0,
  );

/** Ends the session of a worker on the server's side. */
const cut = (service: Service) =>
  cluster.rows(`select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1`, [`tiu worker %-${service.pid}`]);

test(
  'a living worker whose session was cut and taken over comes back: what it does for the runs it lost is refused',
  async () => {
    const { run, open, holder } = await underWay('/cut');
    const before = await rowOf(holder);
    process.kill(holder.pid, 'SIGSTOP');
    await cut(holder);
    const { port } = await cluster.receiver.next(run.id);
    expect(holderOf(port).pid).not.toBe(holder.pid);
    process.kill(holder.pid, 'SIGCONT');
    await until('it has a new session', async () => ((await rowOf(holder))?.session ?? 0) > (before?.session ?? 0));
    open();
    expect(await expectAll([run], { zombies: true })).toMatchObject({ effects: 1, most: 2 });
    expect(await lossesOf(run)).toEqual({ attempt: 2, losses: 1 });
    expect((await eventsOf(cluster, run.id)).filter(({ type }) => type === 'task.completed')).toHaveLength(2);
    await expectAll([await submit(cluster, define({ a: transform(1) }), { status: 'completed' })]);
  },
  LIMIT_MS,
);

test(
  'a living worker whose session was cut goes on under a new one, and new runs begin',
  async () => {
    const { run, open, holder } = await underWay('/reopened');
    const before = await rowOf(holder);
    await cut(holder);
    await until('it has a new session', async () => ((await rowOf(holder))?.session ?? 0) > (before?.session ?? 0));
    open();
    await expectAll([run, await submit(cluster, define({ a: transform(1) }), { status: 'completed' })], { zombies: true });
  },
  LIMIT_MS,
);

test(
  'a stopped worker, its session alive, is taken over; continued, it changes nothing',
  async () => {
    const { run, open, holder } = await underWay('/stopped');
    process.kill(holder.pid, 'SIGSTOP');
    const { port } = await cluster.receiver.next(run.id);
    expect(holderOf(port).pid).not.toBe(holder.pid);
    open();
    await closed(cluster, [run]);
    const events = await eventsOf(cluster, run.id);
    const seen = (await rowOf(holder))?.seen ?? new Date();
    process.kill(holder.pid, 'SIGCONT');
    await until('it is at work again', async () => ((await rowOf(holder))?.seen ?? 0) > seen);
    expect(await eventsOf(cluster, run.id)).toEqual(events);
    expect(await expectAll([run], { zombies: true })).toMatchObject({ effects: 1, most: 2 });
  },
  LIMIT_MS,
);

test(
  'PostgreSQL is killed and started again: every worker comes back and nobody is taken over',
  async () => {
    const { run, open } = await underWay('/restarted');
    const before = await workerRows();
    const takenBefore = cluster.log().split('worker.taken_over').length;
    await cluster.postgres.kill();
    await cluster.postgres.start();
    await until('every session is new', async () => {
      const now = await workerRows();
      return cluster.workers.every(({ pid }) => {
        const [old, fresh] = [before, now].map((rows) => rows.find((row) => row.pid === pid));
        return fresh && old && fresh.session > old.session;
      });
    });
    open();
    await expectAll([run, await submit(cluster, define({ a: transform(1) }), { status: 'completed' })], { zombies: true });
    expect(cluster.log().split('worker.taken_over').length).toBe(takenBefore);
  },
  LIMIT_MS,
);

test(
  'a worker that is asked to end finishes what is in hand and hands over the rest: the others go on at once',
  async () => {
    const { run, open, holder } = await underWay('/drained');
    const before = await rowOf(holder);
    const waiting = await submit(cluster, define({ w: wait('PT3S'), after: transform(1, { dependsOn: ['w'] }) }), { status: 'completed' });
    await happened(cluster, waiting, 'run.waiting');
    process.kill(holder.pid, 'SIGTERM');
    await holder.exited;
    if (before) await nothingLeftOf(before.id);
    await cluster.receiver.next(run.id);
    open();
    expect(await expectAll([run, waiting], { zombies: true })).toMatchObject({ effects: 1, most: 2 });
    expect(await lossesOf(run)).toMatchObject({ attempt: 2 });
  },
  LIMIT_MS,
);

const finishedOf = async (ids: string[]) =>
  (await cluster.rows('select from run_state where run = any($1) and finished is not null', [ids])).length;
const epochsOf = async (ids: string[]) =>
  new Map(
    (await cluster.rows<{ run: string; epoch: number }>('select run, epoch from run_state where run = any($1)', [ids])).map((row) => [
      row.run,
      row.epoch,
    ]),
  );

test(
  'eighty runs held by a killed worker, two survivors: each run is taken over once, none is lost',
  async () => {
    // Of so many, a machine that is too busy to answer Temporal loses workflow tasks without a kill: those come back by the timeout.
    cluster.env.TIU_WORKFLOW_TASK_TIMEOUT = '60000';
    await Promise.all(cluster.workers.map(kill));
    await cluster.staff(3);
    const runs = await Promise.all(
      Array.from({ length: 80 }, (_, i) =>
        i % 5 === 0
          ? submit(cluster, define({ a: call(cluster, '/many'), b: transform(1, { dependsOn: ['a'] }) }), { status: 'completed' })
          : submit(cluster, define({ w: wait(i % 2 ? 'PT20S' : 'PT8S'), b: transform(1, { dependsOn: ['w'] }) }), { status: 'completed' }),
      ),
    );
    const ids = runs.map(({ id }) => id);
    const owned = () =>
      cluster.rows<{ owner: string; n: number }>(
        `select owner, count(*)::int as n from run_state where run = any($1) and started is not null and finished is null group by owner order by n desc`,
        [ids],
      );
    const begun = async () => (await owned()).reduce((sum, { n }) => sum + n, 0);
    await until('all have begun', async () => (await begun()) + (await finishedOf(ids)) === 80);
    const rows = await workerRows();
    const [most] = await owned();
    const victim = cluster.workers.find(({ pid }) => pid === rows.find(({ id }) => id === most?.owner)?.pid);
    if (!victim || !most) throw new Error('nobody owns a run');
    // everything of it, so that all of them are held by one
    await cluster.rows(`update run_state set owner = $1 where run = any($2) and finished is null`, [most.owner, ids]);
    const epochs = await epochsOf(ids);
    await kill(victim);
    await nothingLeftOf(most.owner);
    // Once by the takeover, once by the execution that was started anew, and once more if the old one noticed before that it is stale.
    for (const [id, epoch] of await epochsOf(ids)) expect(epoch - (epochs.get(id) ?? 0)).toBeLessThanOrEqual(3);
    // Of a run that was over before the kill, the last workflow task may be with the dead worker; it comes back by its timeout alone.
    await expectAll(runs, { temporal: false });
  },
  2 * LIMIT_MS,
);
