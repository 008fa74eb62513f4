import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import { endQueued } from '../../src/db/dispatch.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import type { OnConflict } from '../../src/domain/plan/plan.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aSubmit } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
let submitters: Submits[];
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  submitters = Array.from({ length: 3 }, () => createSubmits({ url: base.url, priorityAgeMs: 10_000 }));
});
afterAll(async () => {
  await Promise.all(submitters.map((submits) => submits.close()));
  await base.drop();
});

const submit = async (concurrency: { key: string; limit: number; onConflict: OnConflict }, by = 0) =>
  submitters[by]?.submitRun(aSubmit({ concurrency }));
const statesOf = async (key: string) =>
  (
    await db.pool.query<{ status: string; intent: string | null }>('select status, intent from run_state where ckey = $1 order by run', [
      key,
    ])
  ).rows;
const begin = () => db.pool.query('select run from admit_v3($1, 16, 5000, array[]::uuid[])', [randomUUID()]);

test('of runs submitted at once by three processes, as many are accepted as may be open; the others leave nothing', async () => {
  const concurrency = { key: randomUUID(), limit: 3, onConflict: 'reject' as const };
  const outcomes = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => submit(concurrency, i % 3)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'concurrency_limit', status: 409 });
  expect(await statesOf(concurrency.key)).toHaveLength(3);
  const { rows } = await db.pool.query(
    `select (select count(*) from run where ckey = $1)::int as runs, (select count(*) from idempotency)::int as keys`,
    [concurrency.key],
  );
  expect(rows).toEqual([{ runs: 3, keys: 3 }]);
  await db.pool.query(
    `update run_state set finished = now(), status = 'completed' where run = (select min(run::text)::uuid from run_state where ckey = $1)`,
    [concurrency.key],
  );
  expect(await submit(concurrency)).toMatchObject({ outcome: 'new' });
  await expect(submit(concurrency)).rejects.toMatchObject({ code: 'concurrency_limit' });
});

test('a request that was accepted before is known, though its key is taken', async () => {
  const request = aSubmit({ concurrency: { key: randomUUID(), limit: 1, onConflict: 'reject' } });
  const first = await submitters[0]?.submitRun(request);
  expect(await submitters[1]?.submitRun(request)).toEqual({ outcome: 'known', runId: first?.runId });
});

test('those beside a refused run are accepted', async () => {
  const concurrency = { key: randomUUID(), limit: 1, onConflict: 'reject' as const };
  await submit(concurrency);
  const refused = submit(concurrency);
  const beside = Promise.all(Array.from({ length: 5 }, async () => submitters[0]?.submitRun(aSubmit())));
  await expect(refused).rejects.toMatchObject({ code: 'concurrency_limit' });
  expect((await beside).map((one) => one?.outcome)).toEqual(Array.from({ length: 5 }, () => 'new'));
});

test('cancelOlder asks all but the newest to end, those at work and those queued', async () => {
  const concurrency = { key: randomUUID(), limit: 1, onConflict: 'cancelOlder' as const };
  await submit(concurrency);
  await begin();
  await Promise.all(Array.from({ length: 12 }, (_, i) => submit(concurrency, i % 3)));
  expect((await statesOf(concurrency.key)).filter(({ intent }) => intent === null)).toHaveLength(1);
  const ended = await endQueued(db, 100);
  expect(ended).toHaveLength(11);
  const states = await statesOf(concurrency.key);
  expect(states.map(({ status, intent }) => `${status} ${intent ?? '-'}`).sort()).toEqual([
    ...Array.from({ length: 11 }, () => 'cancelled cancel'),
    'queued -',
    'running cancel',
  ]);
  const { rows } = await db.pool.query<{ type: string }>('select type from run_event where run = $1 order by seq', [ended[0]]);
  expect(rows.map(({ type }) => type)).toEqual(['run.accepted', 'command.cancel', 'task.cancelled', 'task.cancelled', 'run.cancelled']);
});

test('a run whose deadline passes in the queue times out there', async () => {
  const concurrency = { key: randomUUID(), limit: 1, onConflict: 'queue' as const };
  await submit(concurrency);
  const late = await submitters[0]?.submitRun(aSubmit({ concurrency, deadlineMs: 1 }));
  await db.pool.query(`update run_state set deadline = now() - interval '1 s' where run = $1`, [late?.runId]);
  expect(await endQueued(db, 100)).toEqual([late?.runId]);
  expect((await statesOf(concurrency.key)).map(({ status }) => status)).toContain('timed_out');
});

test('a level of priority is worth as much waiting as the process says', async () => {
  const { runId } = (await submitters[0]?.submitRun(aSubmit({ priority: 3 }))) ?? { runId: '' };
  const { rows } = await db.pool.query<{ ms: number }>(
    'select (extract(epoch from s.rank - r.created) * 1000)::int as ms from run_state s join run r on r.id = s.run where s.run = $1',
    [runId],
  );
  expect(rows).toEqual([{ ms: 30_000 }]);
});
