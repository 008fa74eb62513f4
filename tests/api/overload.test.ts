import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { inTurn } from '../../src/api/http/inTurn.ts';
import { createPressure } from '../../src/api/http/pressure.ts';
import { anApi, type TestApi } from './anApi.ts';
import { until, whileHeld } from './whileHeld.ts';

const LIMITS = {
  TIU_MAX_QUEUED_SUBMITS: '3',
  TIU_MAX_INFLIGHT_PER_KEY: '2',
  TIU_MAX_BODIES: '20000',
  TIU_MAX_BODY: '15000',
  TIU_MAX_CONNECTIONS: '40',
};

let api: TestApi;
beforeAll(async () => {
  api = await anApi(LIMITS);
});
afterAll(() => api.stop());

const definition = { dsl: 'tiu/1', name: 'one', tasks: { a: { type: 'transform', with: { value: 1 } } } };
const start = (key: string, headers: Record<string, string> = {}) =>
  api.call('POST', '/api/v1/runs', { key, headers, body: { definition, runId: randomUUIDv7() } });
const refused = (status: number, code: string) =>
  expect.objectContaining({ status, body: expect.objectContaining({ code }) as unknown }) as unknown;

test('a slow database: a key has so many submits under way, a process so many in all, and both come to an end', async () => {
  const accepted: Promise<{ status: number }>[] = [];
  await start(api.owner.key); // both keys are known
  await start(api.stranger.key);
  await whileHeld(api.base.url, async () => {
    accepted.push(start(api.owner.key), start(api.owner.key));
    await until(() => api.deps.pressure.load().submits === 2);
    const third = await start(api.owner.key);
    expect(third).toEqual(refused(429, 'rate_limited'));
    expect(third.headers.get('retry-after')).toBe('1');
    accepted.push(start(api.stranger.key));
    await until(() => api.deps.pressure.load().submits === 3);
    const fourth = await start(api.stranger.key);
    expect(fourth).toEqual(refused(503, 'overloaded'));
    expect(fourth.headers.get('retry-after')).toBe('1');
    expect((await api.call('GET', '/api/v1/runs')).status).toBe(200);
    expect((await api.call('GET', '/health/ready')).status).toBe(200);
  });
  expect((await Promise.all(accepted)).map(({ status }) => status)).toEqual([202, 202, 202]);
  expect((await start(api.owner.key)).status).toBe(202);
});

test('bodies in hand are bounded in all: what does not fit is refused, and there is room again afterwards', async () => {
  const body = JSON.stringify({ definition, runId: randomUUIDv7(), labels: { pad: 'x'.repeat(150) } }).padEnd(12_000);
  const taken = api.deps.pressure.holdBody(12_000);
  const headers = { 'content-type': 'application/json' };
  expect(await api.call('POST', '/api/v1/runs', { raw: body, headers })).toEqual(refused(503, 'overloaded'));
  taken();
  expect((await api.call('POST', '/api/v1/runs', { raw: body, headers })).status).toBe(202);
});

test('requests are begun in order, 32 in a turn of the event loop, and four once they have waited longer than a burst takes', async () => {
  const begun: number[] = [];
  const waits: number[] = [];
  let now = 0;
  const begin = inTurn<number>(
    (i, waitedMs) => {
      begun.push(i);
      waits.push(waitedMs);
    },
    () => now,
  );
  const turns: number[] = [];
  const turn = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    turns.push(begun.length);
  };
  for (let i = 0; i < 80; i++) begin(i);
  turns.push(begun.length);
  await turn();
  now = 101;
  await turn();
  await turn();
  await until(() => begun.length === 80);
  expect(turns).toEqual([32, 64, 68, 72]);
  expect(begun).toEqual(Array.from({ length: 80 }, (_, i) => i));
  expect(Math.max(...waits)).toBe(101);
  expect(waits.slice(0, 32)).toEqual(Array.from({ length: 32 }, () => 0));
});

test('a request that has waited too long to be begun is refused, how the process is stays visible', async () => {
  const { check } = api.deps.pressure;
  api.deps.pressure.check = (request) => {
    check({ ...request, waitedMs: 60_001 });
  };
  const answers = [await start(api.owner.key), await api.call('GET', '/health/ready')];
  api.deps.pressure.check = check;
  expect(answers).toEqual([refused(503, 'overloaded'), expect.objectContaining({ status: 200 })]);
});

test('connections past the limit are told to come back', async () => {
  const port = Number(new URL(api.url).port);
  const sockets: net.Socket[] = [];
  let answer = '';
  while (answer === '' && sockets.length <= 41) {
    const socket = net.connect(port, '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
    if (sockets.length > 40) [answer] = ((await once(socket, 'data')) as Buffer[]).map(String) as [string];
    else socket.on('data', (data) => (answer += String(data)));
  }
  for (const socket of sockets) socket.destroy();
  expect(answer).toMatch(/^HTTP\/1\.1 503 .*retry-after: 1\r\n.*"code":"overloaded"/s);
});

test('a process whose event loop is held up, or whose reads wait, takes nothing on', async () => {
  const limits = { ...api.deps.config, TIU_MAX_EVENT_LOOP_DELAY: 50, TIU_MAX_QUEUED_READS: 5 };
  let reads = 4;
  const pressure = createPressure(limits, { submits: () => 0, reads: () => reads });
  try {
    const check = () => {
      pressure.check({ writes: false, waitedMs: 0 });
    };
    expect(check).not.toThrow();
    reads = 5;
    expect(check).toThrow(expect.objectContaining({ code: 'overloaded' }));
    reads = 0;
    pressure.check({ writes: true, waitedMs: 50 });
    expect(() => {
      pressure.check({ writes: true, waitedMs: 51 });
    }).toThrow(expect.objectContaining({ code: 'overloaded' }));
    const busy = () => {
      try {
        check();
        return false;
      } catch {
        return true;
      }
    };
    await until(() => {
      for (const end = performance.now() + 150; performance.now() < end;); // as a large definition would
      return busy();
    });
    await until(() => !busy());
  } finally {
    pressure.close();
  }
});
