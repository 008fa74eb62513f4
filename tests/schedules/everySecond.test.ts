import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aCluster, kill, type Cluster } from '../chaos/support/cluster.ts';
import { aSchedules, type Schedules } from './aSchedules.ts';

let cluster: Cluster;
let schedules: Schedules;
beforeAll(async () => {
  cluster = await aCluster({ workers: 2 });
  schedules = aSchedules(cluster);
  await schedules.store('tick');
});
afterAll(() => cluster.stop());

const LIMIT_MS = 100_000;

test(
  'an interval of a second makes an ordinary run for each second, whatever is killed meanwhile',
  async () => {
    const made = await schedules.create({
      name: 'each-second',
      workflow: { name: 'tick' },
      spec: { interval: 'PT1S' },
      overlap: 'allowAll',
    });
    await schedules.fired(made.id, 3);

    const [first] = cluster.workers;
    if (first) await kill(first);
    await schedules.fired(made.id, 6);
    await cluster.staff(2);

    await cluster.temporal.wipe();
    await schedules.fired(made.id, 4);

    await cluster.postgres.kill();
    await cluster.postgres.start();
    await schedules.fired(made.id, 4);

    await schedules.call('POST', `/schedules/${made.id}/pause`, { note: 'enough' });
    const { fires } = await schedules.settled(made.id);
    const seconds = fires.map(({ at }) => Date.parse(at) / 1_000);
    // gapless: a second without a run would show, and so would one with two
    expect(seconds).toEqual(seconds.map((_, i) => (seconds[0] ?? 0) + i));
    expect(new Set(fires.map(({ runId }) => runId)).size).toBe(fires.length);
    const runs = await cluster.rows<{ n: number }>(`select count(*)::int as n from run where created_by = $1`, [`schedule:${made.id}`]);
    expect(runs[0]?.n).toBe(fires.length);
    const [event] = await cluster.rows(`select data from run_event where run = $1 and seq = 1`, [fires[0]?.runId]);
    expect(event).toEqual({ data: { schedule: { id: made.id, name: 'each-second', at: fires[0]?.at, kind: fires[0]?.kind } } });
  },
  LIMIT_MS,
);
