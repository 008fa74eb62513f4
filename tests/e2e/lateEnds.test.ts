import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';

let stack: TestStack;
let connection: Connection;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  stack = await aStack({ workers: 1 });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
});

const hour: JsonObject = { type: 'wait', with: { for: 'PT1H' } };
const after: JsonObject = { type: 'transform', with: { value: 1 }, dependsOn: ['w'] };
const RUNS = 12;
async function aWaiting(tasks: JsonObject): Promise<string> {
  const { id } = await client.start(tasks, { wait: false });
  await client.until(id, ({ status }) => status === 'waiting');
  return id;
}
const cancel = (id: string) => client.ask('POST', `/runs/${id}/cancel`, { reason: 'over' });
/** How an execution has ended; undefined while it runs. */
const shownAs = async (id: string) => {
  const { status } = await client.execution(id).describe();
  return status.name === 'RUNNING' ? undefined : status.name;
};

test('a run that only waits has ended when its cancel is answered, with the events that its execution would have written', async () => {
  const undo: JsonObject = { ...after, compensate: { type: 'transform', with: { value: 2 } } };
  const [here, there] = [await aWaiting({ w: hour, after }), await aWaiting({ w: hour, after: undo })]; // who may have to undo something is left to its execution
  expect(await cancel(here)).toMatchObject({ status: 202, body: { status: 'cancelled', reason: 'over' } });
  await cancel(there);
  expect(await client.end(there)).toMatchObject({ status: 'cancelled' });
  const [mine, other] = [await client.story(here), await client.story(there)];
  expect(mine.events).toEqual(other.events);
  expect(mine.gapless).toBe(true);
  expect(await cancel(here)).toMatchObject({ status: 409, body: { code: 'run_already_closed' } });
});

test('a worker is killed between the end of runs and telling their executions: another lets these end as cancelled, and repairs nothing', async () => {
  const runs = await Promise.all(Array.from({ length: RUNS }, () => aWaiting({ w: hour })));
  const again = await aWaiting({ w: hour });
  await Promise.all(runs.map(cancel));
  await stack.workers[0]?.kill();
  await cancel(again); // nobody is there who could tell it
  await client.ask('POST', `/runs/${again}/retry`, {});
  const db = await stack.base.open('tiu_engine', 1);
  const left = async () => (await db.pool.query<{ n: number }>('select count(*)::int as n from unshown')).rows[0]?.n;
  expect(await left()).toBeGreaterThan(0);
  await stack.workers[0]?.restart();
  for (const id of runs) await expect(client.ended(id)).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(await Promise.all(runs.map(shownAs))).toEqual(runs.map(() => 'CANCELLED'));
  await client.until(again, ({ status }) => status === 'waiting'); // it was opened again, and what told the others leaves it alone
  for (let n = await left(); n !== 0; n = await left()) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await shownAs(again)).toBeUndefined();
  const repaired = await db.pool.query('select from run_state where restarts > 0');
  expect(repaired.rowCount).toBe(0);
  await cancel(again);
});
