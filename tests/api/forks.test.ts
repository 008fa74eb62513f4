import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recordArtifact } from '../../src/db/artifacts.ts';
import { admit, endQueued } from '../../src/db/dispatch.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { fold } from '../../src/domain/run/fold.ts';
import { aSubmit } from '../db/journalRuns.ts';
import { anApi, type TestApi } from './anApi.ts';
import { begin, close, tell } from './aStory.ts';

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

const transform = (value: Json, more: JsonObject = {}): JsonObject => ({ type: 'transform', with: { value }, ...more });
const tasks: JsonObject = {
  call: { type: 'http', with: { url: 'https://example.org/' }, output: { schema: { type: 'object' } } },
  each: transform('${i}', { map: { items: [1, 2, 3], as: 'i', tolerate: { count: 1 } } }),
  left: transform('${input.n}'),
  out: transform(1, { if: '${false}' }),
  pick: { type: 'switch', with: { cases: [{ if: '${true}', then: ['sum'] }] } },
  sum: transform('${tasks.call.output}'),
};
const definition: JsonObject = { dsl: 'tiu/1', name: 'forked', tasks, output: { value: '${tasks.sum.output}' } };
// tasks by number
const [CALL, EACH, LEFT, OUT, PICK, SUM] = [0, 1, 2, 3, 4, 5];
const BIG = { text: 'x'.repeat(70_000) };

const post = (path: string, body?: object, headers: Record<string, string> = { 'idempotency-key': randomUUID() }) =>
  api.call('POST', `/api/v1${path}`, { ...(body && { body }), headers });
const rows = <R extends object>(text: string, ...values: unknown[]) =>
  api.deps.db.rows<R & JsonObject>({ name: `q${text.length}${text.slice(-20)}`, text, values });
const count = async () => (await rows<{ n: number }>('select count(*)::int as n from run'))[0]?.n;
const idOf = (body: unknown) => (body as { id: string }).id;

/** A run of `definition` that has completed: with an output in the object store, items of which one failed, a skipped task, a branch and an artifact. */
async function aSource(more: JsonObject = {}): Promise<string> {
  const { body } = await post('/runs', { definition, input: { n: 1, m: 1 }, ...more });
  const id = idOf(body);
  await begin(api.deps.db, id);
  const { sha256, size } = await api.deps.objects.put(api.owner.workspace, Buffer.from(JSON.stringify(BIG)));
  await tell(journal, id, { task: PICK, output: '{"chosen":["sum"]}', branch: 0 });
  await tell(journal, id, { task: CALL, attempt: 2, outputRef: Buffer.from(sha256, 'hex'), outputSize: size });
  for (const [item, status] of (['completed', 'failed', 'completed'] as const).entries())
    await tell(journal, id, { task: EACH, item, status, ...(status === 'completed' && { output: String(item) }) });
  await tell(journal, id, { task: EACH });
  await tell(journal, id, { task: LEFT, output: '1' });
  await tell(journal, id, { task: OUT, status: 'skipped' });
  await tell(journal, id, { task: SUM, output: '7' });
  await close(journal, id, { status: 'completed', output: '7', outputSize: 1 });
  return id;
}

const KEPT = 'task, item, status, branch, attempt, losses, output::text as output, output_ref, output_size, started, finished';
const rowsOf = (run: string, except: readonly number[]) =>
  rows(`select ${KEPT} from task where run = $1 and not task = any($2::int[]) order by task, item`, run, except);
const eventsOf = async (run: string) => ((await api.call('GET', `/api/v1/runs/${run}/events`)).body as { items: RunEvent[] }).items;

