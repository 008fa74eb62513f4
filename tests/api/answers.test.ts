import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { advanceRun, markWaiting } from '../../src/db/execution.ts';
import { createJournal, type Journal } from '../../src/db/journal.ts';
import type { TaskRecord } from '../../src/db/journal/record.ts';
import type { ClosedStatus } from '../../src/domain/plan/outcome.ts';
import { mainTasks } from '../../src/domain/plan/phases.ts';
import { aPlan } from '../support/anEngine.ts';
import { anApi, type TestApi } from './anApi.ts';
import { begin, close, tell } from './aStory.ts';

/** Every command in every state, as the product answers it. `TIU_WRITE_COMMANDS=1` writes the page that must say the same. */
const PAGE = path.resolve(import.meta.dirname, '../../docs/commands.md');

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

const http = { type: 'http', with: { url: 'http://127.0.0.1:9' } };
const definition = {
  dsl: 'tiu/1',
  name: 'answers',
  tasks: {
    work: { ...http, compensate: http },
    each: { ...http, map: { items: [0, 1, 2], as: 'i' } },
    after: { type: 'transform', with: { value: 1 }, dependsOn: ['work', 'each'] },
  },
  finally: { last: { type: 'transform', with: { value: 2 } } },
};
const { graph } = aPlan(definition);
/** Places of its tasks in the plan. */
const [WORK = -1, EACH = -1, AFTER = -1, LAST = -1, UNDO = -1] = ['work', 'each', 'after', 'last', 'work.compensate'].map((name) =>
  graph.names.indexOf(name),
);
const MAIN = mainTasks(graph);

type Status = TaskRecord['status'];
type State = { name: string; reach: (run: string) => Promise<unknown>; delay?: string };
type Order = { name: string; path: string; body?: object };

const post = (run: string, { path: of, body }: Pick<Order, 'path' | 'body'>) =>
  api.call('POST', `/api/v1/runs/${run}/${of}`, { ...(body && { body }) });
async function asked(run: string, order: Pick<Order, 'path' | 'body'>): Promise<void> {
  expect(await post(run, order)).toMatchObject({ status: 202 });
}
const running = (run: string) => begin(api.deps.db, run);
async function runningAnd(run: string, order: Pick<Order, 'path' | 'body'>): Promise<void> {
  await running(run);
  await asked(run, order);
}
const attempt = { attempt: 1, token: randomUUID() };
const became = (run: string, task: number, status: Status, more: Partial<TaskRecord> = {}) =>
  tell(journal, run, { ...(status === 'blocked' ? {} : attempt), task, status, ...(status === 'retrying' && { nextMs: 60_000 }), ...more });

/** The tasks before `finally` have settled, and the run cleans up. */
async function cleaning(run: string, phase: 1 | 2): Promise<void> {
  await running(run);
  await became(run, WORK, 'completed');
  await became(run, EACH, phase === 1 ? 'failed' : 'completed');
  await became(run, AFTER, phase === 1 ? 'blocked' : 'completed');
  const advanced = await advanceRun(api.deps.db, {
    ...{ run, epoch: 1, phase, main: MAIN, status: phase === 1 ? ('failed' as const) : ('completed' as const), failure: null },
    ...{ begin: phase === 1 ? [{ task: UNDO, generation: 0 }] : [], undone: [], data: null, timeoutMs: phase === 2 ? 60_000 : null },
  });
  expect(advanced).toMatchObject({ phase });
}

const TASK_ENDS: Record<ClosedStatus, Status> = {
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  timed_out: 'timed_out',
};

/** All tasks end like this, and the run with them. */
async function closed(run: string, status: ClosedStatus): Promise<void> {
  await running(run);
  for (const task of [WORK, EACH, AFTER, LAST]) await became(run, task, TASK_ENDS[status]);
  await close(journal, run, { status });
  expect((await api.call('GET', `/api/v1/runs/${run}`)).body).toMatchObject({ status });
}

