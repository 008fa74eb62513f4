import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCommands } from '../../src/db/commands.ts';
import type { Database } from '../../src/db/database.ts';
import { claimCancels, claimUnseen } from '../../src/db/dispatch.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { someRuns, statement, WORKSPACE } from './journalRuns.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const sql = (text: string, ...values: unknown[]) => db.rows(statement(text, values));

test('of many runs that are cancelled at once a few are told at a time; the next when these have read it, and none twice before', async () => {
  const runs = await someRuns(db, 150);
  await sql('update run_state set started = clock_timestamp()');
  await sql(`insert into run (id, workspace, definition, plan, priority, created, created_by)
    select run, workspace, 'd', '\\x00', 2, clock_timestamp(), 'test' from run_state`);
  const commands = createCommands({ url: base.url });
  for (const run of runs) await commands.command({ type: 'cancel', run, workspace: WORKSPACE, by: 'key:1' });
  await commands.close();
  expect(await claimCancels(db)).toEqual([]);
  const told = async () => (await claimUnseen(db)).map(({ runId }) => runId).sort();
  const first = await told();
  expect(first).toEqual(runs.slice(0, 60));
  expect((await claimCancels(db)).sort()).toEqual(first);
  expect(await told()).toEqual([]);
  await sql('update run_state set applied_seq = command_seq where run = any($1)', runs.slice(0, 40));
  expect(await told()).toEqual(runs.slice(60, 100));
  await sql(`update run_state set poke_after = clock_timestamp() - interval '1 ms' where poke_after is not null`);
  expect(await told()).toEqual([...runs.slice(40, 50), ...runs.slice(100)]); // who was not told yet goes first
});
