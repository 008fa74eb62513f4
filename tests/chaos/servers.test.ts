import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { aCluster, type Cluster } from './support/cluster.ts';
import { holds } from './support/holds.ts';
import { mixed } from './support/mixed.ts';
import { call, closed, define, happened, statesOf, submit, transform, wait, type AcceptedRun } from './support/runs.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await aCluster({ apis: 2 });
});
afterAll(() => cluster.stop());
afterEach(async () => {
  while (cluster.apis.length < 2) await cluster.startApi();
});

const LIMIT_MS = 300_000;

async function end(runs: AcceptedRun[], options: { temporal?: boolean } = {}) {
  await closed(cluster, runs);
  const report = await holds(cluster, runs, options);
  expect(report.bad).toEqual([]);
  return report;
}

/** Some of the runs have begun, and few have ended. */
const underWay = (runs: AcceptedRun[]) =>
  until('the runs are under way', () => {
    const ids = runs.map(({ id }) => id);
    return cluster.receiver.calls.filter(({ key }) => ids.includes(key.split('/')[0] ?? '')).length > 3;
  });

test(
  'the same start sent to two apis at once, many times, is one run',
  async () => {
    const key = randomUUID();
    const definition = define({ a: call(cluster, '/once') });
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => submit(cluster, definition, { key, api: i % 2, status: 'completed' })),
    );
    const ids = new Set(answers.map(({ id }) => id));
    expect(ids.size).toBe(1);
    expect(await end(answers.slice(0, 1))).toMatchObject({ effects: 1, most: 1 });
    expect(await cluster.rows(`select from run where created > now() - interval '1 minute' and id = any($1)`, [[...ids]])).toHaveLength(1);
  },
  LIMIT_MS,
);

test(
  'PostgreSQL is away for the whole of an effect: what the effect did is written when it is back, or tried again under its key',
  async () => {
    const open = cluster.receiver.hold('/away');
    const run = await submit(cluster, define({ a: call(cluster, '/away'), b: transform(1, { dependsOn: ['a'] }) }), {
      status: 'completed',
    });
    await cluster.receiver.next(run.id);
    await cluster.postgres.kill();
    open();
    await until('the answer was given', () => cluster.receiver.calls.find(({ key }) => key.startsWith(run.id))?.answered);
    await cluster.postgres.start();
    expect(await end([run])).toMatchObject({ effects: 1 });
  },
  LIMIT_MS,
);

test(
  'what is submitted while Temporal is down starts when it is back',
  async () => {
    await cluster.temporal.kill();
    const runs = await mixed(cluster, 8);
    await cluster.temporal.start();
    await end(runs);
  },
  LIMIT_MS,
);

test(
  'Temporal is wiped with ten runs in flight: they go on from the rows',
  async () => {
    const waiting = await submit(cluster, define({ w: wait('PT3S'), after: call(cluster, '/wiped', { dependsOn: ['w'] }) }), {
      status: 'completed',
    });
    await happened(cluster, waiting, 'run.waiting');
    const runs = await mixed(cluster, 10);
    await underWay(runs);
    await cluster.temporal.wipe();
    await until('the search attributes are back', async () =>
      (await cluster.cli('workflow', 'list', '--query', 'TiuDefinition = "chaos"', '--output', 'json')).includes('run/'),
    );
    await end([waiting, ...runs], { temporal: false });
    const states = await statesOf(cluster, [waiting.id]);
    expect(states[0]?.epoch).toBeGreaterThan(1);
  },
  LIMIT_MS,
);
