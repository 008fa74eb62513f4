import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { listen } from '../../src/db/listen.ts';
import type { RunView } from '../../src/db/repositories/runs.ts';
import { begin, close, tell } from './aStory.ts';
import { anApi, type TestApi } from './anApi.ts';
import { until, whileHeld } from './whileHeld.ts';

let api: TestApi;
let journal: Journal;
beforeAll(async () => {
  api = await anApi();
  journal = createJournal({ url: api.base.url });
});
afterAll(async () => {
  await journal.close();
  await api.stop();
});

const definition = {
  dsl: 'tiu/1',
  name: 'greet',
  input: { schema: { type: 'object', properties: { who: { type: 'string', default: 'world' } } } },
  tasks: { hello: { type: 'transform', with: { value: { text: 'Hello ${input.who}' } } } },
  output: { value: '${tasks.hello.output}' },
};
type Run = { id: string; status: string; counts: Record<string, number>; lastSeq: number };
const start = (body: object, headers: Record<string, string> = { 'idempotency-key': randomUUID() }) =>
  api.call('POST', '/api/v1/runs', { body, headers });

test('an accepted run is durable and answers 202 with its place', async () => {
  const answer = await start({ definition: { ...definition, deadline: 'PT1H' }, labels: { team: 'blue' } });
  expect(answer.status).toBe(202);
  const run = answer.body as Run;
  expect(answer.headers.get('location')).toBe(`/api/v1/runs/${run.id}`);
  expect(run).toMatchObject({ status: 'queued', priority: 'normal', labels: { team: 'blue' }, lastSeq: 1, counts: { total: 1, open: 1 } });
  const read = await api.call('GET', `/api/v1/runs/${run.id}`);
  expect(read.body).toEqual(run);
  expect(read.headers.get('etag')).toBe('"1"');
  const unchanged = await api.call('GET', `/api/v1/runs/${run.id}`, { headers: { 'if-none-match': '"1"' } });
  expect(unchanged.status).toBe(304);
  const events = await api.call('GET', `/api/v1/runs/${run.id}/events`);
  expect(events.body).toMatchObject({ lastSeq: 1, items: [{ seq: 1, type: 'run.accepted', runId: run.id }] });
});

test('the same key and request give the same run, another request is refused', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const first = await start({ definition, input: { who: 'you' } }, headers);
  const again = await start({ definition, input: { who: 'you' } }, headers);
  expect(again.status).toBe(202);
  expect((again.body as Run).id).toBe((first.body as Run).id);
  expect([first.headers.get('idempotent-replayed'), again.headers.get('idempotent-replayed')]).toEqual([null, 'true']);
  const other = await start({ definition, input: { who: 'me' } }, headers);
  expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
});

test('a run needs a key or an id of the client', async () => {
  expect(await start({ definition }, {})).toMatchObject({ status: 428, body: { code: 'idempotency_key_required' } });
  const runId = randomUUIDv7();
  expect(await start({ definition, runId }, {})).toMatchObject({ status: 202, body: { id: runId } });
  expect((await start({ definition, runId }, {})).headers.get('idempotent-replayed')).toBe('true');
  expect(await start({ definition, runId, labels: { a: 'b' } }, {})).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  expect(await start({ definition, runId: randomUUID() }, {})).toMatchObject({ status: 202 });
});

