import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCommands, type Commands, type Order } from '../../src/db/commands.ts';
import { retryOrder } from '../../src/db/retryOrder.ts';
import { Problem } from '../../src/domain/problem.ts';
import { begin, close, tell } from '../api/aStory.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';

/** Two processes that command at the same instant. */
let engine: Engine;
let one: Commands;
let other: Commands;
beforeAll(async () => {
  engine = await anEngine();
  one = createCommands({ url: engine.url });
  other = createCommands({ url: engine.url });
});
afterAll(async () => {
  await Promise.all([one.close(), other.close()]);
  await engine.close();
});

const ROUNDS = 50;
const plan = aPlan({ dsl: 'tiu/1', name: 'two', tasks: { a: { type: 'transform', with: { value: 1 } } } });
const { graph } = plan;
const aRun = async (): Promise<string> => {
  const run = await engine.submit(plan);
  await begin(engine.db, run);
  return run;
};
/** Its only task has failed: nothing is open, and the run is about to close. */
const aSettledRun = async (): Promise<string> => {
  const run = await aRun();
  await tell(engine.journal, run, { status: 'failed' });
  return run;
};
const give = (by: Commands, run: string, order: Order): Promise<number> =>
  by.command({ ...order, run, workspace: engine.workspace, by: 'key:1' });
const retry = async (by: Commands, run: string) => give(by, run, await retryOrder(engine.db, { id: run, graph }, undefined));

/** The number of its event, or the code it was refused with. */
const answer = (asked: Promise<number>): Promise<number | string> =>
  asked.catch((error: unknown) => {
    if (error instanceof Problem) return error.code;
    throw error;
  });
const isApplied = (given: number | string): given is number => typeof given === 'number';

/** What was applied has its row and its event under the number that was answered, and nothing else has. */
async function agree(run: string, given: readonly (number | string)[]): Promise<void> {
  const numbers = (await engine.db.pool.query<{ seq: string }>('select seq from command where run = $1 order by seq', [run])).rows;
  const events = await engine.events(run);
  const applied = given.filter(isApplied).sort((a, b) => a - b);
  expect(numbers.map(({ seq }) => Number(seq))).toEqual(applied);
  expect(events.filter(({ type }) => type.startsWith('command.')).map(({ seq }) => Number(seq))).toEqual(applied);
  expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, i) => i + 1));
}

type Pair = { name: string; run: () => Promise<string>; orders: [Order, Order]; loser: string };
const skip: Order = { type: 'skip', task: 0, main: 1, item: -1 };
const PAIRS: Pair[] = [
  { name: 'pause and pause', run: aRun, orders: [{ type: 'pause' }, { type: 'pause' }], loser: 'state_conflict' },
  { name: 'skip and skip', run: aRun, orders: [skip, skip], loser: 'state_conflict' },
  {
    name: 'skip and complete',
    run: aRun,
    orders: [skip, { type: 'complete', task: 0, main: 1, item: -1, output: { output: '1', outputSize: 1 } }],
    loser: 'state_conflict',
  },
];

test.each(PAIRS)('$name at the same instant: one winner, one refusal, and nothing of the loser is left', async (pair) => {
  for (let round = 0; round < ROUNDS; round++) {
    const run = await pair.run();
    const given = await Promise.all([answer(give(one, run, pair.orders[0])), answer(give(other, run, pair.orders[1]))]);
    expect(given.filter(isApplied)).toHaveLength(1);
    expect(given).toContain(pair.loser);
    await agree(run, given);
  }
});

test('cancel and retry of a run that is open at the same instant: the cancel wins', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const run = await aSettledRun();
    const given = await Promise.all([answer(give(one, run, { type: 'cancel' })), answer(retry(other, run))]);
    expect(given).toEqual([expect.any(Number), 'state_conflict']);
    await agree(run, given);
  }
});

test('cancel and retry of a closed run at the same instant: the retry wins, and a cancel is one of what it opened', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const run = await aSettledRun();
    await close(engine.journal, run, { status: 'failed' });
    const [cancelled, retried] = await Promise.all([answer(give(one, run, { type: 'cancel' })), answer(retry(other, run))]);
    expect(retried).toEqual(expect.any(Number));
    if (isApplied(cancelled)) expect(cancelled).toBeGreaterThan(Number(retried));
    else expect(cancelled).toBe('run_already_closed');
    await agree(run, [cancelled, retried]);
  }
});

test('two retries of a closed run at the same instant open it once', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const run = await aSettledRun();
    await close(engine.journal, run, { status: 'failed' });
    const given = await Promise.all([answer(retry(one, run)), answer(retry(other, run))]);
    expect(given.filter(isApplied)).toHaveLength(1);
    expect(given).toContain('state_conflict');
    await agree(run, given);
  }
});

test.each<Order>([{ type: 'cancel' }, { type: 'pause' }])(
  'a $type at the instant of closing holds the closing up, or is refused',
  async (order) => {
    for (let round = 0; round < ROUNDS; round++) {
      const run = await aSettledRun();
      const [given, closed] = await Promise.all([
        answer(give(one, run, order)),
        close(engine.journal, run, { status: 'failed' }).then((committed) => committed.closed),
      ]);
      expect([isApplied(given), closed]).toEqual(isApplied(given) ? [true, null] : [false, 'failed']);
      if (!isApplied(given)) expect(given).toBe('run_already_closed');
      await agree(run, [given]);
    }
  },
);

test('cancel, retry and closing at the same instant: what was answered is what happened', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const run = await aSettledRun();
    const [cancelled, retried, closed] = await Promise.all([
      answer(give(one, run, { type: 'cancel' })),
      answer(retry(other, run)),
      close(engine.journal, run, { status: 'failed' }).then((committed) => committed.closed),
    ]);
    if (isApplied(retried))
      expect(closed).toBe('failed'); // only what is closed is opened
    else expect(isApplied(cancelled)).toBe(closed === null);
    await agree(run, [cancelled, retried]);
  }
});
