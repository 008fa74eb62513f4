import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database, Statement } from '../../src/db/database.ts';
import { pastRuns, readShares } from '../../src/db/repositories/progress.ts';
import { listHistory, reportTasks, reportWorkflows } from '../../src/db/repositories/reports.ts';
import { listRuns } from '../../src/db/repositories/runs.ts';
import { TASK_LABEL } from '../../src/domain/run/oneTask.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aPast } from './aPast.ts';

const RUNS = 10_000;
const OTHERS = 9;
const MINUTE = 60_000;
const workspace = randomUUID();

let base: TestDatabase;
let db: Database;
let newest: string;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open('tiu_engine', 1);
  newest = await aPast(db.pool, { workspace, runs: RUNS, overMs: 6 * 1_440 * MINUTE, others: OTHERS });
  const label = `insert into label select $1, 'tiu.form', 'task', id from run where definition = 'd9'`;
  await db.rows({ name: 'labels', text: label, values: [workspace] });
});
afterAll(() => base.drop());

/** What of its plan PostgreSQL ran for what a repository asks: not the scans of partitions that no row was looked for in. */
async function explained(ask: (db: Database) => Promise<unknown>): Promise<string> {
  const asked: Statement[] = [];
  const rows: Database['rows'] = (statement) => {
    asked.push(statement);
    return Promise.resolve([]);
  };
  await ask({ ...db, rows });
  const [{ text, values }] = asked as [Statement];
  const { rows: lines } = await db.pool.query<Record<string, string>>(`explain (analyze, timing off) ${text}`, [...values]);
  const plan = lines.map((line) => line['QUERY PLAN'] ?? '');
  return plan.filter((line) => !line.includes('(never executed)')).join('\n');
}

const bounds = { runs: 10_000, tasks: 10_000, rows: 1_000 };
const lastHour = (definition?: string) => ({
  workspace,
  definition,
  from: new Date(Date.now() - 60 * MINUTE),
  to: new Date(Date.now() + MINUTE),
});
const walk = { before: undefined, limit: 100, walk: 10_000 };

type Case = [what: string, ask: (db: Database) => Promise<unknown>, index: string];
// prettier-ignore
const cases: Case[] = [
  ['a report of all definitions', (to) => reportWorkflows(to, lastHour(), bounds), 'run_of_workspace'],
  ['a report of one definition', (to) => reportWorkflows(to, lastHour('d3'), bounds), 'run_of_definition'],
  ['a report of tasks', (to) => reportTasks(to, { ...lastHour(), by: 'task' }, bounds), 'run_of_workspace'],
  ['a report of the tasks of one definition by kind', (to) => reportTasks(to, { ...lastHour('d3'), by: 'kind' }, bounds), 'run_of_definition'],
  ['history', (to) => listHistory(to, { ...lastHour(), status: [] }, walk), 'run_of_workspace'],
  ['history of one definition', (to) => listHistory(to, { ...lastHour('d3'), status: ['failed'] }, walk), 'run_of_definition'],
  ['earlier runs for an estimate', (to) => pastRuns(to, { workspace, definition: 'd3', before: newest, runs: 20 }), 'run_of_definition'],
  ['a list of tasks', (to) => listRuns(to, { workspace, status: [], workflow: undefined, labels: [TASK_LABEL], since: undefined }, { before: undefined, limit: 51 }), 'label_pkey'],
  ['how far a run is', (to) => readShares(to, { run: newest, mapped: [0] }), 'task_'],
];

test.each(cases)('among 100,000 runs %s is read by index', async (_, ask, index) => {
  const plan = await explained(ask);
  expect(plan).toContain(index);
  expect(plan).not.toMatch(/Seq Scan on (run|run_state|task|run_event)(_\d+)? /);
});

test('a report over all 10,000 runs of a workspace counts each of them', async () => {
  const six = { ...lastHour(), from: new Date(Date.now() - 7 * 1_440 * MINUTE) };
  const { counted, totals, rows } = await reportWorkflows(db, six, bounds);
  expect(counted).toMatchObject({ runs: RUNS, more: false });
  expect(totals).toMatchObject({ runs: RUNS, failed: RUNS / 10 });
  expect(rows).toHaveLength(10);
  const tasks = await reportTasks(db, { ...six, by: 'task' }, bounds);
  expect(tasks.counted).toMatchObject({ runs: 5_000, more: true });
  expect(tasks.rows.reduce((sum, row) => sum + row.runs, 0)).toBe(10_000);
});

test('items of a map do not make an estimate dearer', async () => {
  const plan = await explained((to) =>
    pastRuns(to, { workspace, definition: 'd9', before: 'ffffffff-ffff-7fff-8fff-ffffffffffff', runs: 1 }),
  );
  const read = [...plan.matchAll(/Scan(?: Backward)? using task_\w+ on task_\w+.*actual rows=([\d.]+) loops=(\d+)/g)].map(
    ([, rows, loops]) => Number(rows) * Number(loops),
  );
  expect(read.reduce((sum, n) => sum + n, 0)).toBe(2); // its two tasks, none of the 1,000 items
});
