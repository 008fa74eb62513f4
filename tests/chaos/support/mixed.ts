import { expected, aRandom, aRandomGraph, joinOf } from '../../support/aGraph.ts';
import { aPlan } from '../../support/anEngine.ts';
import type { Json } from '../../../src/domain/json.ts';
import { COMPLETED, FAILED, SKIPPED, statusOf, TASK_STATUSES, TIMED_OUT } from '../../../src/domain/plan/outcome.ts';
import { mainTasks } from '../../../src/domain/plan/phases.ts';
import { EFFECT, type Graph } from '../../../src/domain/plan/plan.ts';
import type { Cluster } from './cluster.ts';
import { call, define, submit, transform, wait, type AcceptedRun, type Submit } from './runs.ts';

type Sample = { definition: Json } & Submit;

/** Tasks in a row, each after the one before. */
export const inARow = (length: number, task: (more: object) => object) =>
  Object.fromEntries(Array.from({ length }, (_, i) => [`t${i}`, task(i === 0 ? {} : { dependsOn: [`t${i - 1}`] })]));

/** One definition of each shape. `pace` is how long an effect takes at the receiver, ms. */
function samples(cluster: Pick<Cluster, 'receiver'>, pace: number): Record<string, Sample> {
  const effect = (more: object = {}) => call(cluster, `/effect?ms=${pace}`, more);
  const fan = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`t${i}`, effect({ dependsOn: ['first'] })]));
  return {
    chain: { definition: define(inARow(30, (more) => transform(1, more))), status: 'completed' },
    effects: { definition: define(inARow(4, effect)), status: 'completed' },
    fan: {
      definition: define({ first: transform(1), ...fan, last: transform('${tasks.t3.output.status}', { dependsOn: Object.keys(fan) }) }),
      status: 'completed',
    },
    waits: {
      definition: define({ before: effect(), pause: wait('PT1S', { dependsOn: ['before'] }), after: effect({ dependsOn: ['pause'] }) }),
      status: 'completed',
    },
    retries: {
      definition: define({ shy: call(cluster, `/shy?fail=2&ms=${pace}`), after: transform(1, { dependsOn: ['shy'] }) }),
      status: 'completed',
    },
    items: {
      definition: define({
        each: { ...transform('${item * 2}'), map: { items: '${range(0, 60)}' } },
        post: { ...effect(), map: { items: '${range(0, 6)}', maxConcurrency: 3 } },
        total: transform('${sum(tasks.each.output)}', { dependsOn: ['post'] }),
      }),
      status: 'completed',
    },
    branches: {
      definition: define({
        pick: { type: 'switch', with: { cases: [{ if: 'input.n > 1', then: ['yes'] }], else: ['no'] } },
        yes: effect(),
        no: effect(),
        end: transform(1, {
          dependsOn: [
            { task: 'yes', when: ['completed', 'skipped'] },
            { task: 'no', when: ['completed', 'skipped'] },
          ],
        }),
      }),
      input: { n: 2 },
      status: 'completed',
      tasks: { yes: 'completed', no: 'skipped', end: 'completed' },
    },
    fails: {
      definition: define({
        good: effect(),
        bad: { type: 'assert', with: { that: 'false' }, dependsOn: ['good'] },
        never: effect({ dependsOn: ['bad'] }),
        note: transform('${tasks.bad.error.code}', {
          dependsOn: [
            { task: 'bad', when: ['completed'] },
            { task: 'good', when: ['completed'] },
          ],
        }),
      }),
      status: 'failed',
      tasks: { good: 'completed', bad: 'failed', never: 'blocked', note: 'blocked' },
    },
  };
}

/** Submits `count` runs, of all shapes in turn, to every api in turn. */
export async function mixed(cluster: Cluster, count: number, pace = 150): Promise<AcceptedRun[]> {
  const all = Object.values(samples(cluster, pace));
  return Promise.all(
    Array.from({ length: count }, (_, i) => {
      const { definition, ...more } = all[i % all.length] ?? { definition: null };
      return submit(cluster, definition, { ...more, api: i % cluster.apis.length });
    }),
  );
}

const wordsOf = (mask: number): string[] => TASK_STATUSES.filter((_, outcome) => (mask >> outcome) & 1);

/** What a task ends as, or would: a compensation that is not needed has no row. */
function wordOf(graph: Graph, { outcomes, status }: ReturnType<typeof expected>, task: number): string {
  const own = outcomes[task];
  if (own === undefined) return 'completed';
  return own === COMPLETED && status === 'failed' && graph.undoes?.includes(task) ? 'compensated' : statusOf(own);
}

/** A random definition of inline tasks, effects and their failures, with the outcomes that the reference model gives it. */
export function aRandomSample(cluster: Pick<Cluster, 'receiver'>, seed: number): Sample {
  const random = aRandom(seed);
  const { graph, behaviour } = aRandomGraph(random, 10);
  const tasks = graph.names.map((name, i) => {
    const ends = behaviour[i]?.ends === TIMED_OUT ? FAILED : (behaviour[i]?.ends ?? COMPLETED);
    const bad = ends === FAILED;
    const outside = call(
      cluster,
      `/random?ms=${Math.floor(random() * 200)}${bad ? '&status=400' : ''}`,
      bad ? { retry: { limit: 0 } } : {},
    );
    const inside = bad ? { type: 'assert', with: { that: 'false' } } : transform(i);
    const edges = graph.deps[i]?.map(([dependency, mask]) => ({ task: graph.names[dependency], when: wordsOf(mask) })) ?? [];
    const task = {
      ...(graph.classes[i] === EFFECT ? outside : inside),
      ...(edges.length > 0 && { dependsOn: edges }),
      ...joinOf(graph.need[i]),
      ...(graph.tolerant[i] === 1 && { onError: 'continue' }),
      ...(ends === SKIPPED && { if: 'false' }),
      ...(random() < 0.3 && { compensate: random() < 0.5 ? call(cluster, '/undo?ms=20') : transform('undone') }),
    };
    return [name, task] as const;
  });
  const last =
    random() < 0.3 ? { finally: { last: call(cluster, '/last?ms=20'), noted: transform('${run.status}', { dependsOn: ['last'] }) } } : {};
  const definition = define(Object.fromEntries(tasks), last);
  const compiled = aPlan(definition).graph;
  const main = mainTasks(compiled);
  const model = expected({
    graph: { ...compiled, deps: compiled.deps.slice(0, main) },
    behaviour: compiled.names.slice(0, main).map((name) => {
      const { ends = COMPLETED, take = 0 } = behaviour[graph.names.indexOf(name)] ?? {};
      return { ends: ends === TIMED_OUT ? FAILED : ends, take };
    }),
  });
  return {
    definition,
    status: model.status,
    tasks: Object.fromEntries(compiled.names.map((name, i) => [name, wordOf(compiled, model, i)])),
  };
}