const pauseOf = (task: string): Order => ({ name: 'pause a task', path: 'pause', body: { tasks: [task] } });
const RUN_STATES: State[] = [
  { name: 'queued', reach: () => Promise.resolve() },
  { name: 'delayed', reach: () => Promise.resolve(), delay: 'PT1H' },
  { name: 'running', reach: running },
  {
    name: 'waiting',
    reach: async (run) => {
      await running(run);
      await became(run, WORK, 'waiting', { wait: { kind: 'timer', untilMs: 60_000 } });
      await markWaiting(api.deps.db, run, 1);
      expect((await api.call('GET', `/api/v1/runs/${run}`)).body).toMatchObject({ status: 'waiting' });
    },
  },
  { name: 'paused', reach: (run) => runningAnd(run, { path: 'pause' }) },
  { name: 'asked to end', reach: (run) => runningAnd(run, { path: 'cancel' }) },
  { name: 'compensating', reach: (run) => cleaning(run, 1) },
  { name: 'finishing', reach: (run) => cleaning(run, 2) },
  ...(['completed', 'failed', 'cancelled', 'timed_out'] as const).map((status) => ({
    name: status,
    reach: (run: string) => closed(run, status),
  })),
];

/** A running run one of whose tasks (and the first item of another) stands like this. */
const inRunning = (status: Status): State => ({
  name: status,
  reach: async (run) => {
    await running(run);
    await became(run, WORK, status);
    await became(run, EACH, 'running');
    await became(run, EACH, status, { item: 0 });
  },
});
const TASK_STATES: State[] = [
  { name: 'pending', reach: running },
  ...(['running', 'waiting', 'retrying', 'completed', 'failed', 'skipped'] as const).map(inRunning),
  { name: 'paused', reach: (run) => runningAnd(run, pauseOf('work')) },
];

/** A task of a run that failed because of another. */
const inFailed = (status: Status): State => ({
  name: status,
  reach: async (run) => {
    await running(run);
    await became(run, WORK, status);
    for (const task of [EACH, AFTER, LAST]) await became(run, task, 'failed');
    await close(journal, run, { status: 'failed' });
  },
});
const ENDED_STATES: State[] = (['completed', 'failed', 'skipped', 'blocked', 'cancelled', 'timed_out'] as const).map(inFailed);

const ofTask = (task: string, retried: object): Order[] => [
  { name: 'cancel', path: 'cancel' },
  { name: 'force', path: 'cancel', body: { force: true } },
  { name: 'pause', path: 'pause' },
  { name: 'resume', path: 'resume' },
  pauseOf(task),
  { name: 'resume a task', path: 'resume', body: { tasks: [task] } },
  { name: 'retry', path: 'retry', body: retried },
  { name: 'skip a task', path: `tasks/${task}/skip` },
  { name: 'complete a task', path: `tasks/${task}/complete`, body: { output: 1 } },
  { name: 'skip an item', path: 'tasks/each/items/0/skip' },
];

async function answerTo(state: State, order: Order): Promise<string> {
  const body = { definition, ...(state.delay !== undefined && { delay: state.delay }) };
  const accepted = await api.call('POST', '/api/v1/runs', { body, headers: { 'idempotency-key': randomUUID() } });
  const { id } = accepted.body as { id: string };
  await state.reach(id);
  const { status, body: answer } = await post(id, order);
  return status === 202 ? '202' : `\`${(answer as { code: string }).code}\``;
}

/** As the formatter leaves it. */
function table(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const [head = [], ...rest] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rest.map(line)].join('\n');
}

async function answers(corner: string, states: readonly State[], orders: readonly Order[]): Promise<string> {
  const rows: string[][] = [[corner, ...orders.map(({ name }) => name)]];
  for (const state of states) rows.push([state.name, ...(await Promise.all(orders.map((order) => answerTo(state, order))))]);
  return table(rows);
}

test('the tasks are those of the plan', () => {
  expect([WORK, EACH, AFTER, LAST, UNDO].sort()).toEqual([0, 1, 2, 3, 4]);
});

test('every command in every state of a run and of a task is answered as the page says', async () => {
  const page = `# Answers to commands

Written by \`tests/api/answers.test.ts\`, which tries every command in every state; \`TIU_WRITE_COMMANDS=1\` writes the page anew. 202: the command is durable. What
is refused is refused with 409 and a code, and leaves nothing behind. What the commands do: [control.md](control.md).

## By the state of the run

The task is one that depends on others and has not begun, the item one of a mapped task.

${await answers('run', RUN_STATES, ofTask('after', {}))}

## By the state of a task

The run is running. The retry is one of the task; the item stands like the task, and its mapped task is at work.

${await answers('task', TASK_STATES, ofTask('work', { tasks: ['work'] }))}

## A task of a run that failed

${await answers('task', ENDED_STATES, ofTask('work', { tasks: ['work'] }))}
`;
  if (process.env.TIU_WRITE_COMMANDS === '1') fs.writeFileSync(PAGE, page);
  expect(fs.readFileSync(PAGE, 'utf8')).toBe(page);
});
