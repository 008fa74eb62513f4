import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Connection, WorkflowNotFoundError } from '@temporalio/client';
import type { JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { aClient } from './aClient.ts';
import { aReceiver, type Receiver } from './aReceiver.ts';

let stack: TestStack;
let connection: Connection;
let receiver: Receiver;
let client: ReturnType<typeof aClient>;
beforeAll(async () => {
  receiver = await aReceiver();
  stack = await aStack({ workers: 1, env: { TIU_HTTP_ALLOW: '127.0.0.0/8' } });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
  client = aClient(stack, connection);
});
afterAll(async () => {
  await connection.close();
  await stack.stop();
  receiver.close();
});

const pair: JsonObject = {
  one: { type: 'transform', with: { value: 1 } },
  two: { type: 'transform', with: { value: '${tasks.one.output + 1}' } },
};

test('an express run that ends in its first segment never becomes a workflow, and tells the same story as a standard one', async () => {
  const express = await client.start(pair, { mode: 'express' });
  const standard = await client.start(pair);
  expect([express.status, express.mode, standard.status, standard.mode]).toEqual(['completed', 'express', 'completed', 'standard']);
  expect((await client.story(express.id)).events).toEqual((await client.story(standard.id)).events);
  expect(await client.ended(standard.id)).toEqual({ status: 'completed' });
  await expect(client.execution(express.id).describe()).rejects.toThrow(WorkflowNotFoundError);
});

test('a definition may ask for express, and a failed express run says which task failed', async () => {
  const run = await client.start({ no: { type: 'assert', with: { that: 'false', message: 'no' } } }, { definition: { mode: 'express' } });
  expect(run).toMatchObject({ status: 'failed', mode: 'express', failure: { data: { task: 'no' } } });
});

test('an express run is promoted at its first effect, which is called once, and goes on from what is done', async () => {
  const run = await client.start(
    {
      ...pair,
      call: { type: 'http', dependsOn: ['two'], with: { url: `${receiver.url}/promoted` } },
      after: { type: 'transform', with: { value: '${tasks.call.output.body.path}' } },
    },
    { mode: 'express' },
  );
  expect(run.status).toBe('completed');
  expect(receiver.calls.filter(({ key }) => key.startsWith(run.id))).toHaveLength(1);
  const { events } = await client.story(run.id);
  expect(events.filter((event) => event.startsWith('task.completed'))).toHaveLength(4);
  expect(await client.ended(run.id)).toEqual({ status: 'completed' });
});

test('an express run is promoted at a wait', async () => {
  const pause = { type: 'wait', with: { for: 'PT0.2S' } };
  const run = await client.start({ pause, end: { type: 'transform', with: { value: 1 }, dependsOn: ['pause'] } }, { mode: 'express' });
  expect(run.status).toBe('completed');
  expect(await client.ended(run.id)).toEqual({ status: 'completed' });
});

test.each(['express', 'standard'])('%s runs outlive a worker that is killed between their commits', async (mode) => {
  const row = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`t${i}`, { type: 'transform', with: { value: i }, ...(i > 0 && { dependsOn: [`t${i - 1}`] }) }]),
  );
  const started = await Promise.all(Array.from({ length: 20 }, () => client.start(row, { mode, wait: false })));
  await stack.workers[0]?.kill();
  await stack.workers[0]?.restart();
  for (const { id } of started) {
    const { events, gapless } = await client.story(id);
    expect([events.at(-1), gapless]).toEqual(['run.completed', true]);
    const completed = events.filter((event) => event.startsWith('task.completed'));
    expect(new Set(completed).size).toBe(40);
    expect(completed).toHaveLength(40);
  }
});
