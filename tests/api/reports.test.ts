import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient } from '../../src/client/createClient.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { TaskRecord } from '../../src/db/journal/record.ts';
import { anApi, type TestApi } from './anApi.ts';
import { begin, close, tell } from './aStory.ts';

let api: TestApi;
let journal: Journal;
beforeAll(async () => {
  api = await anApi({ TIU_REPORT_MAX_DAYS: '31' });
  journal = createJournal({ url: api.base.url });
  await history();
});
afterAll(async () => {
  await journal.close();
  await api.stop();
});

type Ended = {
  status: 'completed' | 'failed' | 'cancelled';
  queuedMs: number;
  tookMs: number;
  tasks: (Partial<TaskRecord> & { ms: number })[];
};
const set = (name: string, text: string, values: unknown[]) => api.deps.db.rows({ name, text, values });
const runs: Record<string, string> = {};

async function start(definition: object): Promise<string> {
  const headers = { 'idempotency-key': randomUUID() };
  return ((await api.call('POST', '/api/v1/runs', { body: { definition }, headers })).body as { id: string }).id;
}

/** A run that ended so, an hour ago. */
async function ended(definition: object, { status, queuedMs, tookMs, tasks }: Ended): Promise<string> {
  const run = await start(definition);
  await begin(api.deps.db, run);
  for (const [task, { ms, ...chapter }] of tasks.entries()) {
    await tell(journal, run, { task, ...chapter });
    await set('took', `update task set started = finished - $3 * interval '1 ms' where run = $1 and task = $2 and status <> 'blocked'`, [
      run,
      task,
      ms,
    ]);
  }
  await close(journal, run, { status, ...(status === 'failed' && { failure: FAILURE }) });
  await set('was', `update run set created = date_trunc('milliseconds', clock_timestamp() - interval '1 hour') where id = $1`, [run]);
  const text = `update run_state s set started = r.created + $2 * interval '1 ms', finished = r.created + ($2 + $3) * interval '1 ms' from run r where r.id = s.run and r.id = $1`;
  await set('then', text, [run, queuedMs, tookMs]);
  return run;
}

const FAILURE = JSON.stringify({ code: 'http_status', message: 'told \u0000 by "somebody"', data: { code: 'other' } });
const call = { type: 'http', with: { url: 'https://example.org/' } };
const pay = { dsl: 'tiu/1', name: 'pay', tasks: { call, sum: { type: 'transform', with: { value: 1 }, dependsOn: ['call'] } } };
const other = { dsl: 'tiu/1', name: 'other', tasks: { only: call } };

async function history(): Promise<void> {
  const sum = { ms: 0, output: '1' };
  runs.quick = await ended(pay, { status: 'completed', queuedMs: 1_000, tookMs: 10_000, tasks: [{ ms: 9_000, attempt: 1 }, sum] });
  runs.slow = await ended(pay, { status: 'completed', queuedMs: 3_000, tookMs: 20_000, tasks: [{ ms: 19_000, attempt: 3 }, sum] });
  const refused = { ms: 60_000, status: 'failed', failure: FAILURE, attempt: 4 } as const;
  runs.failed = await ended(pay, { status: 'failed', queuedMs: 2_000, tookMs: 60_000, tasks: [refused, { ms: 0, status: 'blocked' }] });
  runs.open = await start(pay);
  runs.other = await ended(other, { status: 'completed', queuedMs: 0, tookMs: 5_000, tasks: [{ ms: 5_000 }] });
}

type Report = { counted: object; totals: object; items: Record<string, unknown>[]; moreRows: boolean };
const get = async (path: string) => (await api.call('GET', `/api/v1/reports/${path}`)).body as Report;
const twoDaysAgo = () => new Date(Date.now() - 2 * 86_400_000).toISOString();

