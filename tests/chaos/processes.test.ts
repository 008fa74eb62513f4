import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aCluster, type Cluster } from './support/cluster.ts';
import { playMany } from './support/many.ts';

const LIMIT_MS = 300_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await aCluster({ apis: 2, workers: 3 });
}, LIMIT_MS);
afterAll(() => cluster.stop(), LIMIT_MS);

test(
  'two apis and three workers are one product, also when a worker is killed',
  async () => {
    const pids = cluster.workers.map(({ pid }) => pid);
    const played = await playMany(cluster, 60);
    expect(played.bad).toEqual([]);
    expect(played).toMatchObject({ runs: 72 });
    const carriers = [...played.carriedBy.keys()].map((identity) => Number(identity.split('-').at(-1)));
    // What the killed one had begun may all have been begun anew elsewhere.
    for (const pid of carriers) expect(pids).toContain(pid);
    expect(carriers.length).toBeGreaterThanOrEqual(2);
  },
  LIMIT_MS,
);
