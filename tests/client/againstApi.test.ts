import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { createClient, type Client } from '../../src/client/createClient.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { anApi, type TestApi } from '../api/anApi.ts';
import { begin, close, tell } from '../api/aStory.ts';
import { aCuttableProxy } from './aCuttableProxy.ts';

let api: TestApi;
let proxy: Awaited<ReturnType<typeof aCuttableProxy>>;
let journal: Journal;
let client: Client;
beforeAll(async () => {
  api = await anApi();
  journal = createJournal({ url: api.base.url });
  proxy = await aCuttableProxy(api.url);
  client = createClient({ baseUrl: proxy.url, token: api.owner.key });
});
afterAll(async () => {
  await proxy.close();
  await journal.close();
  await api.stop();
});

const definition = {
  dsl: 'tiu/1',
  name: 'count',
  tasks: {
    all: { type: 'transform', map: { items: ['a', 'b'] }, with: { value: '${item}' } },
    sum: { type: 'transform', with: { value: '${size(tasks.all.output)}' } },
  },
};
const aRun = async () => {
  const { id } = await client.runs.start({ definition });
  await begin(api.deps.db, id);
  return id;
};
const item = (run: string, index: number) => tell(journal, run, { item: index, output: '1' });
const finish = async (run: string) => {
  await tell(journal, run, { task: 0 });
  await tell(journal, run, { task: 1, output: '2' });
  await close(journal, run, { status: 'completed', output: '2' });
};

test('a run is started, read, listed and followed to its output', async () => {
  const run = await aRun();
  expect(await client.runs.get(run)).toMatchObject({ id: run, status: 'running', workflow: { name: 'count' } });
  const ended = client.runs.wait(run);
  await item(run, 0);
  await finish(run);
  expect(await ended).toMatchObject({ id: run, status: 'completed' });
  expect(await client.runs.output(run)).toMatchObject({ output: 2 });
  expect((await client.runs.list({ status: 'completed' })).items.map(({ id }) => id)).toContain(run);
  expect((await client.runs.tasks(run)).items).toMatchObject([
    { id: 'all', status: 'completed' },
    { id: 'sum', status: 'completed' },
  ]);
  expect((await client.runs.items(run, 'all')).items).toMatchObject([{ index: 0, status: 'completed', output: 1 }]);
});

test('a watch whose connection is cut again and again misses and repeats nothing', async () => {
  const run = await aRun();
  const seen: RunEvent[] = [];
  const watched = (async () => {
    for await (const event of client.watch(run)) {
      seen.push(event);
      if (event.seq === 5 || event.seq === 15 || event.seq === 25) proxy.cut();
    }
  })();
  for (let index = 0; index < 30; index++) await item(run, index);
  await finish(run);
  await watched;
  const { items: stored } = await client.runs.events(run, { limit: 1000 });
  expect(seen).toEqual(stored);
  expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, index) => index + 1));
  expect(seen.at(-1)?.type).toBe('run.completed');
});

test('a watch of a closed run gives the rest of its log and ends, also from its last event', async () => {
  const run = await aRun();
  await finish(run);
  const read = async (after: number) => {
    const seqs: number[] = [];
    for await (const { seq } of client.watch(run, { after })) seqs.push(seq);
    return seqs;
  };
  expect(await read(2)).toEqual([3, 4]);
  expect(await read(4)).toEqual([]);
  expect(await client.runs.wait(run)).toMatchObject({ status: 'completed' });
});

test('a wait that is given up tells what the run is by then', async () => {
  const run = await aRun();
  expect(await client.runs.wait(run, { signal: AbortSignal.timeout(50) })).toMatchObject({ status: 'running' });
});

test('a cancel is told to those who watch', async () => {
  const run = await aRun();
  const events = client.watch(run);
  expect((await events.next()).value).toMatchObject({ type: 'run.accepted' });
  expect(await client.runs.cancel(run, { reason: 'enough' })).toMatchObject({ intent: 'cancel' });
  expect((await events.next()).value).toMatchObject({ type: 'command.cancel', data: { reason: 'enough' } });
  await events.return(undefined);
});

test('workflows are checked, stored, listed and executed', async () => {
  expect(await client.workflows.check('dsl: tiu/1\n')).toMatchObject({ valid: false });
  expect(await client.workflows.check(definition)).toMatchObject({
    valid: true,
    plan: { tasks: [{ id: 'all', mapped: true }, { id: 'sum' }] },
  });
  expect(await client.workflows.store(definition)).toMatchObject({ name: 'count', number: 1 });
  expect((await client.workflows.list()).items).toMatchObject([{ name: 'count' }]);
  expect(await client.workflows.execute('count', {})).toMatchObject({ workflow: { name: 'count', number: 1 } });
});

test('the same bytes are the same artifact and come back as they were', async () => {
  const bytes = new Uint8Array(randomBytes(100_000));
  const upload = { bytes, mediaType: 'application/octet-stream', name: 'a file.bin' };
  const first = await client.artifacts.upload(upload);
  expect(first).toMatchObject({ size: 100_000, name: 'a file.bin', mediaType: 'application/octet-stream' });
  expect((await client.artifacts.upload(upload)).sha256).toBe(first.sha256);
  expect(Buffer.from(await client.artifacts.download(first.sha256)).equals(bytes)).toBe(true);
  await expect(client.artifacts.download('0'.repeat(64))).rejects.toMatchObject({ name: 'ApiProblem', status: 404 });
});

test('refusals are typed problems, over HTTP and over the socket', async () => {
  await expect(client.runs.start({ definition: { ...definition, name: 'Bad' } })).rejects.toMatchObject({
    code: 'invalid_definition',
    status: 422,
    issues: [{ pointer: '/name' }],
  });
  await expect(client.runs.get('019aa000-0000-7000-8000-000000000001')).rejects.toMatchObject({ code: 'not_found', status: 404 });
  await expect(client.watch('019aa000-0000-7000-8000-000000000001').next()).rejects.toMatchObject({ code: 'not_found', status: 404 });
  const stranger = createClient({ baseUrl: api.url, token: 'tiu_wrong' });
  await expect(stranger.runs.list()).rejects.toMatchObject({ code: 'unauthenticated', status: 401 });
  await expect(stranger.watch('x').next()).rejects.toMatchObject({ code: 'unauthenticated', status: 401 });
});
