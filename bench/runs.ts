import { call, chain, definitionOf, diamond, fan, layered, noOp, single, wide } from './definitions.ts';
import { timeouts } from './histories.ts';
import { complete, dag, latencies, pool, timed, type Context, type Row, type Scenario } from './scenario.ts';

/** Submits many runs at once and waits for all: time of the whole, and what Temporal's histories say about it. */
async function atOnce(context: Context, what: { runs: number; definition: object; inTemporal?: boolean }): Promise<Row & { ms: number }> {
  const { connection } = context;
  const { runs, definition, inTemporal = true } = what;
  const ids: string[] = [];
  let accepted = 0;
  const ms = await timed(async () => {
    const from = performance.now();
    await Promise.all(Array.from({ length: runs }, async () => ids.push(await connection.submit(definition))));
    accepted = performance.now() - from;
    await Promise.all(ids.map((id) => connection.finished(id)));
  });
  const figures = {
    ...{ ms, 'accepted after ms': accepted, 'runs/s': (runs / ms) * 1000 },
    ...(inTemporal && (await timeouts(context.stack, ids))),
  };
  return { ms, figures, runs };
}

async function submits({ connection, quick }: Context, width: number): Promise<Row> {
  const runs = quick ? 50 : 500;
  const definition = definitionOf(single());
  const ids: string[] = [];
  const each: number[] = [];
  const ms = await timed(() =>
    pool(runs, width, async () => {
      each.push(await timed(async () => ids.push(await connection.submit(definition))));
    }),
  );
  await Promise.all(ids.map((id) => connection.finished(id)));
  return { figures: { ...latencies(each), 'submits/s': (runs / ms) * 1000 }, runs, tasks: runs };
}

async function roundTrips({ connection, quick }: Context): Promise<Row> {
  const runs = quick ? 10 : 100;
  const each: number[] = [];
  for (let i = 0; i < runs; i++) each.push(await complete(connection, definitionOf(single())));
  return { figures: latencies(each), runs, tasks: runs };
}

const diamonds =
  (mode: 'standard' | 'express') =>
  async (context: Context): Promise<Row> => {
    const runs = context.quick ? 20 : 200;
    const row = await atOnce(context, { runs, definition: definitionOf(diamond(), noOp, mode), inTemporal: mode === 'standard' });
    return { ...row, tasks: (row.runs ?? 0) * 10 };
  };

async function effectChain({ connection, receiver, quick }: Context): Promise<Row> {
  const tasks = quick ? 10 : 50;
  const ms = await complete(connection, definitionOf(chain(tasks), call(receiver.url)));
  return { figures: { ms, 'ms a step': ms / tasks }, runs: 1, tasks };
}

async function effectFan({ connection, receiver, quick }: Context): Promise<Row> {
  const tasks = quick ? 20 : 200;
  const ms = await complete(connection, definitionOf(wide(tasks), call(receiver.url)));
  return { figures: { ms, 'ms a task': ms / tasks }, runs: 1, tasks };
}

async function effectRuns(context: Context): Promise<Row> {
  const runs = context.quick ? 4 : 20;
  const width = context.quick ? 10 : 50;
  const before = context.receiver.seen();
  const row = await atOnce(context, { runs, definition: definitionOf(wide(width), call(context.receiver.url)) });
  const tasks = runs * width;
  return {
    runs,
    tasks,
    figures: { ...row.figures, 'effects/s': (tasks / row.ms) * 1000, 'repeated effects': context.receiver.seen() - before - tasks },
  };
}

const sizes = [10, 100, 1_000, 5_000].map((n) =>
  dag(`dag-${n}`, `layers of 10, ${n} tasks`, { shape: (quick) => layered(quick ? Math.min(n, 1_000) : n), reps: n > 1_000 ? 3 : 5 }),
);

/** What is measured of runs: how fast they are accepted, and how fast they end. */
export const runScenarios: readonly Scenario[] = [
  { name: 'submit', title: 'submit of one task, one after the other', reps: 3, measure: (context) => submits(context, 1) },
  { name: 'submit-16', title: 'submit of one task, 16 at once', reps: 3, measure: (context) => submits(context, 16) },
  { name: 'round-trip', title: 'one task, submit to end', reps: 3, measure: roundTrips },
  dag('chain', 'chain of 100', { shape: () => chain(100), reps: 9 }),
  dag('fan', '1 → 200 → 1', { shape: () => fan(200), reps: 9 }),
  dag('layers', '10 layers of 10', { shape: () => layered(100), reps: 9 }),
  { name: 'diamonds', title: '200 diamonds of 10 tasks at once', reps: 3, measure: diamonds('standard') },
  { name: 'diamonds-express', title: '200 diamonds of 10 tasks at once, express', reps: 3, measure: diamonds('express') },
  ...sizes,
  {
    name: 'one-task',
    title: '200 runs of one task at once',
    reps: 3,
    measure: (context) => atOnce(context, { runs: context.quick ? 20 : 200, definition: definitionOf(single()) }),
  },
  { name: 'effect-chain', title: 'chain of 50 http calls', reps: 5, measure: effectChain },
  { name: 'effect-fan', title: '200 http calls at once', reps: 5, measure: effectFan },
  { name: 'effect-runs', title: '20 runs of 50 http calls at once', reps: 3, measure: effectRuns },
];
