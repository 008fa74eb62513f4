import { expect, test } from '@jest/globals';
import { createElements } from '../../src/activities/elements.ts';
import type { CompiledTask, RunContext } from '../../src/activities/plans.ts';

/** A mapped task whose list counts how often it is evaluated. */
function aMap(list: () => unknown) {
  let evaluated = 0;
  const evaluate = () => {
    evaluated += 1;
    return list();
  };
  const task = { index: 0, reads: [], computed: [], passed: [], items: { '': { evaluate, references: [] } } } as unknown as CompiledTask;
  return { task, evaluated: () => evaluated };
}
const contextOf = (run: string) =>
  ({ facts: { run, input: null, startedAt: '' }, compiled: { plan: { graph: { names: ['each'] }, tasks: [] } } }) as unknown as RunContext;
const elements = () =>
  createElements({ db: { rows: () => Promise.resolve([]) }, objects: {} } as unknown as Parameters<typeof createElements>[0]);

test('the list of a map is evaluated once for all its slices, and again for another run or generation', async () => {
  const elementsOf = elements();
  const { task, evaluated } = aMap(() => [1, 2, 3]);
  const slices = await Promise.all(Array.from({ length: 100 }, () => elementsOf(contextOf('a'), { task, generation: 0 })));
  expect(evaluated()).toBe(1);
  for (const { values } of slices) expect(values).toBe(slices[0]?.values);
  await elementsOf(contextOf('b'), { task, generation: 0 });
  await elementsOf(contextOf('a'), { task, generation: 1 });
  expect(evaluated()).toBe(3);
});

test('a list that could not be evaluated is asked for again', async () => {
  const elementsOf = elements();
  let list: unknown = 'none';
  const { task } = aMap(() => list);
  await expect(elementsOf(contextOf('a'), { task, generation: 0 })).rejects.toMatchObject({ code: 'invalid_task_input' });
  list = [1];
  expect((await elementsOf(contextOf('a'), { task, generation: 0 })).values).toEqual([1]);
});
