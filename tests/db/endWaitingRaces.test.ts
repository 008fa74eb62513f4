import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createCommands, type Commands } from '../../src/db/commands.ts';
import { giveEvent, storeEvent } from '../../src/db/events.ts';
import { loadOwner } from '../../src/db/execution.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { Problem } from '../../src/domain/problem.ts';
import { anEngine, type Engine } from '../support/anEngine.ts';
import { aWaiter, definitionOf, endByExecution, hour, type Waiter } from './aWaiter.ts';

/** Something happens to what a run waits for at the instant in which the run is cancelled. */
let engine: Engine;
let other: Commands;
beforeAll(async () => {
  engine = await anEngine();
  other = createCommands({ url: engine.url });
});
afterAll(async () => {
  await other.close();
  await engine.close();
});

const ROUNDS = 50;
const after: JsonObject = { type: 'transform', with: { value: 1 }, dependsOn: ['w'] };
const cancel = (run: string) => engine.commands.command({ type: 'cancel', run, workspace: engine.workspace, by: 'key:1' });
const sql = async <R extends object>(text: string, ...values: unknown[]) => (await engine.db.pool.query<R>(text, values)).rows;
const hasEnded = async (run: string) => (await engine.state(run)).status === 'cancelled';

/** Whoever won, a little sooner or later: both orders come up in so many rounds. */
const inAnyOrder = <A, B>(round: number, one: () => Promise<A>, two: () => Promise<B>): Promise<[A, B]> => {
  const late = <T>(what: () => Promise<T>): Promise<T> => new Promise((resolve) => setTimeout(resolve, round % 3)).then(what);
  return round % 2 === 0 ? Promise.all([one(), late(two)]) : Promise.all([late(one), two()]);
};

/** The run is cancelled by now, whoever ended it, with numbers without a gap, one end of each task and one of its own. */
async function isOver({ run }: Waiter): Promise<string[]> {
  const events = await engine.events(run);
  expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, i) => i + 1));
  const ends = events.map(({ type, task }) => `${type} ${task ?? ''}`).filter((name) => /^(task|run)\.(completed|cancelled)/.test(name));
  expect(new Set(ends).size).toBe(ends.length);
  expect(ends.at(-1)).toBe('run.cancelled ');
  expect(await sql('select from wait where run = $1 and not closed', run)).toEqual([]);
  return ends;
}

/** Ends it as its execution would, unless the cancel has. */
async function end(waiter: Waiter, ended: boolean): Promise<string[]> {
  if (!ended) expect(await endByExecution(engine, waiter)).toBe('cancelled');
  return isOver(waiter);
}

test('a decision counts and its task completes, or it is refused and the run has ended', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const waiter = await aWaiter(engine, definitionOf({ w: { type: 'approval', with: { message: 'go?' } }, after }));
    const { run } = waiter;
    const approve = () =>
      other.command({ type: 'approve', run, workspace: engine.workspace, by: 'key:2', task: 0, output: '{}' }).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'run_already_closed' });
          return false;
        },
      );
    const [decided] = await inAnyOrder(round, approve, () => cancel(run));
    const ended = await hasEnded(run);
    expect(ended).toBe(!decided);
    expect((await end(waiter, ended))[0]).toBe(decided ? 'task.completed 0' : 'task.cancelled 0');
  }
});

test('an event is given to the run and its task completes, or it is kept for others and the run has ended', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const key = randomUUID();
    const waiter = await aWaiter(engine, definitionOf({ w: { type: 'event', with: { name: 'e', key } }, after }));
    const of = { workspace: engine.workspace, name: 'e', key };
    await storeEvent(engine.db, { ...of, id: key, payload: '1', by: 'key:2', keepDays: 1 });
    const [given] = await inAnyOrder(
      round,
      () => giveEvent(engine.db, of),
      () => cancel(waiter.run),
    );
    const ended = await hasEnded(waiter.run);
    if (ended) expect(given).toEqual([]); // else by this, or by the segment that opened the wait
    expect(await sql('select taken is null as kept from event where id = $1', key)).toEqual([{ kept: ended }]);
    expect((await end(waiter, ended))[0]).toBe(ended ? 'task.cancelled 0' : 'task.completed 0');
  }
});

test('a wait that ends at that instant ends once', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const waiter = await aWaiter(engine, definitionOf({ w: hour, after }));
    const { run, epoch, cursor } = waiter;
    await sql(`update wait set until = clock_timestamp() + $2::int * interval '1 ms' where run = $1`, run, round % 6);
    await inAnyOrder(
      round,
      () => engine.inActivity(engine.activities.readChanges, { runId: run, epoch, since: cursor }),
      () => cancel(run),
    );
    const ends = await end(waiter, await hasEnded(run));
    expect(ends).toHaveLength(3);
  }
});

test('a segment that begins at that instant holds the run, or finds that it is over', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const waiter = await aWaiter(engine, definitionOf({ w: hour, after }));
    const { run, epoch } = waiter;
    const [loaded] = await inAnyOrder(
      round,
      () => loadOwner(engine.db, { run, epoch, tasks: [1] }),
      () => cancel(run),
    );
    const ended = await hasEnded(run);
    expect('stale' in loaded).toBe(ended);
    await end(waiter, ended);
  }
});

test('two cancels at that instant: the run ends by one, the other is a second one of an open run or is refused', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const waiter = await aWaiter(engine, definitionOf({ w: hour, after }));
    const { run } = waiter;
    const codes = await Promise.all(
      [engine.commands, other].map((by) =>
        by.command({ type: 'cancel', run, workspace: engine.workspace, by: 'key:1' }).then(
          () => 'ended',
          (error: unknown) => (error instanceof Problem ? error.code : 'unknown'),
        ),
      ),
    );
    expect(codes.sort()).toEqual(['ended', 'run_already_closed']);
    await isOver(waiter);
  }
});
