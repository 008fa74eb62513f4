import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { aCluster, kill, type Cluster } from './support/cluster.ts';
import { holds } from './support/holds.ts';
import { call, cancel, closed, define, eventsOf, happened, statesOf, submit, transform, wait, type AcceptedRun } from './support/runs.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await aCluster();
});
afterAll(() => cluster.stop());

const LIMIT_MS = 300_000;

async function end(runs: AcceptedRun[], options: { temporal?: boolean } = {}) {
  await closed(cluster, runs);
  const report = await holds(cluster, runs, options);
  expect(report.bad).toEqual([]);
  return report;
}

const stateOf = async (run: AcceptedRun) => (await statesOf(cluster, [run.id]))[0];

const signalWorkers = (signal: NodeJS.Signals) => {
  for (const { pid } of cluster.workers) process.kill(pid, signal);
};

/** An effect that is held, a wait, and what depends on both. */
const inTheMiddle = (more: object = {}) =>
  define(
    {
      effect: call(cluster, '/never'),
      pause: wait('${input.pause}'),
      after: transform(1, { dependsOn: ['effect', 'pause'] }),
      fast: transform(2),
    },
    more,
  );
const HOUR = { pause: 'PT1H' };
const CANCELLED = { effect: 'cancelled', pause: 'cancelled', after: 'cancelled', fast: 'completed' };

test(
  'a cancel in the middle of an effect and a wait aborts the one and closes the other',
  async () => {
    const open = cluster.receiver.hold('/never');
    const run = await submit(cluster, inTheMiddle(), { input: HOUR, status: 'cancelled', tasks: CANCELLED });
    await cluster.receiver.next(run.id);
    await happened(cluster, run, 'task.completed');
    expect(await cancel(cluster, run)).toBe(202);
    await end([run]);
    open();
    expect(await stateOf(run)).toMatchObject({ intent: 'cancel', reason: 'chaos' });
    expect((await eventsOf(cluster, run.id)).filter(({ type }) => type === 'command.cancel')).toHaveLength(1);
  },
  LIMIT_MS,
);

test(
  'a second cancel forces',
  async () => {
    const open = cluster.receiver.hold('/never');
    const run = await submit(cluster, inTheMiddle(), { input: HOUR, status: 'cancelled', tasks: CANCELLED });
    await cluster.receiver.next(run.id);
    await happened(cluster, run, 'task.completed');
    signalWorkers('SIGSTOP');
    expect(await Promise.all([cancel(cluster, run), cancel(cluster, run)])).toEqual([202, 202]);
    signalWorkers('SIGCONT');
    await end([run]);
    open();
    expect(await stateOf(run)).toMatchObject({ intent: 'force' });
  },
  LIMIT_MS,
);

test(
  'a cancel in the middle of wide maps takes the items at work with it',
  async () => {
    const open = cluster.receiver.hold('/never');
    const tasks = {
      posts: { ...call(cluster, '/never'), map: { items: '${range(0, 100)}', maxConcurrency: 10 } },
      inline: { ...transform('${size(range(0, 2000).filter(i, i % 3 == 0))}'), map: { items: '${range(0, 3000)}' } },
      after: transform(1, { dependsOn: ['posts', 'inline'] }),
    };
    const run = await submit(cluster, define(tasks), { status: 'cancelled', tasks: { posts: 'cancelled', after: 'cancelled' } });
    await cluster.receiver.next(run.id);
    expect(await cancel(cluster, run)).toBe(202);
    await closed(cluster, [run]);
    open();
    await end([run]);
  },
  LIMIT_MS,
);

test(
  'a cancel whose worker is killed with the effect under way still ends as cancelled',
  async () => {
    const open = cluster.receiver.hold('/never');
    const run = await submit(cluster, inTheMiddle(), { input: HOUR, status: 'cancelled' });
    await cluster.receiver.next(run.id);
    await Promise.all(cluster.workers.map(kill));
    expect(await cancel(cluster, run)).toBe(202);
    await cluster.staff(2);
    await end([run]);
    open();
  },
  LIMIT_MS,
);

test(
  'the deadline of a run ends it in the middle of effects and waits',
  async () => {
    const open = cluster.receiver.hold('/never');
    const run = await submit(cluster, inTheMiddle({ deadline: 'PT1.5S' }), { input: HOUR, status: 'timed_out' });
    await end([run]);
    open();
    expect(await stateOf(run)).toMatchObject({ intent: 'timeout' });
  },
  LIMIT_MS,
);

