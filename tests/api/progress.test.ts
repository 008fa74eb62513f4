import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { fold } from '../../src/domain/run/fold.ts';
import { percentOfView } from '../../src/domain/run/percent.ts';
import { tiu as inProcess } from '../cli/aTerminal.ts';
import { aPlan } from '../support/anEngine.ts';
import { anApi, type TestApi } from './anApi.ts';
import { begin, close, tell } from './aStory.ts';

let api: TestApi;
let journal: Journal;
beforeAll(async () => {
  api = await anApi({ TIU_ESTIMATE_RUNS: '4' });
  journal = createJournal({ url: api.base.url });
});
afterAll(async () => {
  await journal.close();
  await api.stop();
});

const tiu = (...args: string[]) => inProcess(args, { env: { TIU_URL: api.url, TIU_TOKEN: api.owner.key }, cwd: api.folder });
type Progress = {
  percent: number;
  estimate: { endsAt: string; earliestAt: string; latestAt: string; runs: number } | null;
  criticalPath: { task: string }[];
};
const get = async (path: string) => (await api.call('GET', `/api/v1/runs/${path}`)).body;
const progressOf = async (run: string) => (await get(`${run}/progress`)) as Progress;

async function start(definition: object): Promise<string> {
  const headers = { 'idempotency-key': randomUUID() };
  return ((await api.call('POST', '/api/v1/runs', { body: { definition }, headers })).body as { id: string }).id;
}

const value = { type: 'transform', with: { value: 1 } };
const mapped = {
  dsl: 'tiu/1',
  name: 'mapped',
  tasks: {
    first: value,
    wide: { ...value, map: { items: '${tasks.first.output}' }, dependsOn: ['first'] },
    small: { ...value, map: { items: [1, 2] }, dependsOn: ['wide'] },
    last: { ...value, dependsOn: ['small'] },
  },
};

/** What the service says at two places, and what somebody who heard all events makes of them. */
async function percents(run: string): Promise<number[]> {
  const events = ((await get(`${run}/events`)) as { items: RunEvent[] }).items;
  const { percent } = (await get(run)) as { percent: number };
  return [percent, (await progressOf(run)).percent, percentOfView(aPlan(mapped), fold(events))];
}

test('the percentage is the same for who asks and for who hears the events, in the middle of maps and after a failure', async () => {
  const run = await start(mapped);
  const same = (percent: number) => [percent, percent, percent];
  expect(await percents(run)).toEqual(same(0));
  await begin(api.deps.db, run);
  expect(await percents(run)).toEqual(same(0));
  await tell(journal, run, { task: 0, output: '1' });
  expect(await percents(run)).toEqual(same(4)); // 1 of 22
  const wide = { task: 1, token: randomUUID() };
  const slices: [number, number][] = [
    [0, 3],
    [3, 4],
  ];
  await tell(journal, run, { ...wide, status: 'waiting', wait: { kind: 'map', slices }, data: '{"items":4}' });
  for (const item of [3, 0]) await tell(journal, run, { task: 1, item, output: '1' });
  await tell(journal, run, { task: 1, item: 1, status: 'failed', failure: '{"code":"assertion_failed","message":"no"}' });
  expect(await percents(run)).toEqual(same(27)); // 1 + 10 × 2/4
  await tell(journal, run, wide);
  expect(await percents(run)).toEqual(same(50));
  const small = { task: 2, token: randomUUID() };
  await tell(journal, run, { ...small, status: 'running', data: '{"items":2}' });
  await tell(journal, run, { task: 2, item: 1, output: '1' });
  expect(await percents(run)).toEqual(same(72));
  await tell(journal, run, { ...small, status: 'failed', failure: '{"code":"items_failed","message":"1 of 2"}' });
  expect(await percents(run)).toEqual(same(72));
  await tell(journal, run, { task: 3, status: 'blocked' });
  await close(journal, run, { status: 'failed', failure: '{"code":"items_failed","message":"1 of 2"}' });
  expect(await percents(run)).toEqual(same(72));
});

test('a retry begins a new progress with what it leaves, and the answer says so', async () => {
  const run = await start(mapped);
  await begin(api.deps.db, run);
  await tell(journal, run, { task: 0, output: '1' });
  const wide = { task: 1, token: randomUUID() };
  await tell(journal, run, { ...wide, status: 'running', data: '{"items":2}' });
  for (const item of [0, 1]) await tell(journal, run, { task: 1, item, status: item === 0 ? 'completed' : 'failed' });
  await tell(journal, run, { ...wide, status: 'failed', failure: '{"code":"items_failed","message":"1 of 2"}' });
  await tell(journal, run, { task: 2, output: '[]' });
  await tell(journal, run, { task: 3, status: 'skipped' });
  await close(journal, run, { status: 'failed' });
  const same = (percent: number) => [percent, percent, percent];
  expect(await percents(run)).toEqual(same(77)); // 17 of 22
  expect(await progressOf(run)).toMatchObject({ retries: 0 });
  expect(await api.call('POST', `/api/v1/runs/${run}/retry`)).toMatchObject({ status: 202, body: { percent: 27 } });
  expect(await percents(run)).toEqual(same(27)); // the item that is done stays; the tasks after it run again
  expect(await progressOf(run)).toMatchObject({ retries: 1, status: 'queued' });
});

