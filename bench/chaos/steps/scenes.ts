import type { Json } from '../../../src/domain/json.ts';
import { call, define } from '../../../tests/chaos/support/runs.ts';
import type { Cluster } from '../../../tests/chaos/support/cluster.ts';

/** What is being done when somebody is killed. */
export type SceneName = 'compensation' | 'fork' | 'retry' | 'approval';

/** A definition and what is known of its end. `path` is the beginning of the paths of all its calls. */
export type Scene = { definition: Json; status: string; tasks: Record<string, string> };

/**
 * Where a process is killed. `type` and `task`: inside the transaction that writes this event, which is rolled back (`before`)
 * or commits after his death (`after`). `call`: with this call under way, unanswered.
 */
export type Step = { scene: SceneName; name: string; victim: 'api' | 'worker'; task?: string } & (
  { type: string; how: 'before' | 'after' } | { call: string }
);

type Making = (cluster: Pick<Cluster, 'receiver'>, path: string) => Scene;

const once = { retry: { limit: 0 } };

/** Two effects that are undone, the last first, and one that runs last. */
const compensation: Making = (cluster, path) => {
  const step = (n: number, more: object) => call(cluster, `${path}/do${n}`, { ...more, compensate: call(cluster, `${path}/undo${n}`) });
  const tasks = {
    a: step(1, {}),
    b: step(2, { dependsOn: ['a'] }),
    c: { type: 'assert', with: { that: 'false' }, dependsOn: ['b'] },
  };
  const ends = {
    a: 'compensated',
    b: 'compensated',
    c: 'failed',
    last: 'completed',
    'a.compensate': 'completed',
    'b.compensate': 'completed',
  };
  return { definition: define(tasks, { finally: { last: call(cluster, `${path}/last`) } }), status: 'failed', tasks: ends };
};

const inThree: Making = (cluster, path) => {
  const tasks = {
    a: call(cluster, `${path}/a`),
    b: call(cluster, `${path}/b`, { dependsOn: ['a'] }),
    c: call(cluster, `${path}/c`, { dependsOn: ['b'] }),
  };
  return { definition: define(tasks), status: 'completed', tasks: { a: 'completed', b: 'completed', c: 'completed' } };
};

/** Its middle is refused until it runs again. */
const retry: Making = (cluster, path) => {
  const tasks = {
    a: call(cluster, `${path}/a`),
    b: call(cluster, `${path}/b?generation=1`, { dependsOn: ['a'], ...once }),
    c: call(cluster, `${path}/c`, { dependsOn: ['b'] }),
  };
  return { definition: define(tasks), status: 'completed', tasks: { a: 'completed', b: 'completed', c: 'completed' } };
};

const approval: Making = (cluster, path) => {
  const tasks = {
    a: call(cluster, `${path}/a`),
    ask: { type: 'approval', with: { message: 'Go on?' }, dependsOn: ['a'] },
    c: call(cluster, `${path}/c`, { dependsOn: ['ask'] }),
  };
  return { definition: define(tasks), status: 'completed', tasks: { a: 'completed', ask: 'completed', c: 'completed' } };
};

export const SCENES: Readonly<Record<SceneName, Making>> = { compensation, fork: inThree, retry, approval };

/** Both sides of a commit. */
const commit = (step: { scene: SceneName; name: string; type: string; task?: string; victim?: 'api' }): Step[] =>
  (['before', 'after'] as const).map((how) => ({ victim: 'worker', ...step, how, name: `${step.name}, ${how} the commit` }));

/** An attempt of an effect: its claim, its call, its end. */
const attempt = (scene: SceneName, what: string, { task, path = task }: { task: string; path?: string }): Step[] => [
  ...commit({ scene, name: `${what} is claimed`, type: 'task.started', task }),
  { scene, name: `${what} is called`, victim: 'worker', call: path, task },
  ...commit({ scene, name: `${what} has answered and is reported`, type: 'task.completed', task }),
];

export const STEPS: readonly Step[] = [
  ...commit({ scene: 'compensation', name: 'a run begins to undo', type: 'run.compensating' }),
  ...attempt('compensation', 'the first compensation', { task: 'b.compensate', path: 'undo2' }),
  ...attempt('compensation', 'the second compensation, the first one done,', { task: 'a.compensate', path: 'undo1' }),
  ...commit({ scene: 'compensation', name: 'what was undone is told', type: 'run.compensated' }),
  ...attempt('compensation', 'the task of finally', { task: 'last' }),
  ...commit({ scene: 'compensation', name: 'the run ends', type: 'run.failed' }),
  ...commit({ scene: 'fork', name: 'a fork is accepted', type: 'run.accepted', victim: 'api' }),
  ...commit({ scene: 'fork', name: 'the fork begins', type: 'run.started' }),
  ...attempt('fork', 'its first task', { task: 'b' }),
  ...commit({ scene: 'retry', name: 'a run is opened again', type: 'run.reopened', victim: 'api' }),
  { scene: 'retry', name: 'the retry is poked and its answer kept', type: 'answer.kept', victim: 'api', how: 'after' },
  ...commit({ scene: 'retry', name: 'the retried run begins', type: 'run.started' }),
  ...attempt('retry', 'what runs again', { task: 'b' }),
  ...commit({ scene: 'approval', name: 'somebody approves', type: 'command.approve', victim: 'api' }),
  { scene: 'approval', name: 'the approval is poked and its answer kept', type: 'answer.kept', victim: 'api', how: 'after' },
  ...commit({ scene: 'approval', name: 'the poke is taken up', type: 'poke.claimed' }),
  ...commit({ scene: 'approval', name: 'the poke was sent', type: 'poke.told' }),
  ...commit({ scene: 'approval', name: 'the decision is read', type: 'task.completed', task: 'ask' }),
  ...attempt('approval', 'the task after it', { task: 'c' }),
];
