import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database, Statement } from '../../src/db/database.ts';
import { compareEvent, giveEvent, storeEvent, sweepEvents, type EventName } from '../../src/db/events.ts';
import type { Json } from '../../src/domain/json.ts';
import { aDatabase, type TestDatabase } from '../support/aDatabase.ts';
import { aRun } from '../worker/support/aRun.ts';

let base: TestDatabase;
let db: Database;
beforeAll(async () => {
  base = await aDatabase();
  db = await base.open();
});
afterAll(() => base.drop());

const sql = async <R extends object>(text: string, ...values: unknown[]) => (await db.pool.query<R>(text, values)).rows;
/** Where `aRun` makes its runs. */
const WORKSPACE = '11111111-1111-4111-8111-111111111111';
const named = (): EventName => ({ workspace: WORKSPACE, name: 'paid', key: randomUUID() });
const send = async (of: EventName, payload: Json, id: string = randomUUID()) => {
  await storeEvent(db, { ...of, id, payload: JSON.stringify(payload), by: 'test', keepDays: 1 });
  return id;
};
/** An open run that waits for the event. */
async function waiter(of: EventName, schema?: Json): Promise<string> {
  const run = await aRun(db, { started: true });
  await sql(
    `insert into wait (run, task, item, generation, kind, workspace, since, data, event_name, event_key) values ($1, 0, -1, 0, 'event', $2, now(), $3, $4, $5)`,
    ...[run, of.workspace, JSON.stringify({ ...(schema !== undefined && { schema }) }), of.name, of.key],
  );
  return run;
}
const decisionOf = async (run: string) =>
  (await sql<{ decision: string | null; output: Json }>('select decision, output from wait where run = $1', run))[0];
const counting = () => {
  const names: string[] = [];
  const rows: Database['rows'] = (statement: Statement) => {
    names.push(statement.name);
    return db.rows(statement);
  };
  return { names, db: { rows } };
};
const needs = (field: string) => ({ type: 'object', required: [field] });

test('what was compared is given in one statement, to those with a schema and those without', async () => {
  const of = named();
  const [free, fitting] = [await waiter(of), await waiter(of, needs('a'))];
  const counted = counting();
  const compared = await compareEvent(counted.db, of, { a: 1 });
  const id = await send(of, { a: 1 });
  expect((await giveEvent(counted.db, of, { id, ...compared })).sort()).toEqual([free, fitting].sort());
  expect(counted.names).toEqual(['event_schemas', 'give_event']);
  expect(await decisionOf(fitting)).toEqual({ decision: 'completed', output: { a: 1 } });
  expect(await giveEvent(db, of)).toEqual([]);
});

test('who begins to wait with another schema in between is compared too', async () => {
  const of = named();
  const compared = await compareEvent(db, of, { a: 1 });
  const id = await send(of, { a: 1 });
  const [fit, misfit] = [await waiter(of, needs('a')), await waiter(of, needs('b'))];
  expect((await giveEvent(db, of, { id, ...compared })).sort()).toEqual([fit, misfit].sort());
  expect(await decisionOf(fit)).toMatchObject({ decision: 'completed' });
  expect(await decisionOf(misfit)).toEqual({ decision: 'failed', output: null });
});

test('the oldest goes first, also when another one was compared', async () => {
  const of = named();
  await send(of, { b: 1 });
  await sql(`update event set at = at - interval '1 s' where key = $1`, of.key);
  const run = await waiter(of, needs('a'));
  const compared = await compareEvent(db, of, { a: 1 });
  const id = await send(of, { a: 1 });
  expect(await giveEvent(db, of, { id, ...compared })).toEqual([run]);
  expect(await decisionOf(run)).toMatchObject({ decision: 'failed' });
  const later = await waiter(of);
  expect(await giveEvent(db, of)).toEqual([later]);
  expect(await decisionOf(later)).toMatchObject({ output: { b: 1 } });
});

test('without an event, or without anybody who waits, one statement finds nothing', async () => {
  const of = named();
  const counted = counting();
  await waiter(of, needs('a'));
  expect(await giveEvent(counted.db, of)).toEqual([]);
  const other = named();
  await send(other, 1);
  expect(await giveEvent(counted.db, other)).toEqual([]);
  expect(counted.names).toEqual(['give_event', 'give_event']);
});

test('of many who give at once, each who waits gets one event', async () => {
  const of = named();
  const runs = await Promise.all([waiter(of), waiter(of, needs('a'))]);
  await Promise.all(Array.from({ length: 6 }, () => send(of, { a: 1 })));
  const given = await Promise.all(Array.from({ length: 6 }, () => giveEvent(db, of)));
  expect(given.flat().sort()).toEqual(runs.sort());
  expect(await sql('select from event where key = $1 and taken is not null', of.key)).toHaveLength(1);
});

test('what nobody has given is found by whoever sweeps', async () => {
  const of = named();
  const [run] = [await waiter(of, needs('a')), await send(of, { a: 2 })];
  expect(await sweepEvents(db)).toEqual([]);
  await sql(`update event set at = now() - interval '3 s' where key = $1`, of.key);
  expect(await sweepEvents(db)).toEqual([run]);
});
