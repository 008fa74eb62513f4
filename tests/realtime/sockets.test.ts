import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Socket } from 'socket.io-client';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { fold } from '../../src/domain/run/fold.ts';
import { anApi, type TestApi } from '../api/anApi.ts';
import { begin, close, tell } from '../api/aStory.ts';
import { aSocket, ask, follow } from './aSubscriber.ts';

let api: TestApi;
let journal: Journal;
const sockets: Socket[] = [];
beforeAll(async () => {
  api = await anApi();
  journal = createJournal({ url: api.base.url });
});
afterAll(async () => {
  for (const socket of sockets) socket.disconnect();
  await journal.close();
  await api.stop();
});

const definition = {
  dsl: 'tiu/1',
  name: 'story',
  tasks: {
    a: { type: 'transform', with: { value: 1 } },
    b: { type: 'transform', map: { items: [1, 2], as: 'n' }, with: { value: '${n}' } },
    c: { type: 'assert', with: { that: 'true' }, dependsOn: ['b'] },
  },
};
async function start(): Promise<string> {
  const runId = randomUUIDv7();
  expect((await api.call('POST', '/api/v1/runs', { body: { definition, runId } })).status).toBe(202);
  return runId;
}
function connect(key = api.owner.key): Socket {
  const socket = aSocket(api.url, key);
  sockets.push(socket);
  return socket;
}
type Event = RunEvent & { topic: string };
function collect(socket: Socket): { events: Event[]; until: (found: (event: Event) => boolean) => Promise<Event> } {
  const events: Event[] = [];
  socket.on('event', (event: Event) => events.push(event));
  const until = async (found: (event: Event) => boolean): Promise<Event> => {
    for (;;) {
      const event = events.find(found);
      if (event) return event;
      await once(socket as unknown as NodeJS.EventEmitter, 'event');
    }
  };
  return { events, until };
}

test('a handshake without a valid key is refused with a problem', async () => {
  for (const token of ['', 'nothing', `tiu_${'0'.repeat(32)}_${'b'.repeat(43)}`]) {
    const [error] = (await once(connect(token) as unknown as NodeJS.EventEmitter, 'connect_error')) as [Error & { data: object }];
    expect(error.data).toMatchObject({ code: 'unauthenticated', status: 401 });
  }
});

test('topics that do not exist for the caller are refused alike', async () => {
  const runId = await start();
  const socket = connect(api.stranger.key);
  for (const topic of [`run:${runId}`, `run:${randomUUID()}`, `workspace:${api.owner.workspace}`, 'run:', 'system', 'run:../x']) {
    expect(await ask(socket, 'subscribe', { topic })).toMatchObject({ ok: false, problem: { code: 'not_found' } });
  }
  for (const request of [
    null,
    5,
    {},
    { topic: 5 },
    { topic: `run:${runId}`, after: -1 },
    { topic: 'a'.repeat(300) },
    { topic: 'run:x', more: 1 },
  ]) {
    expect(await ask(socket, 'subscribe', request)).toMatchObject({ ok: false, problem: { code: 'invalid_request' } });
  }
  socket.emit('subscribe', { topic: 'x' }); // no acknowledgement wanted
  socket.emit('subscribe');
  expect((await ask(connect(), 'subscribe', { topic: `run:${runId}` })).ok).toBe(true);
});

test('events come in order from `after`, then live, and folding them gives what the API shows', async () => {
  const runId = await start();
  const socket = connect();
  const { events, until } = collect(socket);
  expect(await ask(socket, 'subscribe', { topic: `run:${runId}` })).toEqual({ ok: true, seq: 1 });
  await begin(api.deps.db, runId);
  const token = randomUUID();
  await tell(journal, runId, { status: 'running', token });
  await tell(journal, runId, { output: '1', token });
  const [failure] = [{ code: 'items_failed', message: 'too many' }];
  await tell(journal, runId, { task: 1, item: 0 });
  await tell(journal, runId, { task: 1, item: 1, status: 'failed', failure: JSON.stringify(failure) });
  await tell(journal, runId, { task: 1, status: 'failed', failure: JSON.stringify(failure) });
  await tell(journal, runId, { task: 2, status: 'blocked' });
  await close(journal, runId, { status: 'failed', failure: JSON.stringify(failure) });
  await until((event) => event.type === 'run.failed');
  expect(events.map((event) => event.seq)).toEqual(events.map((_, i) => i + 1));
  const view = fold(events);
  const run = (await api.call('GET', `/api/v1/runs/${runId}`)).body as Record<string, unknown> & { counts: object };
  expect(view).toMatchObject({
    id: run.id,
    status: run.status,
    lastSeq: run.lastSeq,
    createdAt: run.createdAt,
    finishedAt: run.finishedAt,
    failure: run.failure,
  });
  expect(run.counts).toMatchObject(view.counts);
  const tasks = (await api.call('GET', `/api/v1/runs/${runId}/tasks`)).body as {
    items: { id: string; status: string; attempt: number; failure: object | null }[];
  };
  for (const task of tasks.items)
    expect({ status: view.tasks[task.id]?.status, failure: view.tasks[task.id]?.failure ?? null }).toEqual({
      status: task.status,
      failure: task.failure,
    });
  expect(view.tasks.b?.items).toEqual(['completed', 'failed']);
  expect(fold(events.slice(4), fold(events.slice(0, 4)))).toEqual(view);
  expect(fold(events, view)).toEqual(view);
});

