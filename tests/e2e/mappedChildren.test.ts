import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { parse } from 'yaml';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';

let stack: TestStack;
let connection: Connection;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  stack = await aStack({ workers: 2 });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
});

type Child = { id: string; status: string; createdAt: string; finishedAt: string | null };
const transform = (value: Json): JsonObject => ({ type: 'transform', with: { value } });
const ask: JsonObject = { type: 'approval', with: { message: 'Well?' } };
const output = { value: '${tasks.all.output}' };
const begin = async (tasks: JsonObject, definition: JsonObject = { output }, input?: JsonObject) =>
  (await client.start(tasks, { wait: false, definition, ...(input && { input }) })).id;
const resultOf = async (id: string) => (await client.ask('GET', `/runs/${id}/output`)).body.output;
const childrenOf = async (id: string): Promise<Child[]> =>
  (await client.ask('GET', `/runs?parent=${id}&limit=100`)).body.items as unknown as Child[];
/** Runs that a run has started, once there are so many for which this holds. */
async function started(id: string, n: number, holds: (child: Child) => boolean = () => true): Promise<Child[]> {
  for (;;) {
    const found = (await childrenOf(id)).filter(holds);
    if (found.length >= n) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const isWaiting = ({ status }: Child): boolean => status === 'waiting';
const answer = (run: string, how: 'approve' | 'reject' = 'approve') => client.ask('POST', `/runs/${run}/tasks/ask/${how}`);
/** How many of these were open at once, at most. */
function mostAtOnce(runs: readonly Child[]): number {
  const steps = runs.flatMap(({ createdAt, finishedAt }) => [
    { at: createdAt, by: 1 },
    { at: finishedAt ?? '9', by: -1 },
  ]);
  let open = 0;
  return Math.max(...steps.sort((a, b) => (a.at === b.at ? a.by - b.by : a.at < b.at ? -1 : 1)).map(({ by }) => (open += by)));
}

test('map-tasks.yaml: greets everybody who has a name', async () => {
  const { tasks, ...definition } = parse(
    fs.readFileSync(path.join(import.meta.dirname, '../../examples/map-tasks.yaml'), 'utf8'),
  ) as JsonObject;
  const id = await begin(tasks as JsonObject, definition, {});
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect(await resultOf(id)).toEqual({ letters: ['Hello ADA', 'Hello BOB', 'Hello EVE'], leftOut: [2] });
});

test('a run of an item that is terminated in Temporal ends, and the map with a verdict', async () => {
  const id = await begin({ all: { map: { items: [1, 2, 3], tasks: { ask } } } });
  const [lost, ...others] = await started(id, 3, isWaiting);
  await client.execution(lost?.id ?? '').terminate('by mistake');
  for (const { id: run } of others) await answer(run);
  expect(await client.end(id)).toMatchObject({ status: 'failed', failure: { code: 'items_failed' } });
  const { items } = (await client.ask('GET', `/runs/${id}/tasks/all/items`)).body as { items: { status: string }[] };
  expect(items.map(({ status }) => status).sort()).toEqual(['cancelled', 'completed', 'completed']);

  expect((await client.ask('POST', `/runs/${id}/retry`)).status).toBe(202); // the others keep what they gave
  const again = await started(id, 4);
  const [fresh] = again.filter(({ status }) => status !== 'completed' && status !== 'cancelled');
  await client.until(fresh?.id ?? '', ({ status }) => status === 'waiting');
  await answer(fresh?.id ?? '');
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  expect((await childrenOf(id)).length).toBe(4);
});

test('a cancel goes down to what is open and starts nothing more', async () => {
  const id = await begin({ all: { map: { items: [1, 2, 3, 4], maxConcurrency: 2, tasks: { ask } } } });
  await started(id, 2, isWaiting);
  const { items } = (await client.ask('GET', `/runs/${id}/tasks/all/items`)).body as { items: { output: Json }[] };
  expect(items.map((item) => item.output)).toEqual([null, null, null, null]); // what they were given is not what they give
  await client.ask('POST', `/runs/${id}/cancel`, { reason: 'enough' });
  expect(await client.end(id)).toMatchObject({ status: 'cancelled' });
  expect((await childrenOf(id)).map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
});

// The last test: it leaves one worker.
test('a worker is killed while the runs of items are at work: each item has one run, no more of them open than may be (Conductor 1615)', async () => {
  const definition: JsonObject = {
    ...{ dsl: 'tiu/1', name: 'an-item' },
    tasks: {
      w: { type: 'wait', with: { for: 'PT0.2S' } },
      t: { ...transform('${input.n % 10 == 0 ? join(range(0, 30000).map(i, "abc"), "") : string(input.n)}'), dependsOn: ['w'] },
    },
    output: { value: '${tasks.t.output}' },
  };
  const map: JsonObject = { items: '${range(0, 20)}', maxConcurrency: 6, if: '${item != 3}' };
  const all: JsonObject = { type: 'workflow', map, with: { definition, input: { n: '${item}' } } };
  const sizes = transform('${tasks.all.output.map(o, size(o) > 9 ? size(o) : o)}'); // some of them are stored as objects
  const id = await begin({ all, sizes }, { output: { value: '${tasks.sizes.output}' } });
  await started(id, 1);
  await stack.workers[0]?.kill(); // the other one goes on
  expect(await client.end(id)).toMatchObject({ status: 'completed' });
  const numbers = Array.from({ length: 20 }, (_, n) => n).filter((n) => n !== 3);
  expect(await resultOf(id)).toEqual(numbers.map((n) => (n % 10 === 0 ? 90_000 : String(n))));
  const children = await childrenOf(id);
  expect([children.length, mostAtOnce(children) <= 6]).toEqual([19, true]);
  expect((await client.story(id)).gapless).toBe(true);
});
