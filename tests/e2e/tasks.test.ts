import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient, type Client } from '../../src/client/createClient.ts';
import { aStack, type TestStack } from '../support/aStack.ts';

let stack: TestStack;
let client: Client;
beforeAll(async () => {
  stack = await aStack({ apis: 1, workers: 1 });
  client = createClient({ baseUrl: stack.url, token: stack.key });
});
afterAll(() => stack.stop());

test('a task on its own is executed like any run, also one of a batch', async () => {
  const { id } = await client.tasks.create({ name: 'Add up', type: 'transform', with: { value: '${size(input.name) + 1}' } });
  await client.runs.wait(id);
  expect(await client.tasks.get(id)).toMatchObject({ status: 'completed', output: 7, percent: 100, name: 'Add up' });
  const { results, summary } = await client.tasks.createMany([
    { name: 'Rest', type: 'wait', with: { for: 'PT0.1S' } },
    { name: 'Nothing', type: 'nothing' },
    { name: 'Check', type: 'assert', with: { that: 'false', message: 'no' } },
  ]);
  expect(summary).toEqual({ total: 3, succeeded: 2, failed: 1 });
  const ends = await Promise.all(results.flatMap(({ data }) => (data ? [client.runs.wait(data.id)] : [])));
  expect(ends).toMatchObject([{ status: 'completed' }, { status: 'failed', failure: { code: 'assertion_failed' } }]);
});

const value = { type: 'transform', with: { value: '${index}' } };
const definition = {
  dsl: 'tiu/1',
  name: 'steps',
  tasks: {
    few: { ...value, map: { items: [1, 2, 3] } },
    rest: { type: 'wait', with: { for: '${input.rest}' }, dependsOn: ['few'] },
    many: { ...value, map: { matrix: { a: [1, 2, 3, 4, 5], b: Array.from({ length: 200 }, (_, i) => i) } }, dependsOn: ['rest'] },
  },
};

test('the percentage of a run that is watched never falls, and what it took is what the next is estimated from', async () => {
  for (let i = 0; i < 3; i++) {
    const { id } = await client.runs.start({ definition, input: { rest: 'PT0.2S' } });
    const seen: number[] = [];
    for (let run = await client.runs.get(id); ; run = await client.runs.get(id)) {
      seen.push(run.percent ?? -1);
      if (run.status === 'completed') break;
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(100);
  }
  const { id } = await client.runs.start({ definition, input: { rest: 'PT1H' } });
  let progress = await client.runs.progress(id);
  while (!progress.atWork.includes('rest') || progress.tasks.done === 0) progress = await client.runs.progress(id);
  expect(progress).toMatchObject({ percent: 33, tasks: { total: 3, done: 1 } });
  // on a busy machine the wait may have taken longer by now than it did before
  expect([3, 'longer_than_before']).toContain(progress.estimate?.runs ?? progress.noEstimate);
  expect(progress.criticalPath.map(({ task }) => task)).toEqual(['few', 'rest', 'many']);
  const { items } = await client.reports.tasks({ workflow: 'steps' });
  expect(items.map(({ task, completed }) => [task, completed]).sort()).toEqual([
    ['few', 4],
    ['many', 3],
    ['rest', 3],
  ]);
  await client.runs.cancel(id);
});