test('runs are counted by definition, with outcomes, durations, queue time and failures', async () => {
  const { counted, totals, items, moreRows } = await get('workflows');
  expect(counted).toMatchObject({ runs: 5, more: false });
  expect(moreRows).toBe(false);
  expect(totals).toEqual({
    runs: 5,
    open: 1,
    completed: 3,
    failed: 1,
    cancelled: 0,
    timedOut: 0,
    successRate: 0.75,
    recentSuccessRate: 0.75,
  });
  expect(items).toEqual([
    {
      ...{
        workflow: 'pay',
        runs: 4,
        open: 1,
        completed: 2,
        failed: 1,
        cancelled: 0,
        timedOut: 0,
        successRate: 0.6667,
        recentSuccessRate: 0.6667,
      },
      duration: { p50: 20_000, p95: 56_000, mean: 30_000 },
      queued: { p50: 2_000, p95: 2_900, mean: 2_000 },
      failures: [{ code: 'http_status', n: 1 }],
    },
    expect.objectContaining({
      workflow: 'other',
      runs: 1,
      successRate: 1,
      duration: { p50: 5_000, p95: 5_000, mean: 5_000 },
      failures: [],
    }),
  ]);
});

test('tasks are counted by definition and id, the slowest first, or by kind', async () => {
  const { items, counted } = await get('tasks');
  expect(counted).toMatchObject({ runs: 5, more: false });
  expect(items).toMatchObject([
    {
      ...{ workflow: 'pay', task: 'call', kind: 'http', runs: 3, completed: 2, failed: 1, successRate: 0.6667, retries: 5 },
      ...{ duration: { p50: 19_000, p95: 55_900 }, slowestRun: runs.failed, failures: [{ code: 'http_status', n: 1 }] },
    },
    { workflow: 'other', task: 'only', runs: 1, slowestRun: runs.other },
    { workflow: 'pay', task: 'sum', kind: 'transform', runs: 3, completed: 2, blocked: 1, successRate: 1, duration: { p95: 0 } },
  ]);
  expect((await get('tasks?by=kind')).items).toMatchObject([
    { kind: 'http', workflow: null, task: null, runs: 4, successRate: 0.75, retries: 5 },
    { kind: 'transform', runs: 3 },
  ]);
  expect((await get('tasks?workflow=other')).items).toHaveLength(1);
});

test('the newest fifty that are closed make the recent success rate', async () => {
  const often = { ...other, name: 'often' };
  for (let i = 0; i < 51; i++) await ended(often, { status: i < 2 ? 'failed' : 'completed', queuedMs: 0, tookMs: 1, tasks: [{ ms: 1 }] });
  expect((await get('workflows?workflow=often')).items).toMatchObject([
    { runs: 51, failed: 2, successRate: 0.9608, recentSuccessRate: 0.98 },
  ]);
  await set('gone', `delete from run where definition = 'often'`, []);
});

test('what has ended is listed with its times, page by page, all or as it ended', async () => {
  const first = (await get('history?limit=3')) as unknown as { items: { runId: string }[]; nextCursor: string; successRate: number };
  expect(first).toMatchObject({
    successRate: 0.6667,
    items: [
      { runId: runs.other },
      { runId: runs.failed, status: 'failed', code: 'http_status', queuedMs: 2_000, durationMs: 60_000 },
      { runId: runs.slow },
    ],
  });
  expect(await get(`history?limit=3&cursor=${first.nextCursor}`)).toMatchObject({ items: [{ runId: runs.quick }], nextCursor: null });
  expect(await get('history?status=failed&status=cancelled')).toMatchObject({ successRate: 0, items: [{ runId: runs.failed }] });
  expect(await get('history?workflow=other')).toMatchObject({ successRate: 1, items: [{ workflow: 'other' }] });
});

test('each report comes as CSV', async () => {
  const read = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await api.call('GET', `/api/v1/reports/${path}`, { headers });
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    return answer.text.split('\r\n');
  };
  expect(await read('workflows?format=csv&workflow=pay')).toEqual([
    'workflow,runs,open,completed,failed,cancelled,timedOut,successRate,recentSuccessRate,durationP50Ms,durationP95Ms,durationMeanMs,queuedP50Ms,queuedP95Ms,queuedMeanMs,failures',
    'pay,4,1,2,1,0,0,0.6667,0.6667,20000,56000,30000,2000,2900,2000,http_status:1',
    '',
  ]);
  expect((await read('tasks?by=kind', { accept: 'text/csv' }))[2]).toMatch(/^,,transform,3,2,0,0,0,0,1,1,0,0,0,0,[0-9a-f-]{36},$/);
  expect(await read('history?limit=1&format=csv')).toHaveLength(3);
});

test('reports are of the own workspace only', async () => {
  for (const path of ['workflows', 'tasks', 'history'])
    expect((await api.call('GET', `/api/v1/reports/${path}`, { key: api.stranger.key })).body).toMatchObject({ items: [] });
});

