import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createCommands, type Command, type Commands } from '../../src/db/commands.ts';
import type { Database } from '../../src/db/database.ts';
import { beginIdempotent, finishIdempotent, getIdempotent, releaseIdempotent } from '../../src/db/idempotency.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { sha256, someRuns, statement, WORKSPACE } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
let commands: Commands;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
  commands = createCommands({ url: base.url });
});
afterAll(async () => {
  await commands.close();
  await base.drop();
});

const rows = (text: string, ...values: unknown[]) => db.rows<Record<string, unknown>>(statement(text, values));
const aRun = async () => (await someRuns(db, 1))[0] ?? '';
const aCancel = (run: string, given: Partial<Extract<Command, { type: 'cancel' }>> = {}): Command => ({
  ...{ run, workspace: WORKSPACE, type: 'cancel', reason: 'wrong input', by: 'key:1' },
  ...given,
});
const intentOf = async (run: string) => (await rows('select intent from run_state where run = $1', run))[0]?.intent;

test('a cancel is event, command and audit row under one number', async () => {
  const run = await aRun();
  expect(await commands.command(aCancel(run))).toBe(2);
  expect(await rows('select intent, reason, last_seq::int, command_seq::int, applied_seq::int from run_state where run = $1', run)).toEqual(
    [{ intent: 'cancel', reason: 'wrong input', last_seq: 2, command_seq: 2, applied_seq: 0 }],
  );
  expect(await rows('select seq::int, type, data from run_event where run = $1 and seq > 1', run)).toEqual([
    { seq: 2, type: 'command.cancel', data: { reason: 'wrong input', by: 'key:1' } },
  ]);
  expect(await rows('select seq::int, type, payload, actor from command where run = $1', run)).toEqual([
    { seq: 2, type: 'cancel', payload: { reason: 'wrong input', force: false }, actor: 'key:1' },
  ]);
  expect(await rows('select actor, action from audit where subject = $1', `run:${run}`)).toEqual([
    { actor: 'key:1', action: 'run.cancel' },
  ]);
});

test('a second cancel forces, and so does a first one that says so', async () => {
  const [twice, once] = [await aRun(), await aRun()];
  await commands.command(aCancel(twice));
  await commands.command(aCancel(twice, { reason: 'again' }));
  await commands.command(aCancel(once, { force: true }));
  expect([await intentOf(twice), await intentOf(once)]).toEqual(['force', 'force']);
});

test('a closed run refuses a cancel, and another workspace does not see the run', async () => {
  const run = await aRun();
  await expect(commands.command(aCancel(run, { workspace: randomUUID() }))).rejects.toMatchObject({ code: 'not_found' });
  await rows('update run_state set finished = clock_timestamp() where run = $1', run);
  await expect(commands.command(aCancel(run))).rejects.toMatchObject({ code: 'run_already_closed' });
  expect(await rows('select count(*)::int as n from run_event where run = $1', run)).toEqual([{ n: 1 }]);
});

test('a reason may hold any character', async () => {
  const run = await aRun();
  await commands.command(aCancel(run, { reason: 'a\u0000\ud800b' }));
  expect(await intentOf(run)).toBe('cancel');
});

const HASH = sha256('body');
const aKey = () => ({ workspace: WORKSPACE, principal: 'key:1', key: randomUUID() });

test('an idempotency key is begun once, and its answer repeated', async () => {
  const key = aKey();
  expect(await getIdempotent(db, key, HASH)).toBeUndefined();
  const begun = await Promise.all(Array.from({ length: 4 }, () => beginIdempotent(db, key, HASH)));
  expect(begun.map((b) => b.state).sort()).toEqual(['begun', 'running', 'running', 'running']);
  await finishIdempotent(db, key, { hash: HASH, status: 201, response: { b: 1, a: null } });
  expect(await beginIdempotent(db, key, HASH)).toEqual({ state: 'done', status: 201, response: { b: 1, a: null } });
  expect(await beginIdempotent(db, key, sha256('other'))).toEqual({ state: 'conflict' });
});

test('a key whose handler failed or died is free again', async () => {
  const [failed, died] = [aKey(), aKey()];
  await beginIdempotent(db, failed, HASH);
  await releaseIdempotent(db, failed, HASH);
  expect(await beginIdempotent(db, failed, HASH)).toEqual({ state: 'begun' });
  await beginIdempotent(db, died, HASH);
  const [left] = await rows(
    'select extract(epoch from expires - clock_timestamp())::float8 as s from idempotency where key = $1',
    died.key,
  );
  expect(left?.s).toBeGreaterThan(50);
  expect(left?.s).toBeLessThanOrEqual(60);
  await rows(`update idempotency set expires = clock_timestamp() - interval '1 s' where key = $1`, died.key);
  expect(await beginIdempotent(db, died, HASH)).toEqual({ state: 'begun' });
});
