import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';

const RUNS = 30;

let stack: TestStack;
let connection: Connection;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  stack = await aStack({ workers: 2, env: { TIU_BULK_RATE: '10' } });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
});

async function bulk(body: JsonObject): Promise<{ id: string }> {
  const answer = await client.ask('POST', '/runs/bulk', body);
  expect(answer.status).toBe(202);
  return answer.body as { id: string };
}
/** The job once this holds of it. */
async function until(job: { id: string }, holds: (job: JsonObject) => boolean): Promise<JsonObject> {
  for (;;) {
    const { body } = await client.ask('GET', `/bulk/${job.id}`);
    if (holds(body)) return body;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
const isOver = ({ status }: JsonObject) => status !== 'running';

test('a job goes on in another worker when its own is killed; every run gets its command once, and ends', async () => {
  const hour = { w: { type: 'wait', with: { for: 'PT1H' } } };
  const runs = await Promise.all(Array.from({ length: RUNS }, () => client.start(hour, { wait: false, definition: { name: 'waits' } })));
  for (const { id } of runs) await client.until(id, ({ status }) => status === 'waiting');
  const filter = { workflow: 'waits', status: ['waiting', 'running'] }; // one that another worker takes over is running for a moment
  const command = { type: 'cancel', reason: 'over' };
  expect((await client.ask('POST', '/runs/bulk', { filter, command, preview: true })).body).toEqual({ count: RUNS, more: false });
  const job = await bulk({ filter, command });
  await until(job, ({ done }) => Number(done) > 4);
  const db = await stack.base.open('tiu_engine', 1);
  const { rows } = await db.pool.query<{ pid: number }>(
    `select (w.data->>'pid')::int as pid from lease l join worker w on w.id = l.holder where l.key = 'bulk'`,
  );
  await stack.workers.find(({ pid }) => pid === rows[0]?.pid)?.kill();
  expect(await until(job, isOver)).toMatchObject({ status: 'completed', done: RUNS, applied: RUNS, refused: {} });
  for (const { id } of runs) expect(await client.end(id)).toMatchObject({ status: 'cancelled', reason: 'over' });
  const counts = await db.pool.query(
    `select count(*)::int as n, count(distinct c.run)::int as runs from command c where c.payload->>'bulk' = $1`,
    [job.id],
  );
  expect(counts.rows).toEqual([{ n: RUNS, runs: RUNS }]);
  const again = await bulk({ filter: { workflow: 'waits' }, command: { type: 'retry' } });
  await until(again, ({ done }) => Number(done) > 1);
  const aborted = await client.ask('POST', `/bulk/${again.id}/abort`);
  expect(aborted).toMatchObject({ status: 200, body: { status: 'aborted' } });
  expect(Number(aborted.body.done)).toBeLessThan(RUNS);
  const opened = await db.pool.query(`select count(*)::int as n from command c where c.payload->>'bulk' = $1`, [again.id]);
  expect(opened.rows).toEqual([{ n: aborted.body.applied }]);
});
