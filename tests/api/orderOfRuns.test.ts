import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from './anApi.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi();
});
afterAll(() => api.stop());

const call = (priority?: string) => ({ type: 'http', with: { url: 'https://example.org/' }, ...(priority && { priority }) });
const define = (more: object = {}, tasks: object = { z: call(), a: call(), m: call(), k: call() }) => ({
  dsl: 'tiu/1',
  name: 'ordered',
  ...more,
  tasks,
});
type Told = { id: string; strategyUsed: string; strategyReason: string };
const keyed = () => ({ 'idempotency-key': randomUUID() });
const post = (path: string, body: object, headers: Record<string, string> = keyed()) =>
  api.call('POST', `/api/v1${path}`, { body, headers });
const start = async (body: object): Promise<Told> => {
  const answer = await post('/runs', body);
  expect(answer.status).toBe(202);
  return answer.body as Told;
};
/** Names and order of the graph that a run follows. */
async function graphOf(id: string) {
  const [row] = await api.deps.db.rows<{ names: string[]; places: number | null; rank: number[] | null }>({
    name: 'graph',
    text: `select p.body->'graph'->'names' as names, (p.body->'graph'->>'places')::int as places, p.body->'graph'->'rank' as rank from run r join plan p on p.hash = r.plan where r.id = $1`,
    values: [id],
  });
  return row;
}

test('whoever starts a run says in which order its tasks begin, and is told', async () => {
  const run = await start({ definition: define({ strategy: 'priority_based', maxConcurrency: 3 }), strategy: 'sequential' });
  expect(run).toMatchObject({ strategyUsed: 'sequential', strategyReason: 'it was asked for when the run was started' });
  expect(await graphOf(run.id)).toEqual({ names: ['z', 'a', 'm', 'k'], places: null, rank: null });
  expect((await api.call('GET', `/api/v1/runs/${run.id}`)).body).toMatchObject({ strategyUsed: 'sequential' });
  const adaptive = await start({ definition: define(), strategy: 'adaptive' });
  expect(adaptive).toMatchObject({
    strategyUsed: 'parallel',
    strategyReason: 'asked for when the run was started; adaptive: no task depends on another',
  });
  const as = await start({ definition: define({ strategy: 'sequential' }) });
  expect(as).toMatchObject({ strategyUsed: 'sequential', strategyReason: 'it was asked for' });
});

test('places are bounded by the start, and what the definition says of its order stays', async () => {
  const run = await start({ definition: define({ strategy: 'balanced', maxConcurrency: 3 }), maxConcurrency: 2 });
  expect(run).toMatchObject({ strategyUsed: 'balanced', strategyReason: 'it was asked for' });
  expect(await graphOf(run.id)).toMatchObject({ places: 2, rank: [1, 3, 2, 0] });
  expect(await start({ definition: define(), maxConcurrency: 1 })).toMatchObject({
    strategyUsed: 'parallel',
    strategyReason: 'no strategy was asked for',
  });
  const ranked = await start({ definition: define({ strategy: 'balanced' }, { b: call('low'), a: call('high') }), strategy: 'parallel' });
  expect(await graphOf(ranked.id)).toEqual({ names: ['a', 'b'], places: null, rank: null });
});

test('a stored workflow keeps its version, and its other runs their order', async () => {
  expect((await post('/workflows', define())).status).toBe(201);
  const other = { name: 'ordered', number: 1 };
  const executed = await post('/workflows/ordered/execute', { strategy: 'sequential' });
  expect(executed).toMatchObject({ status: 202, body: { strategyUsed: 'sequential', workflow: other } });
  expect(await start({ workflow: { name: 'ordered' }, maxConcurrency: 2 })).toMatchObject({ strategyUsed: 'parallel', workflow: other });
  expect(await start({ workflow: { name: 'ordered' } })).toMatchObject({
    strategyUsed: 'parallel',
    strategyReason: 'no strategy was asked for',
  });
  const batch = await post('/runs/batch', {
    runs: [{ workflow: { name: 'ordered' }, strategy: 'sequential' }, { workflow: { name: 'ordered' } }],
  });
  expect(batch.body).toMatchObject({ results: [{ data: { strategyUsed: 'sequential' } }, { data: { strategyUsed: 'parallel' } }] });
});

test('another order under the same key is another request', async () => {
  const headers = keyed();
  const body = { definition: define(), strategy: 'sequential' };
  expect((await post('/runs', body, headers)).status).toBe(202);
  expect(await post('/runs', body, headers)).toMatchObject({ status: 202, body: { strategyUsed: 'sequential' } });
  expect(await post('/runs', { definition: define() }, headers)).toMatchObject({ body: { code: 'idempotency_mismatch' } });
  expect(await post('/runs', { ...body, maxConcurrency: 2, strategy: 'parallel' }, headers)).toMatchObject({
    body: { code: 'idempotency_mismatch' },
  });
});

test.each([
  ['a strategy that is none', { strategy: 'fast' }, '/strategy'],
  ['no place', { maxConcurrency: 0 }, '/maxConcurrency'],
  ['501 places', { maxConcurrency: 501 }, '/maxConcurrency'],
  ['places one at a time', { strategy: 'sequential', maxConcurrency: 2 }, '/maxConcurrency'],
])('refused: %s', async (_, order, pointer) => {
  expect(await post('/runs', { definition: define(), ...order })).toMatchObject({
    status: 422,
    body: { code: 'invalid_request', issues: [{ pointer }] },
  });
});

test('places of a definition whose tasks go one at a time are refused, 500 places are taken', async () => {
  const refused = await post('/runs', { definition: define({ strategy: 'sequential' }), maxConcurrency: 2 });
  expect(refused).toMatchObject({ status: 422, body: { issues: [{ pointer: '/maxConcurrency', code: 'not_applicable' }] } });
  await start({ definition: define(), maxConcurrency: 500 });
});
