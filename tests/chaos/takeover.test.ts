import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import type { Service } from '../../src/dev/service.ts';
import { aCluster, kill, type Cluster } from './support/cluster.ts';
import { holds } from './support/holds.ts';
import { processOf } from './support/processOf.ts';
import { call, closed, define, eventsOf, happened, submit, transform, wait, type AcceptedRun } from './support/runs.ts';
import { until } from './support/until.ts';

let cluster: Cluster;
let temporal: Connection;
/** Long timeouts: what goes on within a test was taken over, not timed out. */
const NEVER = '600000';
beforeAll(async () => {
  cluster = await aCluster({ env: { TIU_WORKFLOW_TASK_TIMEOUT: NEVER } });
  temporal = await Connection.connect({ address: cluster.temporal.address });
}, 120_000);
afterAll(async () => {
  await temporal.close();
  await cluster.stop();
}, 60_000);
afterEach(() => cluster.staff(2), 60_000);

const LIMIT_MS = 100_000;

type WorkerRow = { id: string; pid: number; session: Date; seen: Date };
const workerRows = () => cluster.rows<WorkerRow>(`select id, (data->>'pid')::int as pid, session, seen from worker`);
const rowOf = async (service: Service) => (await workerRows()).find(({ pid }) => pid === service.pid);
/** The worker at the other end of a call. */
const holderOf = (port: number): Service => {
  const pid = processOf(port);
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
const expectAll = async (runs: AcceptedRun[], options: { zombies?: boolean } = {}) => {
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
