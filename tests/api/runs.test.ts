import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import { anApi, type TestApi } from './anApi.ts';

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
const start = (body: object, headers: Record<string, string> = { 'idempotency-key': randomUUID() }) => api.call('POST', '/api/v1/runs', { body, headers });

test('an accepted run is durable and answers 202 with its place', async () => {
  const answer = await start({ definition, labels: { team: 'blue' } });
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
