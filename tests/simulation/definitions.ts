import { readDefinitionValue } from '../../src/domain/definition/read.schema.ts';
import type { Json } from '../../src/domain/json.ts';
import { compile } from '../../src/domain/plan/compile.ts';
import { COMPLETED, FAILED, SKIPPED, statusOf, TASK_STATUSES, TIMED_OUT } from '../../src/domain/plan/outcome.ts';
import { mainTasks } from '../../src/domain/plan/phases.ts';
import { EFFECT, STRATEGIES, type Graph, type Plan } from '../../src/domain/plan/plan.ts';
import { PRIORITIES } from '../../src/domain/run/priority.ts';
import { aRandom, aRandomGraph, expected, joinOf } from '../support/aGraph.ts';

/** A definition with what has to become of its runs if nobody interferes. */
export type Sample = {
  plan: Plan;
  body: string;
  status: string;
  outcomes: { [task: string]: string };
  failFast: boolean;
  deadline: boolean;
};

const wordsOf = (mask: number): string[] => TASK_STATUSES.filter((_, outcome) => (mask >> outcome) & 1);

const call = (path: string, retry: object): object => ({ type: 'http', with: { url: `http://outside/${path}` }, retry });

/** Work of a task that ends well: an expression, a wait, a map, one call or several until one succeeds. */
function goodTask(random: () => number, isEffect: boolean): object {
  const x = random();
  if (isEffect) {
    if (x < 0.2) return { ...call('good', { limit: 0 }), map: { items: '${range(0, 4)}', maxConcurrency: 2 } };
    return x < 0.5 ? call('shy', { limit: 5, delay: 'PT0.2S', codes: ['http_status'] }) : call('good', { limit: 1 });
  }
  if (x < 0.2) return { type: 'wait', with: { for: x < 0.1 ? 'PT0.05S' : 'PT1.5S' } };
  return x < 0.3
    ? { type: 'transform', with: { value: '${item}' }, map: { items: '${range(0, 3)}' } }
    : { type: 'transform', with: { value: 1 } };
}

const badTask = (isEffect: boolean): object => (isEffect ? call('bad', { limit: 0 }) : { type: 'assert', with: { that: 'false' } });

/** Half of the definitions say in which order their tasks begin; drawn apart, so that the rest of a sample does not change with it. */
function aStrategy(seed: number, names: readonly string[]): { more: object; priorities: Record<string, string> } {
  const random = aRandom(seed ^ 0x5eed);
  const strategy = random() < 0.5 ? STRATEGIES[Math.floor(random() * STRATEGIES.length)] : undefined;
  const places = strategy !== 'sequential' && random() < 0.6 ? { maxConcurrency: 1 + Math.floor(random() * 2) } : {};
  const looks = strategy === 'priority_based' || strategy === 'balanced' || strategy === 'adaptive';
  const priorities = names.map((name): [string, string] => [name, PRIORITIES[Math.floor(random() * PRIORITIES.length)] ?? 'normal']);
  return { more: strategy === undefined ? {} : { strategy, ...places }, priorities: Object.fromEntries(looks ? priorities : []) };
}

/** A random definition: inline tasks, effects, waits and maps, with conditions, joins, failures and tolerance. */
function aSample(seed: number): Sample {
  const random = aRandom(seed);
  const { graph, behaviour } = aRandomGraph(random, 7);
  const failFast = random() < 0.15;
  const deadline = random() < 0.06;
  const { more, priorities } = aStrategy(seed, graph.names);
  const tasks = graph.names.map((name, i) => {
    const ends = behaviour[i]?.ends ?? COMPLETED;
    const isEffect = graph.classes[i] === EFFECT;
    const edges = graph.deps[i]?.map(([dependency, mask]) => ({ task: graph.names[dependency], when: wordsOf(mask) })) ?? [];
    const task = {
      ...(ends === FAILED || ends === TIMED_OUT ? badTask(isEffect) : goodTask(random, isEffect)),
      ...(edges.length > 0 && { dependsOn: edges }),
      ...joinOf(graph.need[i]),
      ...(graph.tolerant[i] === 1 && { onError: 'continue' }),
      ...(ends === SKIPPED && { if: 'false' }),
      ...(priorities[name] !== undefined && { priority: priorities[name] }),
      ...(random() < 0.3 && { compensate: random() < 0.5 ? call('good', { limit: 1 }) : { type: 'transform', with: { value: 1 } } }),
    };
    return [name, task] as const;
  });
  const last =
    random() < 0.25
      ? { l0: goodTask(random, random() < 0.5), l1: { ...(random() < 0.3 ? badTask(false) : goodTask(random, true)), dependsOn: ['l0'] } }
      : undefined;
  const definition = {
    dsl: 'tiu/1',
    name: 'sample',
    tasks: Object.fromEntries(tasks),
    ...(last && { finally: last }),
    ...(failFast && { onError: 'failFast' }),
    ...(deadline && { deadline: 'PT4S' }),
    ...more,
  };
  const read = readDefinitionValue(definition as unknown as Json);
  if (!('definition' in read)) throw new Error(`sample ${seed} is refused: ${JSON.stringify(read.issues)}`);
  const plan = compile(read.definition);
  const main = mainTasks(plan.graph);
  const model = expected({
    graph: { ...plan.graph, deps: plan.graph.deps.slice(0, main) },
    behaviour: plan.graph.names.slice(0, main).map((name) => {
      const { ends = COMPLETED, take = 0 } = behaviour[graph.names.indexOf(name)] ?? {};
      return { ends: ends === TIMED_OUT ? FAILED : ends, take };
    }),
  });
  const outcomes = Object.fromEntries(plan.graph.names.map((name, i) => [name, wordOf(plan.graph, model, i)]));
  return { plan, body: JSON.stringify(plan), status: model.status, outcomes, failFast, deadline };
}

/** What a task of the plan ends as, or would: a compensation that is not needed has no row. */
function wordOf(graph: Graph, { outcomes, status }: ReturnType<typeof expected>, task: number): string {
  const own = outcomes[task];
  if (own === undefined) return graph.names[task] === 'l1' && graph.kinds[task] === 'assert' ? 'failed' : 'completed';
  return own === COMPLETED && status === 'failed' && graph.undoes?.includes(task) ? 'compensated' : statusOf(own);
}

const SAMPLES = 400;
const samples = new Map<number, Sample>();

/** One of 400 definitions: reading and compiling one takes longer than running it. */
export function sampleOf(number: number): Sample {
  const which = number % SAMPLES;
  const known = samples.get(which) ?? aSample(which);
  samples.set(which, known);
  return known;
}