test('a fork has what it keeps, by reference, with events of its own, and waits to begin like one that was begun before', async () => {
  const source = await aSource();
  const { sha256, size } = await api.deps.objects.put(api.owner.workspace, Buffer.from('made on the way'));
  await recordArtifact(api.deps.db, api.owner.workspace, { sha256, size, mediaType: 'text/plain', name: 'note', holder: `run:${source}` });
  const answer = await post(`/runs/${source}/fork`, { from: ['sum'], reason: 'again' });
  expect(answer).toMatchObject({ status: 202, body: { status: 'queued', forkedFrom: source, counts: { total: 6, open: 1 }, lastSeq: 9 } });
  const id = idOf(answer.body);
  expect(answer.headers.get('location')).toBe(`/api/v1/runs/${id}`);
  expect(await rowsOf(id, [])).toEqual(await rowsOf(source, [SUM]));
  const events = await eventsOf(id);
  expect(events.map(({ seq, type, task, item }) => [seq, type, task, item])).toEqual([
    [1, 'run.accepted', undefined, undefined],
    [2, 'task.completed', 'pick', undefined],
    [3, 'task.completed', 'call', undefined],
    [4, 'task.completed', 'each', 0],
    [5, 'task.failed', 'each', 1],
    [6, 'task.completed', 'each', 2],
    [7, 'task.completed', 'each', undefined],
    [8, 'task.completed', 'left', undefined],
    [9, 'task.skipped', 'out', undefined],
  ]);
  expect(events[0]?.data).toEqual({ forkedFrom: source, reason: 'again' });
  expect(events.slice(1).every(({ data }) => (data as JsonObject).from === source)).toBe(true);
  expect(fold(events)).toMatchObject({
    ...{ status: 'queued', lastSeq: 9, counts: { completed: 4, skipped: 1 } },
    tasks: { call: { status: 'completed', attempt: 2 }, each: { items: ['completed', 'failed', 'completed'] }, out: { status: 'skipped' } },
  });
  expect(fold(events).startedAt).toBeUndefined();
  expect((await api.call('GET', `/api/v1/runs/${id}/tasks/call/output`)).body).toEqual(BIG);
  const holders = await rows<{ holder: string }>('select holder from artifact_ref where run = $1 order by holder', id);
  expect(holders.map(({ holder }) => holder)).toEqual([`run:${id}`, `task:${id}/${CALL}/-1/0`]);
  expect(await rows(`select actor, data->'run' as run from audit where action = 'run.fork' and subject = $1`, `run:${source}`)).toEqual([
    {
      actor: `key:${(await rows<{ id: string }>('select id from api_key where workspace = $1', api.owner.workspace))[0]?.id ?? ''}`,
      run: id,
    },
  ]);
  const begun = await admit(api.deps.db, { worker: randomUUID(), n: 100, claimMs: 5_000 });
  expect(begun.find(({ runId }) => runId === id)).toMatchObject({ epoch: 2, cursor: 10 });
});

test('the same request is the same fork; another one under its key is refused', async () => {
  const source = await aSource();
  const headers = { 'idempotency-key': randomUUID() };
  const first = await post(`/runs/${source}/fork`, { from: ['sum'] }, headers);
  const again = await post(`/runs/${source}/fork`, { from: ['sum'] }, headers);
  expect([idOf(again.body), again.headers.get('idempotent-replayed')]).toEqual([idOf(first.body), 'true']);
  expect(await post(`/runs/${source}/fork`, { from: ['call'] }, headers)).toMatchObject({
    status: 422,
    body: { code: 'idempotency_mismatch' },
  });
  expect(await post(`/runs/${source}/fork`, {}, {})).toMatchObject({ status: 428, body: { code: 'idempotency_key_required' } });
  const runId = randomUUIDv7();
  expect(await post(`/runs/${source}/fork`, { runId }, {})).toMatchObject({ status: 202, body: { id: runId } });
});

