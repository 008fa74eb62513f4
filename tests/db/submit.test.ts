import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import type { Database } from '../../src/db/database.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aSubmit, sha256, statement, WORKSPACE } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
let submits: Submits;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  submits = createSubmits({ url: base.url });
});
afterAll(async () => {
  await submits.close();
  await base.drop();
});

const rows = (text: string, ...values: unknown[]) => db.rows<Record<string, unknown>>(statement(text, values));
const runs = async () => (await rows('select count(*)::int as n from run'))[0]?.n as number;

test('an accepted run has everything that belongs to it', async () => {
  const artifact = sha256('artifact');
  const labels = { team: 'core', env: 'test' };
  const submit = aSubmit({ input: '{"b":1,"a":"\\u0000"}', labels, artifacts: [artifact], deadlineMs: 60_000, priority: 5, tasks: 3 });
  const { outcome, runId } = await submits.submitRun(submit);
  expect(outcome).toBe('new');
  expect(
    await rows(
      'select workspace, definition, priority, labels, input::text, created_by, deadline > created as later from run where id = $1',
      runId,
    ),
  ).toEqual([{ workspace: WORKSPACE, definition: 'greet', priority: 5, labels, input: submit.input, created_by: 'key:1', later: true }]);
  expect(
    await rows(
      'select status, epoch, total, open, last_seq::int, intent, started, deadline is not null as deadline from run_state where run = $1',
      runId,
    ),
  ).toEqual([{ status: 'queued', epoch: 0, total: 3, open: 3, last_seq: 1, intent: null, started: null, deadline: true }]);
  expect(await rows('select seq::int, type from run_event where run = $1', runId)).toEqual([{ seq: 1, type: 'run.accepted' }]);
  expect(await rows('select name, value from label where run = $1 order by name', runId)).toEqual([
    { name: 'env', value: 'test' },
    { name: 'team', value: 'core' },
  ]);
  expect(await rows('select sha256 from artifact_ref where holder = $1', `run:${runId}`)).toEqual([{ sha256: artifact }]);
  expect(await rows('select actor, action from audit where subject = $1', `run:${runId}`)).toEqual([
    { actor: 'key:1', action: 'run.start' },
  ]);
});

test('the same key with the same body is known, with another body a conflict', async () => {
  const submit = aSubmit();
  const first = await submits.submitRun(submit);
  const before = await runs();
  expect(await submits.submitRun(submit)).toEqual({ outcome: 'known', runId: first.runId });
  expect(await submits.submitRun({ ...submit, requestHash: sha256('other') })).toMatchObject({ outcome: 'conflict' });
  expect(await submits.submitRun({ ...submit, principal: 'key:2' })).toMatchObject({ outcome: 'new' });
  expect(await runs()).toBe(before + 1);
});

test('duplicates that arrive at the same instant make one run', async () => {
  const submit = aSubmit();
  const all = await Promise.all(Array.from({ length: 10 }, () => submits.submitRun(submit)));
  expect(all.map((s) => s.outcome).sort()).toEqual([...Array<string>(9).fill('known'), 'new']);
  expect(new Set(all.map((s) => s.runId)).size).toBe(1);
});

test('a run id of the client is a key of its own', async () => {
  const keyless = aSubmit({ runId: randomUUIDv7() });
  delete keyless.key;
  const runId = keyless.runId ?? '';
  expect(await submits.submitRun(keyless)).toMatchObject({ outcome: 'new', runId });
  expect(await submits.submitRun({ ...keyless, principal: 'key:2' })).toEqual({ outcome: 'known', runId });
  expect(await submits.submitRun({ ...keyless, requestHash: sha256('other') })).toEqual({ outcome: 'conflict', runId });
});

test('a run id that another workspace has is a conflict and leaves nothing behind', async () => {
  const taken = await submits.submitRun(aSubmit());
  const submit = aSubmit({ workspace: randomUUID(), runId: taken.runId });
  const [stolen, fine] = await Promise.all([submits.submitRun(submit), submits.submitRun(aSubmit())]);
  expect([stolen.outcome, fine.outcome]).toEqual(['conflict', 'new']);
  expect(await rows('select * from idempotency where workspace = $1', submit.workspace)).toEqual([]);
  expect(await rows('select count(*)::int as n from run_event where run = $1', taken.runId)).toEqual([{ n: 1 }]);
});

test('a key that was used with another run id takes no run id with it', async () => {
  const first = aSubmit({ runId: randomUUIDv7() });
  await submits.submitRun(first);
  const second = { ...first, runId: randomUUIDv7(), requestHash: sha256('other') };
  expect((await submits.submitRun(second)).outcome).toBe('conflict');
  expect(await rows('select * from idempotency where key = $1', `run:${second.runId}`)).toEqual([]);
});

test('an expired key is free again', async () => {
  const submit = aSubmit();
  await submits.submitRun(submit);
  await rows(`update idempotency set expires = clock_timestamp() - interval '1 s' where key = $1`, submit.key);
  expect((await submits.submitRun({ ...submit, requestHash: sha256('other') })).outcome).toBe('new');
});

test('one submit that cannot be stored does not take the others with it', async () => {
  const bad = submits.submitRun(aSubmit({ labels: { name: 'a\u0000b' } }));
  const good = submits.submitRun(aSubmit());
  await expect(bad).rejects.toMatchObject({ code: 'invalid_request' });
  expect((await good).outcome).toBe('new');
});

test('100 rounds of 4 processes with the same keys in different order: no deadlock, each key one run', async () => {
  const writers = Array.from({ length: 4 }, () => createSubmits({ url: base.url }));
  const before = await runs();
  const deadlocks = async () => (await rows('select deadlocks::int as n from pg_stat_database where datname = current_database()'))[0]?.n;
  const wrong: unknown[] = [];
  for (let round = 0; round < 100; round++) {
    const keys = Array.from({ length: 10 }, () => aSubmit());
    const answers = await Promise.all(
      writers.flatMap((writer, w) => keys.map((_, i) => writer.submitRun(keys[(i * 3 + w * 7) % 10] ?? aSubmit()).then((s) => s.outcome))),
    );
    if (answers.filter((o) => o === 'new').length !== 10 || answers.includes('conflict')) wrong.push(answers);
  }
  expect(wrong).toEqual([]);
  expect(await runs()).toBe(before + 1_000);
  expect(await deadlocks()).toBe(0);
  for (const writer of writers) await writer.close();
});
