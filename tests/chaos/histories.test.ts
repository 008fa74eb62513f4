import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { aCluster, kill, type Cluster } from './support/cluster.ts';
import { holds } from './support/holds.ts';
import { aRandomSample } from './support/mixed.ts';
import { call, closed, define, statesOf, submit, transform, type AcceptedRun } from './support/runs.ts';
import { until } from '../support/until.ts';

const SUGGESTED = 60;
const LIMIT = 250;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await aCluster({
    dynamicConfig: {
      'limit.historyCount.suggestContinueAsNew': SUGGESTED,
      'limit.historyCount.warn': LIMIT - 50,
      'limit.historyCount.error': LIMIT,
    },
  });
});
afterAll(() => cluster.stop());
afterEach(() => cluster.staff(2));

const LIMIT_MS = 300_000;

async function end(runs: AcceptedRun[], options: { temporal?: boolean } = {}) {
  await closed(cluster, runs);
  const report = await holds(cluster, runs, options);
  expect(report.bad).toEqual([]);
  return report;
}

const pairAfter = (i: number) => call(cluster, '/pair?ms=10', i === 0 ? {} : { dependsOn: [`a${i - 1}`, `b${i - 1}`] });
/** Pairs of effects in a row: none of them shares an activity. */
const pairs = (n: number) =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => ['a', 'b'].map((name) => [`${name}${i}`, pairAfter(i)] as const)).flat());

const epochOf = async (run: AcceptedRun) => (await statesOf(cluster, [run.id]))[0]?.epoch ?? 0;

test(
  'runs that continue as new again and again go on where they were, also when a worker is killed',
  async () => {
    const chains = await Promise.all(Array.from({ length: 3 }, () => submit(cluster, define(pairs(25)), { status: 'completed' })));
    const random = await Promise.all(
      Array.from({ length: 12 }, (_, seed) => {
        const { definition, ...more } = aRandomSample(cluster, 100 + seed);
        return submit(cluster, definition, more);
      }),
    );
    await until('the chains are in their middle', () => cluster.receiver.calls.some(({ key }) => key.endsWith('/a9/-/0')));
    const [first] = cluster.workers;
    if (first) await kill(first);
    await end([...chains, ...random]);
    for (const run of chains) expect(await epochOf(run)).toBeGreaterThan(2);
  },
  LIMIT_MS,
);

test(
  'a run whose history reaches the limit of the server is started again and keeps what it has',
  async () => {
    // Beside one that lasts, so that it cannot continue as new in between.
    const open = cluster.receiver.hold('/limit');
    const tasks = { slow: call(cluster, '/limit'), ...pairs(40) };
    const run = await submit(cluster, define({ ...tasks, last: transform(1, { dependsOn: Object.keys(tasks) }) }), { status: 'completed' });
    await until('the server ends its execution', async () => {
      const listed = await cluster.cli('workflow', 'list', '--query', `WorkflowId = "run/${run.id}"`, '--output', 'json');
      return listed.includes('WORKFLOW_EXECUTION_STATUS_TERMINATED');
    });
    open();
    expect(await end([run])).toMatchObject({ effects: 81 });
  },
  LIMIT_MS,
);
