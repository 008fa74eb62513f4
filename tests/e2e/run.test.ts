import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JsonObject } from '../../src/domain/json.ts';
import { isClosed, type RunStatus } from '../../src/domain/plan/outcome.ts';
import { SYSTEM_WORKSPACE } from '../../src/domain/retention/policy.ts';
import { ensureSystemSchedules } from '../../src/worker/systemRuns.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { silent } from '../worker/support/aWorker.ts';

let stack: TestStack;
beforeAll(async () => {
  stack = await aStack({ apis: 2, workers: 2 });
});
afterAll(() => stack.stop());

type RunEvent = { seq: number; type: string };

async function call(url: string, init: RequestInit = {}): Promise<{ status: number; body: JsonObject }> {
  const headers = {
    authorization: `Bearer ${stack.key}`,
    'content-type': 'application/json',
    ...(init.headers as Record<string, string> | undefined),
  };
  const response = await fetch(url, { ...init, headers });
  return { status: response.status, body: (await response.json()) as JsonObject };
}

/** Every event of a run from a live stream; it ends with the run. */
async function follow(url: string): Promise<RunEvent[]> {
  const response = await fetch(`${url}?after=0`, { headers: { authorization: `Bearer ${stack.key}`, accept: 'text/event-stream' } });
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: '));
  return lines.map((line) => JSON.parse(line.slice('data: '.length)) as RunEvent);
}

const definition = {
  dsl: 'tiu/1',
  name: 'all-the-way',
  tasks: {
    double: { type: 'transform', map: { items: '${input.numbers}', as: 'n' }, with: { value: '${n * 2}' } },
    pause: { type: 'wait', with: { for: 'PT3S' }, dependsOn: ['double'] },
    total: { type: 'transform', with: { value: '${sum(tasks.double.output)}' }, dependsOn: ['double', 'pause'] },
  },
  output: { value: '${tasks.total.output}' },
};

test('a run outlives a worker and an api that are killed in it, and another api tells its whole story', async () => {
  const [one = '', two = ''] = stack.urls;
  const started = await call(`${one}/api/v1/runs`, {
    method: 'POST',
    headers: { 'idempotency-key': 'all-the-way' },
    body: JSON.stringify({ definition, input: { numbers: [1, 2, 3.5] } }),
  });
  expect(started.status).toBe(202);
  const id = started.body.id as string;
  const run = `${two}/api/v1/runs/${id}`;
  const story = follow(`${run}/events`);
  await Promise.all([stack.apis[0]?.kill(), stack.workers[0]?.kill()]);

  const events = await story;
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.at(-1)?.type).toBe('run.completed');
  expect((await call(`${run}/output`)).body.output).toBe(13);

  await Promise.all([stack.apis[0]?.restart(), stack.workers[0]?.restart()]);
  expect((await call(`${one}/api/v1/runs/${id}`)).body.status).toBe('completed');
});

test('what the product does for itself runs to its end', async () => {
  const db = await stack.base.open('tiu_engine', 1);
  await ensureSystemSchedules({ db, log: silent, clock: { now: Date.now } }, new Map());
  const text = `select r.definition, s.status from run r join run_state s on s.run = r.id where r.workspace = $1 order by 1`;
  const look = () => db.rows<{ definition: string; status: string }>({ name: 'system', text, values: [SYSTEM_WORKSPACE] });
  let seen = await look();
  while (seen.some(({ status }) => !isClosed(status as RunStatus))) seen = await look();
  expect(seen).toEqual([
    { definition: 'tiu-partitions', status: 'completed' },
    { definition: 'tiu-retention', status: 'completed' },
  ]);
});
