import { readDefinitionValue } from '../../src/domain/definition/read.schema.ts';
import type { Json } from '../../src/domain/json.ts';
import { compile } from '../../src/domain/plan/compile.ts';
import { COMPLETED, FAILED, SKIPPED, statusOf, TASK_STATUSES, TIMED_OUT, type Outcome } from '../../src/domain/plan/outcome.ts';
import { countedTasks, mainTasks } from '../../src/domain/plan/phases.ts';
import { EFFECT, STRATEGIES, type Plan } from '../../src/domain/plan/plan.ts';
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
  /** When somebody sends the events that its tasks wait for. */
  events: { [task: string]: Sending };
  /** How many rounds loops go through. */
  rounds: { [task: string]: number };
};

/** `late`: when nobody waits any more. `twice`: the same event, and another one besides. */
export type Sending = 'early' | 'inTime' | 'twice' | 'late' | 'never';
const SENDINGS = ['early', 'inTime', 'twice'] as const;

const wordsOf = (mask: number): string[] => TASK_STATUSES.filter((_, outcome) => (mask >> outcome) & 1);

const call = (path: string, retry: object): object => ({ type: 'http', with: { url: `http://outside/${path}` }, retry });

/** Work of a task that ends well: an expression, a wait, a map, one call or several until one succeeds. */
function goodTask(random: () => number, { isEffect, longWait = 'PT20S' }: { isEffect: boolean; longWait?: string }): object {
  const x = random();
  if (isEffect) {
    if (x < 0.2) return { ...call('good', { limit: 0 }), map: { items: '${range(0, 4)}', maxConcurrency: 2 } };
    return x < 0.5 ? call('shy', { limit: 5, delay: 'PT0.2S', codes: ['http_status'] }) : call('good', { limit: 1 });
  }
  if (x < 0.2) return { type: 'wait', with: { for: x < 0.1 ? 'PT0.05S' : x < 0.15 ? 'PT1.5S' : longWait } };
  return x < 0.3
    ? { type: 'transform', with: { value: '${item}' }, map: { items: '${range(0, 3)}' } }
    : { type: 'transform', with: { value: 1 } };
}

/** A task that loops, or waits for an event: in place of what would end in the same way. */
type Special = { task: object; sending?: Sending; rounds?: number; ends?: Outcome };

/** Effects that loop until their condition holds, or have had enough. */
function aLoop(name: string, random: () => number, isGood: boolean): Special {
  const max = 1 + Math.floor(random() * 4);
  const meets = isGood ? 1 + Math.floor(random() * 5) : max + 1;
  const onExhausted = isGood && meets > max ? { onExhausted: 'continue' } : {};
  const loop = { until: `\${tasks.${name}.output.body.round >= ${meets}}`, max, every: 'PT0.1S', ...onExhausted };
  const path = random() < 0.4 ? 'shy' : 'round';
  return { task: { ...call(path, { limit: 5, delay: 'PT0.1S', codes: ['http_status'] }), loop }, rounds: Math.min(meets, max) };
}

/** Waits for an event of its own run, or of a key that many wait for. One that nobody sends in time ends by its deadline. */
function anEvent(name: string, random: () => number, isGood: boolean): Special {
  const key = random() < 0.2 ? 'shared' : `\${run.id}/${name}`;
  const task = { type: 'event', with: { name: 'go', key } };
  const mayEnd = !isGood || random() < 0.3;
  if (!mayEnd || (isGood && key === 'shared')) return { task, sending: SENDINGS[Math.floor(random() * SENDINGS.length)] ?? 'early' };
  const sending = random() < 0.5 ? 'late' : 'never';
  const own = { ...task, with: { name: 'never', key: `\${run.id}/${name}` }, deadline: `PT${random() < 0.5 ? 0.2 : 2}S` };
  return isGood ? { task: { ...own, onDeadline: 'continue' }, sending } : { task: own, sending, ends: TIMED_OUT };
}

/** Of some of the tasks; drawn apart, so that the rest of a sample does not change with it. */
function aSpecial(seed: number, name: string, { ends, isEffect }: { ends: Outcome; isEffect: boolean }): Special | undefined {
  const random = aRandom((seed ^ 0xe7e) * 31 + Number(name.slice(1)));
  if (random() > 0.35 || ends === SKIPPED) return undefined;
  return isEffect ? aLoop(name, random, ends === COMPLETED) : anEvent(name, random, ends === COMPLETED);
}