test('a fork that is asked for again after its source was opened again is answered as the first time', async () => {
  const { body } = await post('/runs', { definition, input: { n: 1 } });
  const source = idOf(body);
  await begin(api.deps.db, source);
  for (const task of [CALL, EACH, LEFT, OUT, PICK, SUM]) await tell(journal, source, { task, status: 'failed' });
  await close(journal, source, { status: 'failed' });
  const headers = { 'idempotency-key': randomUUID() };
  const runId = randomUUIDv7();
  const first = await post(`/runs/${source}/fork`, { from: ['sum'] }, headers);
  expect(await post(`/runs/${source}/fork`, { runId }, {})).toMatchObject({ status: 202, body: { id: runId } });
  expect(await post(`/runs/${source}/retry`)).toMatchObject({ status: 202 });
  const before = await count();
  const again = await post(`/runs/${source}/fork`, { from: ['sum'] }, headers);
  expect([again.status, idOf(again.body), again.headers.get('idempotent-replayed')]).toEqual([202, idOf(first.body), 'true']);
  expect(await post(`/runs/${source}/fork`, { runId }, {})).toMatchObject({ status: 202, body: { id: runId, forkedFrom: source } });
  expect(await post(`/runs/${source}/fork`, { from: ['call'] }, headers)).toMatchObject({ body: { code: 'idempotency_mismatch' } });
  expect(await post(`/runs/${source}/fork`, { from: ['sum'] })).toMatchObject({
    status: 409,
    body: { code: 'state_conflict', detail: expect.stringContaining('is open') },
  });
  expect(await count()).toBe(before);
});

test('a preview says what would run again and why, and writes nothing', async () => {
  const source = await aSource();
  const before = await count();
  const { body } = await post(`/runs/${source}/fork/preview`, { from: ['call'], input: { n: 2, m: 1 }, outputs: { pick: 1 } }, {});
  expect(body).toMatchObject({ code: 'invalid_request', issues: [{ pointer: '/outputs/pick' }] });
  expect(await post(`/runs/${source}/fork/preview`, { from: ['call'], input: { n: 2, m: 1 } }, {})).toMatchObject({
    status: 200,
    body: {
      ...{ again: ['call', 'left', 'sum'], kept: ['each', 'out', 'pick'], given: [], repeatedEffects: ['call'] },
      why: { call: 'it was asked for', left: 'it reads input.n', sum: 'it depends on call' },
    },
  });
  expect(await post(`/runs/${source}/fork/preview`)).toMatchObject({ body: { again: [], kept: Object.keys(tasks) } });
  expect(await count()).toBe(before);
});

test('an output that is given goes where those of tasks go, and must be what the definition says', async () => {
  const source = await aSource();
  const given = { text: 'y'.repeat(70_000) };
  const answer = await post(`/runs/${source}/fork`, { outputs: { call: given, left: 5 } });
  const id = idOf(answer.body);
  expect(
    await rows(
      'select task, status, output::text as output, output_ref is null as here from task where run = $1 and task = any($2) order by task',
      id,
      [CALL, LEFT],
    ),
  ).toEqual([
    { task: CALL, status: 'completed', output: null, here: false },
    { task: LEFT, status: 'completed', output: '5', here: true },
  ]);
  expect((await api.call('GET', `/api/v1/runs/${id}/tasks/call/output`)).body).toEqual(given);
  expect((await eventsOf(id)).at(-1)).toMatchObject({ type: 'task.completed', task: 'left', data: { from: source, given: true } });
  expect(await post(`/runs/${source}/fork`, { outputs: { call: 'text' } })).toMatchObject({
    status: 422,
    body: { code: 'invalid_task_output' },
  });
});

test('faults are named all at once, by pointer', async () => {
  const source = await aSource();
  const outputs = { nowhere: 1, each: [], pick: {}, call: {} };
  const { status, body } = await post(`/runs/${source}/fork`, { from: ['sum', 'none', 'call'], outputs });
  expect([status, (body as { issues: { pointer: string }[] }).issues.map(({ pointer }) => pointer)]).toEqual([
    422,
    ['/from/1', '/outputs/nowhere', '/outputs/each', '/outputs/pick', '/outputs/call'],
  ]);
  const undoing = { ...definition, tasks: { ...tasks, left: transform(1, { compensate: transform(2) }) }, finally: { last: transform(3) } };
  expect(await post(`/runs/${source}/fork`, { definition: undoing, from: ['left.compensate'], outputs: { last: 1 } })).toMatchObject({
    body: { issues: [{ pointer: '/from/0' }, { pointer: '/outputs/last' }] },
  });
  const many = (n: number) => Array.from({ length: n }, (_, i) => `none${i}`);
  const pointerOf = async (body: object) =>
    ((await post(`/runs/${source}/fork`, body)).body as { issues: { pointer: string }[] }).issues[0]?.pointer;
  expect([await pointerOf({ from: many(1_000) }), await pointerOf({ from: many(1_001) })]).toEqual(['/from/0', '/from']);
  const outputsOf = (n: number) => Object.fromEntries(many(n).map((id) => [id, 1]));
  expect([await pointerOf({ outputs: outputsOf(1_000) }), await pointerOf({ outputs: outputsOf(1_001) })]).toEqual([
    '/outputs/none0',
    '/outputs',
  ]);
  expect(await post(`/runs/${source}/fork`, { definition: {} })).toMatchObject({ status: 422, body: { code: 'invalid_definition' } });
  expect(await post(`/runs/${source}/fork`, { definition, workflow: { name: 'x' } })).toMatchObject({
    status: 422,
    body: { code: 'invalid_request' },
  });
});

