import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { Cluster } from '../../tests/chaos/support/cluster.ts';
import { aRandomSample, inARow } from '../../tests/chaos/support/mixed.ts';
import { call, define, transform, wait } from '../../tests/chaos/support/runs.ts';
import { aRandom } from '../../tests/support/aGraph.ts';

/** A definition and all that is known of its end beforehand. */
export type Sample = {
  shape: string;
  definition: Json;
  input: JsonObject;
  status: string;
  tasks?: Record<string, string>;
  /** Of a run that completes. */
  output?: Json;
  order?: Order;
};

/**
 * What a client asks of the run: a cancel so long after it was accepted, ms (it may also end as `cancelled` then); a pause
 * for some time; to approve what it waits for; once it has ended, to run what failed again, or to fork it from a task.
 */
export type Order =
  | { type: 'cancel'; afterMs: number }
  | { type: 'pause'; afterMs: number; forMs: number }
  | { type: 'approve'; tasks: readonly string[] }
  | { type: 'retry' }
  | { type: 'fork'; from: string };

type Chance = { whole: (from: number, to: number) => number; of: <T>(list: readonly T[]) => T };
type Making = { cluster: Pick<Cluster, 'receiver'>; chance: Chance };

const completed = (tasks: object, output: string, value: Json): Omit<Sample, 'shape'> => ({
  definition: define(tasks, { output: { value: output } }),
  input: {},
  status: 'completed',
  output: value,
});

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const list = (n: number, make: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => make(i));

/** An effect that answers `value` after some time. */
const effect = ({ cluster, chance }: Making, value: number | string, more: object = {}) =>
  call(cluster, `/effect?value=${value}&ms=${chance.whole(0, 150)}`, more);

function chain({ chance }: Making): Omit<Sample, 'shape'> {
  const steps = list(chance.whole(3, 40), () => chance.whole(1, 9));
  const task = (i: number) =>
    i === 0 ? transform(steps[0] ?? 0) : transform(`\${tasks.t${i - 1}.output + ${steps[i] ?? 0}}`, { dependsOn: [`t${i - 1}`] });
  return completed(Object.fromEntries(steps.map((_, i) => [`t${i}`, task(i)])), `\${tasks.t${steps.length - 1}.output}`, sum(steps));
}

function effects(making: Making): Omit<Sample, 'shape'> {
  const values = list(making.chance.whole(2, 6), () => making.chance.whole(1, 9));
  let i = 0;
  const tasks = inARow(values.length, (more) => effect(making, values[i++] ?? 0, more));
  return completed(tasks, `\${${values.map((_, k) => `tasks.t${k}.output.body.value`).join(' + ')}}`, sum(values));
}

function fan(making: Making): Omit<Sample, 'shape'> {
  const { chance } = making;
  const values = list(chance.whole(4, 16), () => chance.whole(1, 9));
  const ours = chance.of(['inline', 'effect', 'effect']);
  const after = { dependsOn: ['first'] };
  const wide = values.map((value, i) => [`t${i}`, ours === 'inline' ? transform(value, after) : effect(making, value, after)] as const);
  const read = values.map((_, i) => `tasks.t${i}.output${ours === 'inline' ? '' : '.body.value'}`);
  const tasks = { first: transform(1), ...Object.fromEntries(wide), last: transform(`\${${read.join(' + ')}}`) };
  return completed(tasks, '${tasks.last.output}', sum(values));
}

/** Layers of which each task adds up the whole layer before. */
function diamonds(making: Making): Omit<Sample, 'shape'> {
  const { chance } = making;
  const width = chance.whole(2, 5);
  const depth = chance.whole(2, 5);
  const tasks: Record<string, object> = { top: transform(1), note: effect(making, 1, { dependsOn: ['top'] }) };
  let before = ['top'];
  let value = 1;
  for (let layer = 0; layer < depth; layer++) {
    const names = list(width, (i) => i).map((i) => `l${layer}_${i}`);
    for (const name of names) tasks[name] = transform(`\${${before.map((task) => `tasks.${task}.output`).join(' + ')}}`);
    value *= before.length;
    before = names;
  }
  return completed(
    tasks,
    `\${${before.map((task) => `tasks.${task}.output`).join(' + ')} + tasks.note.output.body.value}`,
    value * width + 1,
  );
}