/** One of five cannot be done. */
const aCompensation = (seed: number, good: object): object => (aRandom(seed ^ 0xbad)() < 0.2 ? call('bad', { limit: 0 }) : good);

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

/** Tasks of `finally`. */
const lastTasks = (random: () => number): object => ({
  l0: goodTask(random, { isEffect: random() < 0.5 }),
  l1: { ...(random() < 0.3 ? badTask(false) : goodTask(random, { isEffect: true })), dependsOn: ['l0'] },
});

/** A random definition: inline tasks, effects, loops, waits for time and events, maps, with conditions, joins, failures and tolerance. */
function aSample(seed: number): Sample {
  const random = aRandom(seed);
  const { graph, behaviour } = aRandomGraph(random, 7);
  const failFast = random() < 0.15;
  const deadline = random() < 0.06;
  const { more, priorities } = aStrategy(seed, graph.names);
  const specials = new Map(
    graph.names.map((name, i) => [
      name,
      aSpecial(seed, name, { ends: behaviour[i]?.ends ?? COMPLETED, isEffect: graph.classes[i] === EFFECT }),
    ]),
  );
  const tasks = graph.names.map((name, i) => {
    const ends = behaviour[i]?.ends ?? COMPLETED;
    const isEffect = graph.classes[i] === EFFECT;
    const special = specials.get(name)?.task;
    const edges = graph.deps[i]?.map(([dependency, mask]) => ({ task: graph.names[dependency], when: wordsOf(mask) })) ?? [];
    const task = {
      ...plain(
        special,
        ends === FAILED || ends === TIMED_OUT ? badTask(isEffect) : goodTask(random, { isEffect, ...(deadline && { longWait: 'PT1.5S' }) }),
      ),
      ...(edges.length > 0 && { dependsOn: edges }),
      ...joinOf(graph.need[i]),
      ...(graph.tolerant[i] === 1 && { onError: 'continue' }),
      ...(ends === SKIPPED && { if: 'false' }),
      ...(priorities[name] !== undefined && { priority: priorities[name] }),
      ...(random() < 0.3 && {
        compensate: aCompensation(seed + i, random() < 0.5 ? call('good', { limit: 1 }) : { type: 'transform', with: { value: 1 } }),
      }),
    };
    return [name, task] as const;
  });
  const last = random() < 0.25 ? lastTasks(random) : undefined;
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
      return { ends: specials.get(name)?.ends ?? (ends === TIMED_OUT ? FAILED : ends), take };
    }),
  });
  const outcomes = Object.fromEntries(plan.graph.names.map((name, i) => [name, wordOf(plan, model, i)]));
  return { plan, body: JSON.stringify(plan), status: model.status, outcomes, failFast, deadline, ...ofSpecials(specials) };
}

function ofSpecials(specials: ReadonlyMap<string, Special | undefined>): Pick<Sample, 'events' | 'rounds'> {
  const of = <T>(what: (special: Special) => T | undefined): { [task: string]: T } =>
    Object.fromEntries(
      [...specials].flatMap(([name, special]) => {
        const found = special && what(special);
        return found === undefined ? [] : [[name, found]];
      }),
    );
  return { events: of(({ sending }) => sending), rounds: of(({ rounds }) => rounds) };
}

/** What is drawn for a task is drawn in any case, so that what comes after it stays the same. */
const plain = (special: object | undefined, drawn: object): object => special ?? drawn;

/** What a task of the plan ends as, or would: a compensation that is not needed has no row. */
function wordOf({ graph, tasks }: Plan, { outcomes, status }: ReturnType<typeof expected>, task: number): string {
  const own = outcomes[task];
  const isBad = (index: number): boolean => graph.kinds[index] === 'assert' || JSON.stringify(tasks[index]?.with).includes('outside/bad');
  if (own === undefined) return isBad(task) ? 'failed' : 'completed';
  const undoes = graph.undoes?.indexOf(task) ?? -1;
  const isUndone = own === COMPLETED && status === 'failed' && undoes >= 0 && !isBad(countedTasks(graph) + undoes);
  return isUndone ? 'compensated' : statusOf(own);
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
