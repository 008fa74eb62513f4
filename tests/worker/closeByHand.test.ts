import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import { holdDuty, releaseDuty, sweepLeases } from '../../src/db/lease.ts';
import { claimCorrection, closeByHand, closeWaitsOfClosed, makePartitions } from '../../src/db/reconcile.ts';
import { reportWorker, sweepWorkers } from '../../src/db/workers.ts';
import { Problem } from '../../src/domain/problem.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRun, stateOf } from './support/aRun.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const fault = new Problem('engine_fault').toFailure();
const sql = async <R extends object>(text: string, values: unknown[] = []) => (await db.pool.query<R>(text, values)).rows;

test('closing by hand settles every open task and item, keeps what is final, and leaves no gap in the events', async () => {
  const run = await aRun(db, { started: true, total: 4 });
  const put = ([task, item, generation]: [number, number, number], status: string) =>
    sql(
      `insert into task (run, task, item, generation, workspace, status, attempt, seq, token, finished)
        select $1, $2::int, $3::int, $5::int, workspace, $4::text, 1, 1, gen_random_uuid(), case when $4::text = 'completed' then now() end from run_state where run = $1`,
      [run, task, item, status, generation],
    );
  await put([0, -1, 0], 'completed');
  await put([1, -1, 0], 'completed');
  await put([1, -1, 1], 'running');
  await put([2, -1, 0], 'waiting');
  await put([2, 0, 0], 'completed');
  await put([2, 1, 0], 'running');
  await sql(
    `insert into wait (run, task, item, generation, kind, workspace) select run, 2, -1, 0, 'map', workspace from run_state where run = $1`,
    [run],
  );

  expect(await closeByHand(db, run, fault)).toBe(6);

  expect(await sql('select task, item, generation, status from task where run = $1 order by task, item, generation', [run])).toEqual([
    { task: 0, item: -1, generation: 0, status: 'completed' },
    { task: 1, item: -1, generation: 0, status: 'completed' },
    { task: 1, item: -1, generation: 1, status: 'cancelled' },
    { task: 2, item: -1, generation: 0, status: 'cancelled' },
    { task: 2, item: 0, generation: 0, status: 'completed' },
    { task: 2, item: 1, generation: 0, status: 'cancelled' },
    { task: 3, item: -1, generation: 0, status: 'cancelled' },
  ]);
  expect(await sql('select seq::int, type, task, item from run_event where run = $1 order by seq', [run])).toEqual([
    { seq: 1, type: 'run.accepted', task: null, item: null },
    { seq: 2, type: 'task.cancelled', task: 1, item: null },
    { seq: 3, type: 'task.cancelled', task: 2, item: 1 },
    { seq: 4, type: 'task.cancelled', task: 2, item: null },
    { seq: 5, type: 'task.cancelled', task: 3, item: null },
    { seq: 6, type: 'run.failed', task: null, item: null },
  ]);
  expect(await stateOf(db, run)).toMatchObject({ status: 'failed', failure: { code: 'engine_fault' }, epoch: 2, last_seq: '6', open: 0 });
  expect(await sql('select closed from wait where run = $1', [run])).toEqual([{ closed: true }]);
  expect(await closeByHand(db, run, fault)).toBeNull();
});

test('a correction is refused once the run was closed or restarted', async () => {
  const run = await aRun(db, { started: true });
  expect(await claimCorrection(db, { runId: run, epoch: 1 }, true)).toBe(true);
  expect((await stateOf(db, run)).restarts).toBe(1);
  await sql('update run_state set epoch = 2 where run = $1', [run]);
  expect(await claimCorrection(db, { runId: run, epoch: 1 }, true)).toBe(false);
  await closeByHand(db, run, fault);
  expect(await claimCorrection(db, { runId: run, epoch: 3 }, true)).toBe(false);
});

test('one holder at a time; another takes over when the lease has ended or was given up', async () => {
  const [a, b] = [randomUUID(), randomUUID()];
  const hold = (holder: string, ms = 10_000) => holdDuty(db, { key: 'reconciler', holder, ms });
  expect(await hold(a)).toBe(true);
  expect(await hold(b)).toBe(false);
  expect(await hold(a, -1)).toBe(true);
  expect(await hold(b)).toBe(true);
  expect(await hold(a)).toBe(false);
  await releaseDuty(db, { key: 'reconciler', holder: a });
  expect(await hold(a)).toBe(false);
  await releaseDuty(db, { key: 'reconciler', holder: b });
  expect(await hold(a)).toBe(true);
});

test('slots and waits of closed runs are freed, those of open runs are kept', async () => {
  const [open, closed] = [await aRun(db, { started: true }), await aRun(db, { started: true })];
  for (const run of [open, closed]) {
    await sql(
      `insert into lease (workspace, key, slot, holder, run, expires) select workspace, 'limit', $2::int, $1, $1, now() + interval '1 h' from run_state where run = $1`,
      [run, run === open ? 0 : 1],
    );
    await sql(
      `insert into wait (run, task, item, generation, kind, workspace) select run, 0, -1, 0, 'timer', workspace from run_state where run = $1`,
      [run],
    );
  }
  await sql('update run_state set finished = now() where run = $1', [closed]);
  expect(await sweepLeases(db)).toBe(1);
  await closeWaitsOfClosed(db);
  expect(await sql(`select run from lease where key = 'limit'`)).toEqual([{ run: open }]);
  expect(await sql('select run from wait where not closed and run = any($1)', [[open, closed]])).toEqual([{ run: open }]);
});

test('partitions ahead can be made by the engine, again and again', async () => {
  await makePartitions(db);
  await makePartitions(db);
});

test('a worker reports by a row of its own, and is forgotten a day after its last report', async () => {
  const id = randomUUID();
  const report = (temporal: boolean) =>
    reportWorker(db, { id, name: 'w', version: '1', temporal, reconciledMs: temporal ? 1_000 : null, data: { pid: 1 } });
  await report(false);
  await report(true);
  expect(await sql('select temporal, extract(epoch from reconciled)::int as reconciled, data from worker where id = $1', [id])).toEqual([
    { temporal: true, reconciled: 1, data: { pid: 1 } },
  ]);
  await sweepWorkers(db);
  await sql(`update worker set seen = now() - interval '2 days' where id = $1`, [id]);
  await sweepWorkers(db);
  expect(await sql('select id from worker where id = $1', [id])).toEqual([]);
});
