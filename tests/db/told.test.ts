import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCommands } from '../../src/db/commands.ts';
import type { Database } from '../../src/db/database.ts';
import { claimCancels, claimEnding } from '../../src/db/dispatch.ts';
import { claimUntold, forgetTold } from '../../src/db/untold.ts';
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
  const told = async (most = 60) => (await claimEnding(db, most)).map(({ runId }) => runId).sort();
  const first = await told();
  expect(first).toEqual(runs.slice(0, 60));
  expect((await claimCancels(db)).sort()).toEqual(first);
  expect(await told()).toEqual([]);
  await sql('update run_state set applied_seq = command_seq where run = any($1)', runs.slice(0, 40));
  expect(await told()).toEqual(runs.slice(60, 100));
  await sql(`update run_state set poke_after = now() - interval '1 ms' where poke_after is not null`);
  expect(await told()).toEqual([...runs.slice(40, 50), ...runs.slice(100)]); // who was not told yet goes first
  expect([await told(60), (await told(61)).length]).toEqual([[], 1]);
});

test('a command is told again until its signal was taken, though somebody has read it; what is asked meanwhile is told too', async () => {
  const [run] = (await someRuns(db, 1)) as [string];
  await sql('update run_state set started = clock_timestamp() where run = $1', run);
  await sql(
    `insert into run (id, workspace, definition, plan, priority, created, created_by) values ($1, $2, 'd', '\\x00', 2, clock_timestamp(), 'test')`,
    ...[run, WORKSPACE],
  );
  const commands = createCommands({ url: base.url });
  const ask = (pause: boolean) => commands.command({ type: pause ? 'pause' : 'resume', run, workspace: WORKSPACE, by: 'key:1' });
  const mine = async () => (await claimUntold(db)).filter(({ runId }) => runId === run);
  const later = () => sql(`update untold set poke_after = clock_timestamp() - interval '1 ms'`);
  await ask(true);
  expect(await mine()).toHaveLength(1);
  await sql('update run_state set applied_seq = command_seq where run = $1', run);
  expect(await mine()).toEqual([]);
  await later();
  const again = await mine();
  expect(again).toHaveLength(1);
  await ask(false);
  await forgetTold(db, again);
  const other = await mine();
  expect(other).toHaveLength(1);
  await forgetTold(db, again);
  await later();
  const last = await mine();
  expect(last).toHaveLength(1);
  await forgetTold(db, last);
  await later();
  expect(await mine()).toEqual([]);
  await commands.close();
});