test('an unsubscribed topic is silent, and subscribing again starts where one asks', async () => {
  const runId = await start();
  const socket = connect();
  const { events, until } = collect(socket);
  await ask(socket, 'subscribe', { topic: `run:${runId}` });
  await until((event) => event.seq === 1);
  await ask(socket, 'unsubscribe', { topic: `run:${runId}` });
  await begin(api.deps.db, runId);
  await tell(journal, runId, { task: 0 });
  await ask(socket, 'subscribe', { topic: `run:${runId}`, after: 1 });
  await tell(journal, runId, { task: 2, status: 'skipped' });
  await until((event) => event.seq === 3);
  expect(events.map((event) => event.seq)).toEqual([1, 2, 3]);
});

test('a workspace topic is a snapshot, then the latest state of each changed run', async () => {
  const runId = await start();
  const socket = connect(api.owner.key);
  const { events, until } = collect(socket);
  const topic = `workspace:${api.owner.workspace}`;
  expect(await ask(socket, 'subscribe', { topic })).toEqual({ ok: true, seq: 0 });
  const snapshot = await until((event) => event.type === ('workspace.snapshot' as string));
  expect((snapshot.data as { runs: { id: string }[] }).runs.some((run) => run.id === runId)).toBe(true);
  await begin(api.deps.db, runId);
  for (let task = 0; task < 3; task++) await tell(journal, runId, { task });
  await close(journal, runId);
  const last = await until((event) => event.runId === runId && (event.data as { status?: string }).status === 'completed');
  expect(last).toMatchObject({ topic, type: 'run.progress', seq: 5, data: { counts: { total: 3, open: 0 } } });
  const fresh = await start();
  await until((event) => event.runId === fresh);
  expect(events.filter((event) => event.runId === runId).length).toBeLessThanOrEqual(4);
});

test('a reader that does not read is told to catch up and misses nothing then', async () => {
  const runId = await start();
  const slow = connect();
  const seen: number[] = [];
  slow.on('event', (event: Event) => seen.push(event.seq));
  await ask(slow, 'subscribe', { topic: `run:${runId}`, after: 1 });
  const tcp = (slow.io.engine.transport as unknown as { ws: { _socket?: { pause(): void; resume(): void } } }).ws._socket;
  tcp?.pause();
  await begin(api.deps.db, runId);
  const large = JSON.stringify({ code: 'http_failed', message: 'x'.repeat(200_000) });
  const behind = once(slow as unknown as NodeJS.EventEmitter, 'behind');
  for (let attempt = 1; attempt <= 60; attempt++) await tell(journal, runId, { attempt, status: 'retrying', failure: large, nextMs: 1 });
  tcp?.resume();
  const [notice] = (await behind) as [{ topic: string; seq: number }];
  expect(notice.topic).toBe(`run:${runId}`);
  expect(notice.seq).toBe(seen.at(-1));
  expect(seen).toEqual(seen.map((_, i) => i + 2));
  await tell(journal, runId, { attempt: 61 });
  for (const task of [1, 2]) await tell(journal, runId, { task });
  await close(journal, runId);
  const { events } = await follow({ urls: [api.url], token: api.owner.key, run: runId }, () => 1_000);
  expect(events.map((event) => event.seq)).toEqual(events.map((_, i) => i + 1));
  expect(events.length).toBe(65);
});

test('a socket whose key is revoked is closed', async () => {
  const { key, id } = (await api.call('POST', '/api/v1/api-keys', { body: { name: 'gone', scopes: ['runs:read'] } })).body as {
    key: string;
    id: string;
  };
  const socket = connect(key);
  await once(socket as unknown as NodeJS.EventEmitter, 'connect');
  const closed = once(socket as unknown as NodeJS.EventEmitter, 'disconnect');
  await api.call('DELETE', `/api/v1/api-keys/${id}`);
  await closed;
});