test(
  'the deadline of a task ends an effect, a wait, and an effect between its tries',
  async () => {
    const open = cluster.receiver.hold('/never');
    const patient = { limit: 5, delay: 'PT1H', maxDelay: 'PT1H', jitter: 0 };
    const tasks = {
      effect: call(cluster, '/never', { deadline: 'PT1S' }),
      between: call(cluster, '/refused?fail=9', { deadline: 'PT1S', retry: patient }),
      slow: call(cluster, '/never', { timeout: 'PT0.5S', retry: { limit: 1, delay: 'PT0.1S' } }),
      map: { ...call(cluster, '/never'), map: { items: [1, 2, 3] }, deadline: 'PT2S' },
      after: transform(1, { dependsOn: [{ task: 'effect', when: ['timed_out'] }] }),
    };
    const late = { effect: 'timed_out', between: 'timed_out', slow: 'timed_out', map: 'timed_out', after: 'completed' };
    const run = await submit(cluster, define(tasks), { status: 'failed', tasks: late });
    await closed(cluster, [run]);
    open();
    await end([run]);
  },
  LIMIT_MS,
);

test(
  'a run whose execution an operator terminates in Temporal is cancelled, and says by whom',
  async () => {
    const open = cluster.receiver.hold('/never');
    const run = await submit(cluster, inTheMiddle(), { input: HOUR, status: 'cancelled' });
    await happened(cluster, run, 'task.started', 0);
    await until('it is old enough to be looked after', async () => {
      const rows = await cluster.rows(`select from run_state where run = $1 and started < clock_timestamp() - interval '1 s'`, [run.id]);
      return rows.length > 0;
    });
    await cluster.cli('workflow', 'terminate', '--workflow-id', `run/${run.id}`, '--reason', 'by hand');
    await end([run]);
    open();
    expect((await stateOf(run))?.reason).toMatch(/^terminated in Temporal by /);
  },
  LIMIT_MS,
);

test(
  'a run whose execution is cancelled in Temporal gets its command first',
  async () => {
    const open = cluster.receiver.hold('/never');
    const run = await submit(cluster, inTheMiddle(), { input: HOUR, status: 'cancelled', tasks: CANCELLED });
    await cluster.receiver.next(run.id);
    await happened(cluster, run, 'task.completed');
    await cluster.cli('workflow', 'cancel', '--workflow-id', `run/${run.id}`);
    await end([run]);
    open();
    const command = await happened(cluster, run, 'command.cancel');
    expect(command.data).toMatchObject({ reason: 'cancelled in Temporal', by: 'temporal' });
  },
  LIMIT_MS,
);

test(
  'an execution that is reset in Temporal goes on from the rows, not from its history',
  async () => {
    const open = cluster.receiver.hold('/reset');
    const tasks = {
      first: call(cluster, '/fast'),
      second: call(cluster, '/reset', { dependsOn: ['first'] }),
      last: transform(1, { dependsOn: ['second'] }),
    };
    const run = await submit(cluster, define(tasks), { status: 'completed' });
    await cluster.receiver.next(`${run.id}/second`);
    await cluster.cli('workflow', 'reset', '--workflow-id', `run/${run.id}`, '--type', 'FirstWorkflowTask', '--reason', 'by hand');
    open();
    await end([run]);
    expect(cluster.receiver.counts().get(`${run.id}/first/-/0`)).toBe(1);
  },
  LIMIT_MS,
);

test(
  'pokes all the time, also while runs close, change nothing',
  async () => {
    const connection = await Connection.connect({ address: cluster.temporal.address });
    const { workflow } = new Client({ connection });
    const tasks = {
      a: transform(1),
      b: call(cluster, '/poked', { dependsOn: ['a'] }),
      c: wait('PT0.2S', { dependsOn: ['a'] }),
      d: transform(1, { dependsOn: ['b', 'c'] }),
    };
    const runs = await Promise.all(Array.from({ length: 12 }, () => submit(cluster, define(tasks), { status: 'completed' })));
    const ending = { over: false, sent: 0 };
    const poke = async (run: AcceptedRun) => {
      while (!ending.over)
        await workflow
          .getHandle(`run/${run.id}`)
          .signal('poke')
          .then(
            () => ending.sent++,
            () => new Promise((later) => setTimeout(later, 50)),
          );
    };
    const poking = runs.map(poke);
    await closed(cluster, runs).finally(() => {
      ending.over = true;
    });
    await Promise.all(poking);
    await connection.close();
    expect(ending.sent).toBeGreaterThan(runs.length);
    await end(runs);
  },
  LIMIT_MS,
);

test(
  'a cancel at the instant of closing is either accepted and obeyed, or refused',
  async () => {
    const tasks = { a: transform(1), b: call(cluster, '/closing', { dependsOn: ['a'] }), c: transform(1, { dependsOn: ['b'] }) };
    const runs = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const run = await submit(cluster, define(tasks));
        const at = 3 + (i % 5);
        await until('its moment', async () => (await stateOf(run))?.last_seq !== undefined && ((await stateOf(run))?.last_seq ?? 0) >= at);
        const answer = await cancel(cluster, run);
        return { ...run, status: answer === 202 ? 'cancelled' : 'completed' };
      }),
    );
    await end(runs);
  },
  LIMIT_MS,
);