test("another workspace's run id is neither told nor taken", async () => {
  const runId = randomUUIDv7();
  await start({ definition, runId }, {});
  const asStranger = { key: api.stranger.key };
  for (const path of ['', '/tasks', '/tasks/hello', '/tasks/hello/items', '/output', '/events']) {
    expect(await api.call('GET', `/api/v1/runs/${runId}${path}`, asStranger)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  }
  expect(await api.call('POST', `/api/v1/runs/${runId}/cancel`, asStranger)).toMatchObject({ status: 404 });
  expect(await api.call('POST', '/api/v1/runs', { ...asStranger, body: { definition, runId } })).toMatchObject({
    status: 422,
    body: { code: 'idempotency_mismatch' },
  });
  expect(await api.call('GET', '/api/v1/runs', asStranger)).toMatchObject({ body: { items: [] } });
});

test('submits that arrive together share commits', async () => {
  let answering: ReturnType<typeof start>[] = [];
  await whileHeld(api.base.url, async () => {
    answering = Array.from({ length: 100 }, () => start({ definition, labels: { batch: 'one' } }));
    await until(() => api.deps.pressure.load().submits === 100);
  });
  const answers = await Promise.all(answering);
  expect(answers.every((answer) => answer.status === 202)).toBe(true);
  const [row] = await api.deps.db.rows<{ commits: number; runs: number }>({
    name: 'commits',
    text: `select count(distinct xmin::text)::int as commits, count(*)::int as runs from run where labels->>'batch' = 'one'`,
    values: [],
  });
  expect(row?.runs).toBe(100);
  expect(row?.commits).toBeLessThanOrEqual(2); // the one that was held, and the one for all that waited for it
});

test('a YAML body is a definition, and YAML may come as text', async () => {
  const yaml = 'dsl: tiu/1\nname: yaml-run\ntasks:\n  a: { type: transform, with: { value: 1 } }\n';
  const headers = { 'content-type': 'application/yaml', 'idempotency-key': randomUUID() };
  expect(await api.call('POST', '/api/v1/runs', { raw: yaml, headers })).toMatchObject({
    status: 202,
    body: { workflow: { name: 'yaml-run' } },
  });
  expect(await start({ definition: yaml })).toMatchObject({ status: 202 });
  const wrong = await api.call('POST', '/api/v1/runs', {
    raw: yaml.replace('transform', 'transfrom'),
    headers: { ...headers, 'idempotency-key': randomUUID() },
  });
  expect(wrong).toMatchObject({ status: 422, body: { code: 'invalid_definition', issues: [{ pointer: '/tasks/a/type', line: 4 }] } });
});

test('input is checked against its schema and artifacts must exist', async () => {
  expect(await start({ definition, input: { who: 5 } })).toMatchObject({
    status: 422,
    body: { code: 'invalid_run_input', issues: [{ pointer: '/who' }] },
  });
  const needs = {
    ...definition,
    input: { schema: { type: 'object', properties: { source: { type: 'string', format: 'artifact' } } } },
    tasks: { a: { type: 'transform', with: { value: 1 } } },
    output: { value: 1 },
  };
  const none = { definition: needs, input: { source: '0'.repeat(64) } };
  expect(await start(none)).toMatchObject({ status: 422, body: { issues: [{ pointer: '/source', code: 'artifact_not_found' }] } });
  const upload = await api.call('POST', '/api/v1/artifacts', { raw: 'text', headers: { 'content-type': 'text/plain' } });
  const { sha256 } = upload.body as { sha256: string };
  const run = await start({ definition: needs, input: { source: sha256 } });
  const refs = await api.deps.db.rows({
    name: 'refs',
    text: `select 1 from artifact_ref where holder = 'run:' || $1`,
    values: [(run.body as Run).id],
  });
  expect(refs).toHaveLength(1);
});

test('a waiting request is answered with the result in the moment the run ends, or 202 when its time is over', async () => {
  const runId = randomUUIDv7();
  const waiting = start({ definition, runId }, { prefer: 'wait=20' });
  while ((await api.call('GET', `/api/v1/runs/${runId}`)).status !== 200);
  await begin(api.deps.db, runId);
  await tell(journal, runId, { output: '{"text":"Hello world"}' });
  await close(journal, runId, { status: 'completed', output: '{"text":"Hello world"}' });
  const answer = await waiting;
  expect(answer).toMatchObject({
    status: 200,
    body: { status: 'completed', output: { text: 'Hello world' }, counts: { completed: 1, open: 0 } },
  });
  expect(answer.headers.get('preference-applied')).toBe('wait=20');
  const late = await start({ definition }, { prefer: 'wait=0', 'idempotency-key': randomUUID() });
  expect(late.status).toBe(202);
  expect(late.headers.get('preference-applied')).toBeNull();
});

test('who waits for a run accepted a moment ago is answered with the notice of its end: it is not read at all', async () => {
  const runId = randomUUIDv7();
  const { untouched, closings } = api.deps;
  const accepted: RunView[] = [];
  api.deps.untouched = { mark: () => 0, add: (run) => accepted.push(run), get: (id) => accepted.find((run) => run.id === id) };
  await start({ definition, runId });
  const read: string[] = [];
  const { rows } = api.deps.db;
  api.deps.db.rows = (statement) => {
    read.push(statement.name);
    return rows(statement);
  };
  const underWay = Promise.withResolvers<undefined>();
  api.deps.closings = {
    whenClosed: (...wait) => {
      underWay.resolve(undefined);
      return closings.whenClosed(...wait);
    },
  };
  const waiting = api.call('GET', `/api/v1/runs/${runId}`, { headers: { prefer: 'wait=20' } });
  await underWay.promise;
  await begin(api.deps.db, runId);
  const output = '{"text":"Hello"}';
  await Promise.all([tell(journal, runId, { output }), close(journal, runId, { status: 'completed', output })]); // in one commit
  const { body } = await waiting;
  api.deps.db.rows = rows;
  Object.assign(api.deps, { untouched, closings });
  expect(read).not.toContain('run_view');
  expect(read).not.toContain('runs_closed');
  expect(body).toEqual((await api.call('GET', `/api/v1/runs/${runId}`)).body);
  expect(body).toMatchObject({ status: 'completed', counts: { completed: 1, open: 0 } });
});

test('workers are told that somebody waits for a queued run, whichever request waits, and of none that has begun', async () => {
  let told: () => void = () => undefined;
  const word = () => new Promise<void>((resolve) => (told = resolve));
  const listening = word();
  const listener = listen({
    url: api.base.url,
    channels: ['kick'],
    onListen: () => {
      told();
    },
    onNotice: (_channel, payload) => {
      if (payload.split(',').includes('awaited')) told();
    },
  });
  await listening;
  const runId = randomUUIDv7();
  const waits = [
    () => start({ definition, runId: randomUUIDv7() }, { prefer: 'wait=1' }),
    () => api.call('GET', `/api/v1/runs/${runId}`, { headers: { prefer: 'wait=1' } }),
  ];
  await start({ definition, runId });
  for (const wait of waits) {
    await new Promise((resolve) => setTimeout(resolve, 60)); // one word in 50 ms is enough
    const said = word();
    void wait();
    await said;
  }
  await begin(api.deps.db, runId);
  const { awaited, untouched } = api.deps;
  const asked: string[] = [];
  Object.assign(api.deps, { awaited: (run: string) => asked.push(run), untouched: { ...untouched, get: () => undefined } });
  await api.call('GET', `/api/v1/runs/${runId}`, { headers: { prefer: 'wait=1' } });
  Object.assign(api.deps, { awaited, untouched });
  expect(asked).toEqual([]);
  await listener.close();
});

test("a run accepted a moment ago is nobody else's to wait for", async () => {
  const { untouched } = api.deps;
  const runId = randomUUIDv7();
  const foreign = { id: runId, workspace: randomUUID(), status: 'queued' } as RunView;
  api.deps.untouched = { mark: () => 0, add: () => undefined, get: () => foreign };
  const answer = await api.call('GET', `/api/v1/runs/${runId}`, { headers: { prefer: 'wait=20' } });
  api.deps.untouched = untouched;
  expect(answer.status).toBe(404);
});

const mapped = {
  dsl: 'tiu/1',
  name: 'mapped',
  tasks: {
    each: { type: 'transform', map: { items: [1, 2, 3], as: 'n' }, with: { value: '${n}' } },
    last: { type: 'transform', with: { value: '${tasks.each.output}' } },
  },
};

test('tasks, items and outputs read as they are written', async () => {
  const { id } = (await start({ definition: mapped })).body as Run;
  const at = `/api/v1/runs/${id}`;
  expect((await api.call('GET', `${at}/tasks`)).body).toMatchObject({
    items: [
      { id: 'each', status: 'pending', items: {} },
      { id: 'last', dependsOn: ['each'], items: null },
    ],
  });
  await begin(api.deps.db, id);
  await tell(journal, id, { item: 0, output: '"a"' });
  await tell(journal, id, { item: 1, status: 'failed', failure: '{"code":"expression_failed","message":"no"}' });
  const large = JSON.stringify('x'.repeat(100_000));
  const stored = await api.deps.objects.put(api.owner.workspace, Buffer.from(large));
  await tell(journal, id, { item: 2, outputRef: Buffer.from(stored.sha256, 'hex'), outputSize: stored.size });
  await tell(journal, id, {});
  expect((await api.call('GET', `${at}/tasks/each`)).body).toMatchObject({
    status: 'completed',
    items: { completed: 2, failed: 1 },
    output: ['a', 'x'.repeat(100_000)],
  });
  const page = (await api.call('GET', `${at}/tasks/each/items?limit=2`)).body as { items: object[]; nextCursor: string };
  expect(page.items).toMatchObject([
    { index: 0, output: 'a' },
    { index: 1, status: 'failed', failure: { code: 'expression_failed' } },
  ]);
  const rest = (await api.call('GET', `${at}/tasks/each/items?limit=2&cursor=${page.nextCursor}`)).body;
  expect(rest).toMatchObject({ items: [{ index: 2, outputRef: stored.sha256, output: null }], nextCursor: null });
  expect((await api.call('GET', `${at}/tasks/each/items?status=failed`)).body).toMatchObject({ items: [{ index: 1 }] });
  expect(await api.call('GET', `${at}/output`)).toMatchObject({ status: 409, body: { code: 'run_not_finished' } });
  await tell(journal, id, { task: 1, status: 'skipped' });
  await close(journal, id);
  expect((await api.call('GET', `${at}/output`)).body).toEqual({ runId: id, status: 'completed', output: null });
  expect((await api.call('GET', at)).body).toMatchObject({ counts: { completed: 1, skipped: 1 } });
  expect(await api.call('GET', `${at}/tasks/nothing`)).toMatchObject({ status: 404 });
});

test('a cancel is durable, a second one forces, and a closed run refuses', async () => {
  const { id } = (await start({ definition })).body as Run;
  const cancel = (headers = {}) => api.call('POST', `/api/v1/runs/${id}/cancel`, { body: { reason: 'enough' }, headers });
  const key = { 'idempotency-key': randomUUID() };
  expect(await cancel(key)).toMatchObject({ status: 202, body: { intent: 'cancel', lastSeq: 2 } });
  const again = await cancel(key);
  expect(again).toMatchObject({ status: 202, body: { lastSeq: 2 } });
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(await cancel()).toMatchObject({ status: 202, body: { intent: 'force', lastSeq: 3 } });
  expect((await api.call('GET', `/api/v1/runs/${id}/events?after=1`)).body).toMatchObject({
    items: [{ type: 'command.cancel', data: { reason: 'enough' } }, { seq: 3 }],
  });
  await begin(api.deps.db, id);
  const base = { segment: {}, run: id, epoch: 1, applied: 3 } as const;
  await journal.push({ ...base, type: 'task', task: 0, item: -1, generation: 0, attempt: 1, token: randomUUID(), status: 'cancelled' });
  await journal.push({ ...base, type: 'close', status: 'cancelled' });
  expect(await cancel()).toMatchObject({ status: 409, body: { code: 'run_already_closed' } });
});

test('runs are listed by page and filter', async () => {
  const tagged = { definition: { ...definition, name: 'listed' }, labels: { set: 'list', 'a.b': 'c:d' } };
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.unshift(((await start(tagged)).body as Run).id);
  type Page = { items: Run[]; nextCursor: string | null; total?: number };
  const list = async (query: string) => (await api.call('GET', `/api/v1/runs?${query}`)).body as Page;
  const first = await list('workflow=listed&limit=3&count=true');
  expect(first.total).toBe(5);
  const second = await list(`workflow=listed&limit=3&cursor=${first.nextCursor ?? ''}`);
  expect([...first.items, ...second.items].map((run) => run.id)).toEqual(ids);
  expect(second.nextCursor).toBeNull();
  expect((await list('label=set:list&label=a.b:c:d&status=queued&status=running')).items).toHaveLength(5);
  expect((await list('label=set:list&status=completed')).items).toHaveLength(0);
  expect((await list('workflow=listed&since=2999-01-01T00:00:00Z')).items).toHaveLength(0);
  expect(await api.call('GET', '/api/v1/runs?cursor=bm90aGluZw')).toMatchObject({
    status: 422,
    body: { issues: [{ pointer: '/query/cursor' }] },
  });
});
