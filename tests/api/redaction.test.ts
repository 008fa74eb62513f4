import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { anApi, type TestApi } from './anApi.ts';
import { begin, close, tell } from './aStory.ts';
import { tiu } from '../cli/aTerminal.ts';

const CANARY = 'canary-in-a-field';
const hidden = { type: 'string', 'x-secret': true };

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

const login = {
  type: 'transform',
  with: { value: 1 },
  output: { schema: { type: 'object', properties: { token: hidden, n: { type: 'number' } } } },
};
const definition = {
  dsl: 'tiu/1',
  name: 'hides',
  input: { schema: { type: 'object', properties: { password: hidden, n: { type: 'number' } } } },
  tasks: {
    login,
    each: { ...login, map: { items: [1, 2] } },
    pass: { type: 'transform', with: { value: { at: '${tasks.login.output}', all: '${tasks.each.output}' } } },
  },
  output: { value: { login: '${tasks.login.output}', line: 'n is ${input.password}' } },
};

const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  api.call('POST', path, { body, headers: { 'idempotency-key': crypto.randomUUID(), ...headers } });
async function aRun(input: JsonObject = {}): Promise<string> {
  const { body } = await post('/api/v1/runs', { definition, input });
  const { id } = body as { id: string };
  await begin(api.deps.db, id);
  return id;
}
const output = (value: Json) => ({ output: JSON.stringify(value) });
const value = { token: CANARY, n: 1 };
const shown = { token: '[redacted]', n: 1 };
// tasks by number: each, login, pass
const [EACH, LOGIN, PASS] = [0, 1, 2];

test('marked fields of outputs are redacted in every answer, and nothing else is', async () => {
  const id = await aRun({ password: CANARY, n: 2 });
  const at = `/api/v1/runs/${id}`;
  await tell(journal, id, { task: LOGIN, ...output(value) });
  await tell(journal, id, { task: EACH, item: 0, ...output(value) });
  const big = await api.deps.objects.put(api.owner.workspace, Buffer.from(JSON.stringify({ ...value, more: 'x'.repeat(70_000) })));
  await tell(journal, id, { task: EACH, item: 1, outputRef: Buffer.from(big.sha256, 'hex'), outputSize: big.size });
  await tell(journal, id, { task: EACH });
  await tell(journal, id, { task: PASS, ...output({ at: value, all: [value] }) });
  await close(journal, id, { status: 'completed', ...output({ login: value, line: `n is ${CANARY}` }) });

  expect((await api.call('GET', `${at}/tasks/login`)).body).toMatchObject({ output: shown });
  expect((await api.call('GET', `${at}/tasks/login/output`)).body).toEqual(shown);
  const stored = { ...shown, more: 'x'.repeat(70_000) };
  expect((await api.call('GET', `${at}/tasks/each`)).body).toMatchObject({ output: [shown, stored] });
  expect((await api.call('GET', `${at}/tasks/each/output`)).body).toEqual([shown, stored]);
  expect((await api.call('GET', `${at}/tasks/each/items`)).body).toMatchObject({
    items: [
      { index: 0, output: shown },
      { index: 1, output: null, outputRef: null },
    ],
  });
  expect((await api.call('GET', `${at}/tasks/pass`)).body).toMatchObject({ output: { at: shown, all: [shown] } });
  expect((await api.call('GET', `${at}/output`)).body).toMatchObject({ output: { login: shown, line: '[redacted]' } });
  const all = await Promise.all(['', '/tasks', '/events', '/output', '/tasks/pass/output'].map((path) => api.call('GET', at + path)));
  for (const { text } of all) expect(text).not.toContain(CANARY);
  for (const command of [
    ['watch', id],
    ['events', id],
    ['runs', '--json'],
  ]) {
    const printed = await tiu(command, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key } });
    expect(printed.out + printed.err).not.toContain(CANARY);
  }
});

test('an output in which something is marked is streamed up to 8 MB, and a larger one is not shown', async () => {
  const bound = 8 * 2 ** 20;
  const text = JSON.stringify({ ...value, more: '' });
  const stored = Buffer.from(JSON.stringify({ ...value, more: 'x'.repeat(bound - text.length) }));
  expect(stored).toHaveLength(bound);
  for (const [extra, expected] of [
    [0, { ...shown, more: expect.any(String) as unknown }],
    [1, '[redacted]'],
  ] as const) {
    const { sha256 } = await api.deps.objects.put(api.owner.workspace, stored);
    const id = await aRun();
    await tell(journal, id, { task: LOGIN, outputRef: Buffer.from(sha256, 'hex'), outputSize: bound + extra });
    expect((await api.call('GET', `/api/v1/runs/${id}/tasks/login/output`)).body).toEqual(expected);
  }
});

test('whoever waits for the end of a run is shown its output without what is marked, also when it is asked again', async () => {
  const key = crypto.randomUUID();
  const ask = () => post('/api/v1/runs', { definition: { ...definition, name: 'waits' } }, { 'idempotency-key': key, prefer: 'wait=20' });
  const first = ask();
  const find = async () =>
    ((await api.call('GET', '/api/v1/runs?status=queued&workflow=waits')).body as { items: { id: string }[] }).items[0]?.id;
  let id = await find();
  while (id === undefined) id = await find();
  await begin(api.deps.db, id);
  await tell(journal, id, { task: EACH });
  await tell(journal, id, { task: LOGIN, ...output(value) });
  await tell(journal, id, { task: PASS, ...output(1) });
  await close(journal, id, { status: 'completed', ...output({ login: value, line: CANARY }) });
  for (const answer of [await first, await ask()]) {
    expect(answer.body).toMatchObject({ status: 'completed', output: { login: shown, line: '[redacted]' } });
    expect(answer.text).not.toContain(CANARY);
  }
});

test('the input of a schedule is shown without what its workflow marks', async () => {
  await post('/api/v1/workflows', { definition });
  const input = { password: CANARY, n: 3 };
  const made = await post('/api/v1/schedules', { name: 'nightly', workflow: { name: 'hides' }, spec: { cron: '@daily' }, input });
  expect(made).toMatchObject({ status: 201, body: { input: { password: '[redacted]', n: 3 } } });
  const paused = await api.call('POST', '/api/v1/schedules/nightly/pause', { body: {} });
  const answers = [made, paused, await api.call('GET', '/api/v1/schedules/nightly'), await api.call('GET', '/api/v1/schedules')];
  for (const { status, text } of answers) {
    expect(status).toBeLessThan(300);
    expect(text).not.toContain(CANARY);
  }
  const rows = await api.deps.db.rows<{ input: Json }>({ name: 'kept', text: 'select input from schedule', values: [] });
  expect(rows).toEqual([{ input }]); // its runs get what was given
});