function map(making: Making): Omit<Sample, 'shape'> {
  const { chance } = making;
  const n = chance.of([chance.whole(1, 120), chance.whole(501, 1_200)]);
  const tasks = {
    each: { ...transform('${item * 2}'), map: { items: `\${range(0, ${n})}` } },
    note: effect(making, 5, { dependsOn: ['each'] }),
  };
  return completed(tasks, '${sum(tasks.each.output) + tasks.note.output.body.value}', n * (n - 1) + 5);
}

function posts(making: Making): Omit<Sample, 'shape'> {
  const { chance } = making;
  const n = chance.whole(3, 40);
  const each = { ...effect(making, '${item}'), map: { items: `\${range(0, ${n})}`, maxConcurrency: chance.whole(2, 12) } };
  return completed({ each }, '${sum(tasks.each.output.map(o, o.body.value))}', (n * (n - 1)) / 2);
}

function waits(making: Making): Omit<Sample, 'shape'> {
  const ms = making.chance.whole(200, 3_000);
  const tasks = {
    before: effect(making, 1),
    pause: wait(`PT${ms / 1000}S`, { dependsOn: ['before'] }),
    after: effect(making, 2, { dependsOn: ['pause'] }),
  };
  return completed(tasks, '${tasks.before.output.body.value + tasks.after.output.body.value}', 3);
}

function branches(making: Making): Omit<Sample, 'shape'> {
  const n = making.chance.whole(0, 3);
  const done = ['completed', 'skipped'];
  const tasks = {
    pick: { type: 'switch', with: { cases: [{ if: 'input.n > 1', then: ['yes'] }], else: ['no'] } },
    yes: effect(making, 7),
    no: transform(8),
    end: transform('${tasks.yes.status}', {
      dependsOn: [
        { task: 'yes', when: done },
        { task: 'no', when: done },
      ],
    }),
  };
  const [yes, no] = n > 1 ? (['completed', 'skipped'] as const) : (['skipped', 'completed'] as const);
  return { ...completed(tasks, '${tasks.end.output}', yes), input: { n }, tasks: { yes, no, end: 'completed' } };
}

function retries({ cluster, chance }: Making): Omit<Sample, 'shape'> {
  const shy = call(cluster, `/shy?fail=${chance.whole(1, 3)}&value=4&ms=20`);
  return completed({ shy, after: transform('${tasks.shy.output.body.value + 1}') }, '${tasks.after.output}', 5);
}

function tolerated(making: Making): Omit<Sample, 'shape'> {
  const tasks = {
    good: effect(making, 1),
    bad: { type: 'assert', with: { that: 'false' }, dependsOn: ['good'], onError: 'continue' },
    never: effect(making, 2, { dependsOn: ['bad'] }),
    after: transform('${tasks.bad.status}', { dependsOn: [{ task: 'bad', when: ['failed'] }] }),
  };
  return {
    ...completed(tasks, '${tasks.after.output}', 'failed'),
    tasks: { good: 'completed', bad: 'failed', never: 'blocked', after: 'completed' },
  };
}

function fails(making: Making): Omit<Sample, 'shape'> {
  const refused = call(making.cluster, '/refused?status=400', { dependsOn: ['good'], retry: { limit: 0 } });
  const tasks = { good: effect(making, 1), bad: refused, never: transform(1, { dependsOn: ['bad'] }) };
  return { definition: define(tasks), input: {}, status: 'failed', tasks: { good: 'completed', bad: 'failed', never: 'blocked' } };
}

function deadline(making: Making): Omit<Sample, 'shape'> {
  const tasks = { first: transform(1), long: wait('${input.pause}'), after: effect(making, 1, { dependsOn: ['long'] }) };
  const definition = define(tasks, { deadline: `PT${making.chance.whole(1, 3)}S` });
  return { definition, input: { pause: 'PT1H' }, status: 'timed_out' };
}