test('a completed run is at 100, also in the answer of who waited for it; lists leave it out', async () => {
  const run = await start({ ...mapped, name: 'one', tasks: { only: value } });
  await begin(api.deps.db, run);
  await tell(journal, run, { output: '1' });
  expect(await get(run)).toMatchObject({ percent: 99, status: 'running' });
  await close(journal, run);
  expect(await get(run)).toMatchObject({ percent: 100 });
  expect(await progressOf(run)).toMatchObject({ percent: 100, estimate: null, noEstimate: 'closed', atWork: [] });
  const { items } = (await api.call('GET', '/api/v1/runs?workflow=one')).body as { items: object[] };
  expect(items[0]).not.toHaveProperty('percent');
});

const steps = { dsl: 'tiu/1', name: 'steps', tasks: { a: value, b: { ...value, dependsOn: ['a'] }, c: { ...value, dependsOn: ['a'] } } };
const MINUTE = 60_000;

/** A run of `steps` that ended, with the times its tasks took. */
async function past(definition: object, ms: number[], status: 'completed' | 'failed' = 'completed'): Promise<void> {
  const run = await start(definition);
  await begin(api.deps.db, run);
  for (const task of ms.keys()) await tell(journal, run, { task, output: '1' });
  await close(journal, run, { status });
  for (const [task, took] of ms.entries()) {
    const text = `update task set started = finished - $3 * interval '1 ms' where run = $1 and task = $2`;
    await api.deps.db.rows({ name: 'took', text, values: [run, task, took] });
  }
}

test('the end is estimated from earlier completed runs of the definition, with its error and the tasks that decide it', async () => {
  await past(steps, [MINUTE, MINUTE, MINUTE]);
  await past(steps, [10 * MINUTE, 20 * MINUTE, 5 * MINUTE]);
  await past(steps, [90 * MINUTE, 1, 1], 'failed'); // tells nothing
  const run = await start(steps);
  expect(await progressOf(run)).toMatchObject({ noEstimate: 'queued', estimate: null, criticalPath: [] });
  expect((await tiu('progress', run)).out).toBe('queued, 0 %, 0/3 tasks done\nno estimate: it has not begun\n');
  await begin(api.deps.db, run);
  expect(await progressOf(run)).toMatchObject({ noEstimate: 'too_few_runs', estimate: null, criticalPath: [] });

  await past({ ...steps, tasks: { ...steps.tasks, c: { ...value, dependsOn: ['b'] } } }, [10 * MINUTE, 20 * MINUTE, 5 * MINUTE]);
  // begun after those that it learns from
  const next = await start(steps);
  await past(steps, [1, 1, 1]); // later: not asked
  await begin(api.deps.db, next);
  await tell(journal, next, { task: 0, output: '1' });
  await tell(journal, next, { task: 1, status: 'running' });
  const { estimate, criticalPath, ...rest } = await progressOf(next);
  expect(rest).toMatchObject({ percent: 33, noEstimate: null, tasks: { total: 3, done: 1, open: 2 }, atWork: ['b'], status: 'running' });
  const { out } = await tiu('progress', next);
  expect(out).toMatch(/^running, 33 %, 1\/3 tasks done, at work: b\nends about .*, between .* and .*, as 3 earlier runs did\n/);
  expect(out).toMatch(/decided by:\n {2}a completed in .*\n {2}b running, takes about 20 min.* \(4 min 48 s to 20 min.*\)\n$/);
  const left = (at = '') => Math.round((Date.parse(at) - Date.now()) / MINUTE);
  expect(estimate?.runs).toBe(3);
  expect([left(estimate?.earliestAt), left(estimate?.endsAt), left(estimate?.latestAt)]).toEqual([5, 20, 20]);
  const twenty = { ms: 20 * MINUTE, lowMs: 4.8 * MINUTE, highMs: 20 * MINUTE };
  expect(criticalPath).toEqual([
    expect.objectContaining({ task: 'a', status: 'completed', expected: { ms: 10 * MINUTE, lowMs: 2.8 * MINUTE, highMs: 10 * MINUTE } }),
    { task: 'b', status: 'running', tookMs: null, expected: twenty },
  ]);
});

test('at most so many earlier runs are read', async () => {
  const definition = { ...steps, name: 'often' };
  for (let i = 0; i < 5; i++) await past(definition, [MINUTE, MINUTE, MINUTE]);
  const run = await start(definition);
  await begin(api.deps.db, run);
  const runsRead = async (tasks: number) => {
    const { config } = api.deps;
    api.deps.config = { ...config, TIU_ESTIMATE_TASKS: tasks };
    const { estimate } = await progressOf(run);
    api.deps.config = config;
    return estimate?.runs;
  };
  expect((await progressOf(run)).estimate?.runs).toBe(4);
  // of three tasks each; never less than three runs
  expect([await runsRead(12), await runsRead(11), await runsRead(1)]).toEqual([4, 3, 3]);
  expect(await api.call('GET', `/api/v1/runs/${run}/progress`, { key: api.stranger.key })).toMatchObject({ status: 404 });
});
