import { expect, test } from '@jest/globals';
import { createPlans } from '../../src/activities/plans.ts';
import { readDefinitionValue } from '../../src/domain/definition/read.schema.ts';
import { compile } from '../../src/domain/plan/compile.ts';
import type { Plan } from '../../src/domain/plan/plan.ts';

function aPlan(tasks: number): Plan {
  const names = Array.from({ length: tasks }, (_, i) => `t${i}`);
  const definition = {
    ...{ dsl: 'tiu/1', name: 'many' },
    tasks: Object.fromEntries(
      names.map((name, i) => [name, { type: 'transform', with: { value: i === 0 ? 0 : `\${tasks.t${i - 1}.output}` } }]),
    ),
    output: { value: `\${tasks.t${tasks - 1}.output}` },
  };
  const read = readDefinitionValue(definition);
  if (!('definition' in read)) throw new Error(JSON.stringify(read.issues));
  return compile(read.definition);
}

/** How often the names of all tasks are gone through while a plan is compiled with all its tasks. */
async function goesThroughNames(tasks: number): Promise<number> {
  const plan = aPlan(tasks);
  let reads = 0;
  const { names } = plan.graph;
  const body = {
    ...plan,
    graph: {
      ...plan.graph,
      get names() {
        reads++;
        return names;
      },
    },
  };
  const plans = createPlans({ db: { rows: () => Promise.resolve([{ body }]) } } as unknown as Parameters<typeof createPlans>[0]);
  const facts = { run: 'r', workspace: 'w', planHash: 'h', input: null, inputSize: 0, startedAt: '' };
  const { compiled } = await plans.contextWith(facts);
  for (let i = 0; i < tasks; i++)
    expect(compiled.task(i).computed.concat(compiled.task(i).passed.map(({ task }) => task))).toEqual(i === 0 ? [] : [i - 1]);
  expect(compiled.output()?.passed).toEqual([{ task: tasks - 1, path: [] }]);
  return reads;
}

test('compiling a plan goes through the names of its tasks as often for many tasks as for few', async () => {
  expect(await goesThroughNames(200)).toBe(await goesThroughNames(2));
});