function cancelled(making: Making): Omit<Sample, 'shape'> {
  const steps = inARow(12, (more) => effect(making, 1, more));
  const tasks = { ...steps, pause: wait('PT2S'), end: transform(9, { dependsOn: ['pause'] }) };
  return { ...completed(tasks, '${tasks.end.output}', 9), order: { type: 'cancel', afterMs: making.chance.whole(0, 2_500) } };
}

function paused(making: Making): Omit<Sample, 'shape'> {
  const { chance } = making;
  const steps = inARow(8, (more) => effect(making, 1, more));
  const tasks = { ...steps, pause: wait('PT0.5S'), end: transform(9, { dependsOn: ['pause', 't7'] }) };
  const order = { type: 'pause', afterMs: chance.whole(0, 1_000), forMs: chance.whole(0, 2_000) } as const;
  return { ...completed(tasks, '${tasks.end.output}', 9), order };
}

function approved(making: Making): Omit<Sample, 'shape'> {
  const approval = (more: object) => ({ type: 'approval', with: { message: 'Go on?' }, ...more });
  const tasks = {
    before: effect(making, 1),
    one: approval({ dependsOn: ['before'] }),
    other: approval({}),
    after: effect(making, 2, { dependsOn: ['one', 'other'] }),
  };
  const output = '${tasks.before.output.body.value + tasks.after.output.body.value}';
  return { ...completed(tasks, output, 3), order: { type: 'approve', tasks: ['one', 'other'] } };
}

/** Its middle is refused until it runs again. */
function retried(making: Making): Omit<Sample, 'shape'> {
  const tasks = {
    before: effect(making, 1),
    shy: call(making.cluster, '/again?generation=1&value=4&ms=20', { dependsOn: ['before'] }),
    beside: effect(making, 2, { dependsOn: ['before'] }),
    after: effect(making, 3, { dependsOn: ['shy'] }),
  };
  const read = Object.keys(tasks).map((task) => `tasks.${task}.output.body.value`);
  return { ...completed(tasks, `\${${read.join(' + ')}}`, 10), order: { type: 'retry' } };
}

function forked(making: Making): Omit<Sample, 'shape'> {
  const steps = inARow(4, (more) => effect(making, 3, more));
  return { ...completed(steps, '${tasks.t0.output.body.value + tasks.t3.output.body.value}', 6), order: { type: 'fork', from: 't2' } };
}

/** What is undone comes in a run of which it is known that all of it is. */
function undone(making: Making): Omit<Sample, 'shape'> {
  const steps = inARow(3, (more) => effect(making, 1, { ...more, compensate: effect(making, 2) }));
  const tasks = { ...steps, bad: { type: 'assert', with: { that: 'false' }, dependsOn: ['t2'] } };
  const compensated = Object.fromEntries(Object.keys(steps).map((task) => [task, 'compensated']));
  return { definition: define(tasks), input: {}, status: 'failed', tasks: { ...compensated, bad: 'failed' } };
}

const SHAPES = {
  ...{ chain, effects, fan, diamonds, map, posts, waits, branches, retries, tolerated, fails, deadline, cancelled, random },
  ...{ paused, approved, retried, forked, undone },
};

function random({ cluster, chance }: Making): Omit<Sample, 'shape'> {
  return { input: {}, status: 'completed', ...aRandomSample(cluster, chance.whole(1, 1_000_000)) };
}

/** The `i`-th definition of a seed. */
export function sampleOf(cluster: Pick<Cluster, 'receiver'>, seed: number, i: number): Sample {
  const next = aRandom(seed * 1_000_003 + i);
  const chance: Chance = {
    whole: (from, to) => from + Math.floor(next() * (to - from + 1)),
    of: (all) => all[Math.floor(next() * all.length)] as (typeof all)[number],
  };
  const shape = chance.of(Object.keys(SHAPES) as (keyof typeof SHAPES)[]);
  const express = chance.whole(0, 2) === 0;
  const made = SHAPES[shape]({ cluster, chance });
  if (!express) return { shape, ...made };
  return { shape: `${shape} (express)`, ...made, definition: { ...(made.definition as JsonObject), mode: 'express' } };
}
