import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { aCluster, kill, type Cluster } from './support/cluster.ts';
import { processOf } from './support/processOf.ts';
import { call, closed, define, eventsOf, statesOf, submit, type AcceptedRun } from './support/runs.ts';
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

const LIMIT_MS = 300_000;
const arrivals: Promise<unknown>[] = [];

/** Kills the worker that is at work on a call to this path, with the call under way. */
async function killAt(path: string): Promise<void> {
  const open = cluster.receiver.hold(path);
  const { port } = await cluster.receiver.next(path);
  const pid = processOf({ near: port, far: cluster.receiver.port });
  const worker = cluster.workers.find((one) => one.pid === pid);
  if (!worker) throw new Error(`no worker calls ${path}`);
  await kill(worker);
  arrivals.push(cluster.startWorker());
  open();
}

const pathsOf = (run: AcceptedRun) => cluster.receiver.calls.filter(({ key }) => key.startsWith(run.id)).map(({ path }) => path);
/** In the order of their first calls. */
const firstCalls = (run: AcceptedRun) => [...new Set(pathsOf(run))];

async function statuses(run: AcceptedRun): Promise<string[]> {
  const rows = await cluster.rows<{ status: string }>(
    'select distinct on (task) task, status from task where run = $1 and item = -1 order by task, generation desc',
    [run.id],
  );
  return rows.map(({ status }) => status);
}

async function gapless(run: AcceptedRun): Promise<void> {
  const events = await eventsOf(cluster, run.id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
}

const ask = async (run: AcceptedRun, what: string): Promise<number> => {
  const response = await fetch(`${cluster.apis[0]?.line.url ?? ''}/api/v1/runs/${run.id}/${what}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${cluster.key}`, 'idempotency-key': randomUUID() },
  });
  await response.text();
  return response.status;
};

test(
  'the worker is killed at each compensation and in finally: each is done, in the order, and nothing that was done is done again',
  async () => {
    const id = randomUUID().slice(0, 8);
    const step = (n: number, more: object = {}) =>
      call(cluster, `/${id}/do/${n}`, { ...more, compensate: call(cluster, `/${id}/undo/${n}`) });
    const tasks = {
      a: step(1),
      b: step(2, { dependsOn: ['a'] }),
      c: step(3, { dependsOn: ['b'] }),
      d: { type: 'assert', with: { that: 'false' }, dependsOn: ['c'] },
    };
    const run = await submit(cluster, define(tasks, { finally: { last: call(cluster, `/${id}/last`) } }), { status: 'failed' });
    for (const path of ['undo/3', 'undo/2', 'undo/1', 'last']) await killAt(`/${id}/${path}`);
    await closed(cluster, [run]);
    expect((await statesOf(cluster, [run.id]))[0]).toMatchObject({ status: 'failed', open: 0 });
    expect(await statuses(run)).toEqual([
      'compensated',
      'compensated',
      'compensated',
      'failed',
      'completed',
      'completed',
      'completed',
      'completed',
    ]);
    expect(firstCalls(run)).toEqual(['do/1', 'do/2', 'do/3', 'undo/3', 'undo/2', 'undo/1', 'last'].map((path) => `/${id}/${path}`));
    for (const path of ['do/1', 'do/2', 'do/3']) expect(pathsOf(run).filter((one) => one === `/${id}/${path}`)).toHaveLength(1);
    await gapless(run);
  },
  LIMIT_MS,
);

test(
  'the worker is killed in a retry: what had completed stays, what failed is done once more',
  async () => {
    const id = randomUUID().slice(0, 8);
    const gate = `/${id}/gate`;
    const tasks = {
      a: call(cluster, `/${id}/a`),
      b: { type: 'event', with: { name: 'gate', key: id }, dependsOn: ['a'], deadline: 'PT0.2S' },
      c: call(cluster, gate, { dependsOn: [{ task: 'b', when: ['completed', 'timed_out'] }], retry: { limit: 5 } }),
      d: {
        type: 'assert',
        with: { that: "${tasks.b.status == 'completed'}" },
        dependsOn: ['c', { task: 'b', when: ['completed', 'timed_out'] }],
      },
    };
    const run = await submit(cluster, define(tasks));
    await closed(cluster, [run]);
    expect((await statesOf(cluster, [run.id]))[0]).toMatchObject({ status: 'failed' });
    await cluster.receiver.next(gate); // that of the first generation
    expect(await ask(run, 'retry')).toBe(202);
    await killAt(gate); // the call of the new generation
    await closed(cluster, [run]);
    expect(pathsOf(run).filter((path) => path === `/${id}/a`)).toHaveLength(1);
    expect(new Set(cluster.receiver.calls.filter(({ path }) => path === gate).map(({ key }) => key)).size).toBe(2);
    await gapless(run);
  },
  LIMIT_MS,
);

test(
  'all workers are killed right after a decision: it stands, and the run goes on with it',
  async () => {
    const run = await submit(cluster, define({ a: { type: 'approval', with: { message: 'Go?' } } }));
    await until('it waits', async () => (await statesOf(cluster, [run.id]))[0]?.status === 'waiting');
    expect(await ask(run, 'tasks/a/approve')).toBe(202);
    await Promise.all(cluster.workers.map(kill));
    await cluster.staff(2);
    await closed(cluster, [run]);
    expect(await statuses(run)).toEqual(['completed']);
    expect(await ask(run, 'tasks/a/reject')).toBe(409);
    await gapless(run);
  },
  LIMIT_MS,
);
