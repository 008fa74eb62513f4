import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ApiProblem, Unreachable } from '../../src/client/apiProblem.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { watchRun, type WatchOptions } from '../../src/client/watchRun.ts';
import { aLogServer } from './aLogServer.ts';

const RUN = '019aa000-0000-7000-8000-000000000001';
let server: Awaited<ReturnType<typeof aLogServer>>;
beforeEach(async () => {
  server = await aLogServer(RUN);
});
afterEach(() => server.close());

const watch = (options: WatchOptions = {}, isOver = false) =>
  watchRun({ baseUrl: server.baseUrl, token: () => Promise.resolve('good') }, { id: RUN, isOver: () => Promise.resolve(isOver) }, options);

async function seqs(events: AsyncIterable<{ seq: number }>): Promise<number[]> {
  const seen: number[] = [];
  for await (const { seq } of events) seen.push(seq);
  return seen;
}

test('a watch gives what is stored, then what comes, and ends at the closing event', async () => {
  server.write('run.accepted');
  const events = watch();
  expect((await events.next()).value).toMatchObject({ seq: 1, type: 'run.accepted' });
  server.write('run.started');
  server.write('run.completed');
  expect(await seqs(events)).toEqual([2, 3]);
});

test('a watch from a known event gives only what follows it', async () => {
  for (const type of ['run.accepted', 'run.started', 'run.failed'] as const) server.write(type);
  expect(await seqs(watch({ after: 2 }))).toEqual([3]);
});

test('after a cut connection it goes on from the last event: nothing missing, nothing twice', async () => {
  const states: string[] = [];
  server.write('run.accepted');
  server.write('run.started');
  const events = watch({ onConnection: (state) => states.push(state) });
  await events.next();
  await events.next();
  server.cut();
  server.write('task.completed');
  const third = (await events.next()).value as RunEvent;
  server.cut();
  server.write('run.completed');
  expect([third.seq, ...(await seqs(events))]).toEqual([3, 4]);
  expect(server.asked).toEqual([0, 2, 3]);
  expect(states).toEqual(['connected', 'lost', 'connected', 'lost', 'connected']);
});

test('a missing event is fetched before the next is given, and a repeated one is dropped', async () => {
  server.write('run.accepted');
  const events = watch();
  await events.next();
  server.write('run.started', { lost: true });
  server.repeat(1);
  server.write('task.completed');
  server.write('run.completed');
  expect(await seqs(events)).toEqual([2, 3, 4]);
});

test('a reader that is told to catch up does', async () => {
  server.write('run.accepted');
  const events = watch();
  await events.next();
  await server.fallBehind();
  server.write('run.started');
  server.write('run.completed');
  expect(await seqs(events)).toEqual([2, 3]);
  expect(server.asked).toEqual([0, 1]);
});

test('a watch from the last event of a closed run ends at once', async () => {
  server.write('run.accepted');
  server.write('run.completed');
  expect(await seqs(watch({ after: 2 }, true))).toEqual([]);
});

test('a signal ends it', async () => {
  const stop = new AbortController();
  server.write('run.accepted');
  const events = watch({ signal: stop.signal });
  await events.next();
  stop.abort();
  expect(await seqs(events)).toEqual([]);
});

test('a signal that has fired already ends it before it begins', async () => {
  expect(await seqs(watch({ signal: AbortSignal.abort() }))).toEqual([]);
});

test('a refused key and a foreign run are problems, not silence', async () => {
  const over = () => Promise.resolve(false);
  const refused = watchRun({ baseUrl: server.baseUrl, token: () => Promise.resolve('bad') }, { id: RUN, isOver: over });
  await expect(refused.next()).rejects.toMatchObject({ name: 'ApiProblem', code: 'unauthenticated', status: 401 });
  const foreign = watchRun({ baseUrl: server.baseUrl, token: () => Promise.resolve('good') }, { id: 'other', isOver: over });
  await expect(foreign.next()).rejects.toBeInstanceOf(ApiProblem);
});

test('a service that stays away is reported', async () => {
  const away = watchRun(
    { baseUrl: 'http://127.0.0.1:9', token: () => Promise.resolve('good') },
    { id: RUN, isOver: () => Promise.resolve(false) },
    { patienceMs: 50 },
  );
  await expect(away.next()).rejects.toBeInstanceOf(Unreachable);
});
