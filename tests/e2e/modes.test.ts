import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { aStack, type TestStack } from '../support/aStack.ts';

let stack: TestStack;
let connection: Connection;
let receiver: Server;
const received: string[] = [];

beforeAll(async () => {
  receiver = createServer((request, response) => {
    received.push(request.headers['idempotency-key'] as string);
    response.setHeader('content-type', 'application/json').end('{"said":"yes"}');
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  stack = await aStack({ workers: 1, env: { TIU_HTTP_ALLOW: '127.0.0.0/8' } });
  connection = await Connection.connect({ address: process.env.TIU_TEST_TEMPORAL_ADDRESS ?? '' });
}, 90_000);
afterAll(async () => {
  await connection.close();
  await stack.stop();
  receiver.close();
}, 60_000);

async function start(
  tasks: JsonObject,
  more: JsonObject = {},
  headers: Record<string, string> = { prefer: 'wait=60' },
): Promise<JsonObject> {
  const response = await fetch(`${stack.url}/api/v1/runs`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${stack.key}`,
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
      ...headers,
    },
    body: JSON.stringify({
      definition: { dsl: 'tiu/1', name: 'modes', tasks, ...(more.definition as JsonObject | undefined) },
      ...(more.mode ? { mode: more.mode } : {}),
    }),
  });
  return (await response.json()) as JsonObject;
}

async function eventsOf(id: Json | undefined): Promise<string[]> {
  const response = await fetch(`${stack.url}/api/v1/runs/${String(id)}/events`, { headers: { authorization: `Bearer ${stack.key}` } });
  const { items } = (await response.json()) as { items: { seq: number; type: string; task?: string }[] };
  expect(items.map((event) => event.seq)).toEqual(items.map((_, i) => i + 1));
  return items.map(({ type, task }) => (task === undefined ? type : `${type} ${task}`));
}

const executionOf = (id: Json | undefined) => new Client({ connection }).workflow.getHandle(`run/${String(id)}`);

const pair: JsonObject = {
  one: { type: 'transform', with: { value: 1 } },
  two: { type: 'transform', with: { value: '${tasks.one.output + 1}' } },
};

test('an express run that ends in its first segment never becomes a workflow, and tells the same story as a standard one', async () => {
  const express = await start(pair, { mode: 'express' });
  const standard = await start(pair);
  expect([express.status, express.mode, standard.status, standard.mode]).toEqual(['completed', 'express', 'completed', 'standard']);
  expect(await eventsOf(express.id)).toEqual(await eventsOf(standard.id));
  expect(await executionOf(standard.id).result()).toEqual({ status: 'completed' });
  await expect(executionOf(express.id).describe()).rejects.toThrow(WorkflowNotFoundError);
});

test('a definition may ask for express, and a failed express run says which task failed', async () => {
  const run = await start({ no: { type: 'assert', with: { that: 'false', message: 'no' } } }, { definition: { mode: 'express' } });
  expect(run).toMatchObject({ status: 'failed', mode: 'express', failure: { data: { task: 'no' } } });
});

test('an express run is promoted at its first effect, which is called once, and goes on from what is done', async () => {
  const { port } = receiver.address() as AddressInfo;
  const tasks = {
    ...pair,
    call: { type: 'http', dependsOn: ['two'], with: { url: `http://127.0.0.1:${port}/` } },
    after: { type: 'transform', with: { value: '${tasks.call.output.body.said}' } },
  };
  const run = await start(tasks, { mode: 'express' });
  expect(run.status).toBe('completed');
  expect(received.filter((key) => key.startsWith(String(run.id)))).toHaveLength(1);
  const events = await eventsOf(run.id);
  expect(events.filter((event) => event.startsWith('task.completed'))).toHaveLength(4);
  expect(await executionOf(run.id).result()).toEqual({ status: 'completed' });
});

test('an express run is promoted at a wait', async () => {
  const run = await start(
    { pause: { type: 'wait', with: { for: 'PT0.2S' } }, end: { type: 'transform', with: { value: 1 }, dependsOn: ['pause'] } },
    { mode: 'express' },
  );
  expect(run.status).toBe('completed');
  expect(await executionOf(run.id).result()).toEqual({ status: 'completed' });
});

test.each(['express', 'standard'])(
  '%s runs outlive a worker that is killed between their commits',
  async (mode) => {
    const wide = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [
        `t${i}`,
        { type: 'transform', with: { value: i }, ...(i > 0 && { dependsOn: [`t${i - 1}`] }) },
      ]),
    );
    const started = await Promise.all(Array.from({ length: 20 }, () => start(wide, { mode }, {})));
    await stack.workers[0]?.kill();
    await stack.workers[0]?.restart();
    for (const { id } of started) {
      const response = await fetch(`${stack.url}/api/v1/runs/${String(id)}/events?after=0`, {
        headers: { authorization: `Bearer ${stack.key}`, accept: 'text/event-stream' },
      });
      await response.text(); // ends with the run
      const events = await eventsOf(id);
      expect(events.at(-1)).toBe('run.completed');
      expect(new Set(events.filter((event) => event.startsWith('task.completed'))).size).toBe(40);
      expect(events.filter((event) => event.startsWith('task.completed'))).toHaveLength(40);
    }
  },
  60_000,
);