const DAY = 86_400_000;
const range = (ms: number) => `from=2026-01-01T00:00:00Z&to=${new Date(Date.UTC(2026, 0, 1) + ms).toISOString()}`;

test.each([
  ['of 31 days', range(31 * DAY), 200],
  ['longer than 31 days', range(31 * DAY + 1), 422],
  ['that ends as it begins', range(0), 422],
  ['that ends before it begins', range(-1), 422],
  ['of no time', 'from=yesterday', 422],
  ['before there were computers', 'from=0001-01-01T00:00:00Z&to=0001-01-02T00:00:00Z', 200],
  ['at the end of the calendar', 'from=9999-12-30T00:00:00Z&to=9999-12-31T23:59:59Z', 200],
])('a range %s', async (_, query, status) => {
  for (const path of ['workflows', 'tasks', 'history'])
    expect((await api.call('GET', `/api/v1/reports/${path}?${query}`)).status).toBe(status);
});

test('a range holds what was accepted from its beginning up to its end', async () => {
  const created = async (run: string | undefined) =>
    ((await api.call('GET', `/api/v1/runs/${run ?? ''}`)).body as { createdAt: string }).createdAt;
  const at = await created(runs.failed);
  const counted = async (from: string, to: string) => (await get(`workflows?workflow=pay&from=${from}&to=${to}`)).counted;
  expect(await counted(at, await created(runs.open))).toMatchObject({ runs: 1, since: at });
  expect(await counted(twoDaysAgo(), at)).toMatchObject({ runs: 2 });
});

test('past a bound the newest are counted and the rest is said to be left out', async () => {
  const { config } = api.deps;
  const bounded = async (bounds: Partial<typeof config>, path: string) => {
    api.deps.config = { ...config, ...bounds };
    const answer = await api.call('GET', `/api/v1/reports/${path}`);
    api.deps.config = config;
    return answer;
  };
  expect((await bounded({ TIU_REPORT_MAX_RUNS: 5 }, 'workflows')).body).toMatchObject({ counted: { runs: 5, more: false } });
  const few = await bounded({ TIU_REPORT_MAX_RUNS: 2 }, 'workflows');
  expect(few.body).toMatchObject({ counted: { runs: 2, more: true }, items: [{ workflow: 'other' }, { workflow: 'pay', open: 1 }] });
  expect((await bounded({ TIU_REPORT_MAX_ROWS: 1 }, 'workflows')).body).toMatchObject({
    moreRows: true,
    items: [{ workflow: 'pay' }],
    totals: { runs: 5 },
  });
  expect((await bounded({ TIU_REPORT_MAX_ROWS: 2 }, 'workflows')).body).toMatchObject({ moreRows: false });
  // 1 + 2 + 2 tasks of the newest three runs
  expect((await bounded({ TIU_REPORT_MAX_TASKS: 5 }, 'tasks')).body).toMatchObject({ counted: { runs: 3, more: true } });
  expect((await bounded({ TIU_REPORT_MAX_TASKS: 4 }, 'tasks')).body).toMatchObject({ counted: { runs: 2, more: true } });
  expect((await bounded({ TIU_REPORT_MAX_TASKS: 9 }, 'tasks')).body).toMatchObject({ counted: { runs: 5, more: false } });
  const csv = await bounded({ TIU_REPORT_MAX_RUNS: 2, TIU_REPORT_MAX_ROWS: 1 }, 'workflows?format=csv');
  expect(csv.headers.get('tiu-more')).toBe('runs, rows');
  // a walk that ends before the range does goes on from where it was
  const found: string[] = [];
  for (let cursor = ''; ;) {
    const page = (await bounded({ TIU_REPORT_MAX_RUNS: 2 }, `history?workflow=pay&status=completed${cursor}`)).body as {
      items: { runId: string }[];
      nextCursor: string | null;
    };
    found.push(...page.items.map(({ runId }) => runId));
    if (page.nextCursor === null) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  expect(found).toEqual([runs.slow, runs.quick]);
});

test('the client library has reports', async () => {
  const { reports } = createClient({ baseUrl: api.url, token: api.owner.key });
  expect((await reports.workflows({ workflow: 'pay' })).items).toHaveLength(1);
  expect((await reports.tasks({ by: 'kind' })).items).toHaveLength(2);
  expect((await reports.history({ status: 'failed' })).items).toHaveLength(1);
});
