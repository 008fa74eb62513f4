import type { Receiver } from './receiver.ts';
import type { Connection } from './connection.ts';
import { definitionOf, type Shape } from './definitions.ts';
import type { Roles } from './processes.ts';
import { quantile, round } from './spread.ts';
import type { Stack } from './stack.ts';

export type Context = {
  stack: Stack;
  connection: Connection;
  /** Fewer and smaller: to see that it works. */
  quick: boolean;
  /** Address of a receiver on loopback that answers at once, with the number of requests it saw. */
  receiver: Omit<Receiver, 'close'>;
};

/** One go: figures by name, and what to divide CPU time by. */
export type Row = { figures: Record<string, number>; runs?: number; tasks?: number };

export type Scenario = {
  name: string;
  title: string;
  /** Goes unless told otherwise. */
  reps: number;
  /** Needs processes that this one may look into or kill. */
  own?: true;
  /** It leaves behind what would be in the way of others: measured only when it is asked for. */
  asked?: true;
  /** @throws Error that says what cannot be measured here */
  measure: (context: Context) => Promise<Row>;
};

/** Does `n` of something, at most `width` at a time. */
export async function pool(n: number, width: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < n; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: Math.min(width, n) }, lane));
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Submits one run and waits for its end, ms. */
export const complete = (connection: Connection, definition: object): Promise<number> =>
  timed(async () => connection.finished(await connection.submit(definition)));

/** One run of a shape at a time. */
export const dag = (name: string, title: string, options: { shape: (quick: boolean) => Shape; reps: number }): Scenario => ({
  name,
  title,
  reps: options.reps,
  measure: async ({ connection, quick }) => {
    const shape = options.shape(quick);
    const tasks = shape.deps.length;
    const ms = await complete(connection, definitionOf(shape));
    return { figures: { ms, 'ms a task': ms / tasks }, runs: 1, tasks };
  },
});

export const latencies = (values: readonly number[]): Record<string, number> => ({
  'p50 ms': round(quantile(values, 0.5)),
  'p99 ms': round(quantile(values, 0.99)),
});

/** @throws Error unless the stack is one of our own */
export function ownStack(stack: Stack): NonNullable<Stack['own']> & { roles: () => Roles } {
  if (!stack.own) throw new Error('needs a stack of its own');
  return { ...stack.own, roles: stack.roles };
}