test('an open run is not forked, and that of another workspace is not there', async () => {
  const { body } = await post('/runs', { definition, input: { n: 1 } });
  expect(await post(`/runs/${idOf(body)}/fork`, {})).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
  const source = await aSource();
  const stranger = { key: api.stranger.key, body: {}, headers: { 'idempotency-key': randomUUID() } };
  expect(await api.call('POST', `/api/v1/runs/${source}/fork`, stranger)).toMatchObject({ status: 404 });
  expect(await api.call('POST', `/api/v1/runs/${source}/fork/preview`, stranger)).toMatchObject({ status: 404 });
});

test('a source that has changed since, or is gone, leaves nothing of the fork behind', async () => {
  const source = await aSource();
  const before = await count();
  const submit = aSubmit({ workspace: api.owner.workspace, tasks: 6 });
  const seeds = { source, seq: 99, kept: [{ task: CALL, source: CALL }], keepItems: [], given: [], note: '{}' };
  await expect(api.deps.forkRun(submit, seeds)).rejects.toMatchObject({ code: 'state_conflict' });
  await expect(api.deps.forkRun(submit, { ...seeds, source: randomUUID() })).rejects.toMatchObject({ code: 'not_found' });
  expect(await count()).toBe(before);
  expect(await rows('select key from idempotency where key = $1', submit.key)).toEqual([]);
  const [{ seq } = { seq: 0 }] = await rows<{ seq: number }>('select last_seq::int as seq from run_state where run = $1', source);
  expect(await api.deps.forkRun(submit, { ...seeds, seq })).toMatchObject({ outcome: 'new' });
});

test('a fork is started as its source was, unless something else is said; with another definition as that says', async () => {
  const source = await aSource({ priority: 'high', mode: 'express', labels: { team: 'blue' } });
  const like = async (body: object) => (await post(`/runs/${source}/fork`, { from: ['sum'], ...body })).body;
  expect(await like({})).toMatchObject({ priority: 'high', mode: 'express', labels: { team: 'blue' } });
  expect(await like({ priority: 'low', labels: {} })).toMatchObject({ priority: 'low', mode: 'express', labels: {} });
  expect(await like({ definition: { ...definition, name: 'other' } })).toMatchObject({
    ...{ priority: 'normal', mode: 'standard', labels: {} },
    workflow: { name: 'other' },
  });
});

test('a concurrency key counts for forks too', async () => {
  const concurrency = { key: 'forks-of-one', limit: 1, onConflict: 'reject' };
  const source = await aSource({ definition: { ...definition, concurrency } });
  expect(await post(`/runs/${source}/fork`, { from: ['sum'] })).toMatchObject({ status: 202 });
  const before = await count();
  expect(await post(`/runs/${source}/fork`, { from: ['sum'] })).toMatchObject({ status: 409, body: { code: 'concurrency_limit' } });
  expect(await count()).toBe(before);
});

test('of a mapped task that failed the items that are done stay', async () => {
  const source = idOf((await post('/runs', { definition, input: { n: 1 } })).body);
  await begin(api.deps.db, source);
  for (const [item, status] of (['completed', 'failed', 'skipped', 'cancelled'] as const).entries())
    await tell(journal, source, { task: EACH, item, status, ...(status === 'completed' && { output: String(item) }) });
  await tell(journal, source, { task: EACH, status: 'failed' });
  for (const task of [CALL, LEFT, PICK, SUM, OUT]) await tell(journal, source, { task, status: 'cancelled' });
  await close(journal, source, { status: 'failed' });
  const id = idOf((await post(`/runs/${source}/fork`, {})).body);
  expect(
    await rows('select task, item, generation, status, output::text as output, attempt from task where run = $1 order by item', id),
  ).toEqual([
    { task: EACH, item: -1, generation: 0, status: 'pending', output: null, attempt: 0 },
    { task: EACH, item: 0, generation: 0, status: 'completed', output: '0', attempt: 1 },
    { task: EACH, item: 2, generation: 0, status: 'skipped', output: null, attempt: 1 },
  ]);
  const events = await eventsOf(id);
  expect(events.at(-1)).toMatchObject({ seq: 4, type: 'task.pending', task: 'each', data: { from: source, keptItems: true } });
  const view = fold(events);
  expect([view.status, view.tasks.each?.status, view.tasks.each?.items[0], view.tasks.each?.items[2]]).toEqual([
    ...['queued', 'pending', 'completed', 'skipped'],
  ]);
  expect((await api.call('GET', `/api/v1/runs/${id}`)).body).toMatchObject({ counts: { open: 6 } });
});

test('a fork that is cancelled before it begins ends with what it kept', async () => {
  const source = await aSource();
  const id = idOf((await post(`/runs/${source}/fork`, { from: ['sum', 'left'] })).body);
  expect(await post(`/runs/${id}/cancel`)).toMatchObject({ status: 202 });
  expect(await endQueued(api.deps.db, 100)).toEqual([id]);
  const events = await eventsOf(id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
  expect(events.slice(-4).map(({ type, task }) => [type, task])).toEqual([
    ['command.cancel', undefined],
    ['task.cancelled', 'left'],
    ['task.cancelled', 'sum'],
    ['run.cancelled', undefined],
  ]);
  expect(fold(events)).toMatchObject({ status: 'cancelled', counts: { completed: 3, skipped: 1, cancelled: 2 } });
  const again = await post(`/runs/${id}/fork`, {}); // what the source had done is still there
  expect(again).toMatchObject({ status: 202, body: { forkedFrom: id, counts: { open: 2 } } });
});

test('a marked input goes into no other definition', async () => {
  const input = { schema: { type: 'object', properties: { n: { type: 'number' }, m: { type: 'number', 'x-secret': true } } } };
  const source = await aSource({ definition: { ...definition, input } });
  const other = { ...definition, tasks: { ...tasks, shows: transform('${input.m}') } };
  expect(await post(`/runs/${source}/fork`, { definition: other })).toMatchObject({
    status: 422,
    body: { code: 'invalid_request', issues: [{ pointer: '/input' }] },
  });
  expect(await post(`/runs/${source}/fork`, { definition: other, input: { n: 1, m: 3 } })).toMatchObject({ status: 202 });
});

test('reports count what a fork has kept once, in the run in which it ran', async () => {
  const once: JsonObject = { ...definition, name: 'counted-once' };
  const source = await aSource({ definition: once });
  const counts = async () => {
    const { items } = (await api.call('GET', '/api/v1/reports/tasks?workflow=counted-once')).body as {
      items: { task: string; runs: number }[];
    };
    return Object.fromEntries(items.map(({ task, runs }) => [task, runs]));
  };
  const alone = { call: 1, each: 1, left: 1, out: 1, pick: 1, sum: 1 };
  expect(await counts()).toEqual(alone);
  const fork = idOf((await post(`/runs/${source}/fork`, { from: ['sum'] })).body);
  expect(await counts()).toEqual(alone);
  await begin(api.deps.db, fork);
  await tell(journal, fork, { task: SUM, output: '7' });
  expect(await counts()).toEqual({ ...alone, sum: 2 });
});
