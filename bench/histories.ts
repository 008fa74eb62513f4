import { Client, Connection as TemporalConnection } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { pool } from './scenario.ts';
import type { Stack } from './stack.ts';

/** WorkflowTaskTimedOut in Temporal's API. */
const TIMED_OUT = 8;

const NOT_FOUND = 5;
const LONGEST_MS = 120_000;
const AGAIN_MS = 50;

/** What Temporal says of a run, once it knows it: executions of runs that have ended are started when there is time. */
async function shown<T>(ask: () => Promise<T>): Promise<T> {
  for (const until = performance.now() + LONGEST_MS; ;) {
    try {
      return await ask();
    } catch (error) {
      if ((error as { code?: number }).code !== NOT_FOUND || performance.now() > until) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

type Ask = Client['workflowService'];

async function asking<T>(address: string, ask: (service: Ask) => Promise<T>): Promise<T> {
  const connection = await TemporalConnection.connect({ address });
  try {
    return await ask(new Client({ connection }).workflowService);
  } finally {
    await connection.close();
  }
}

const executionOf = (run: string) => ({ namespace: 'default', execution: { workflowId: `run/${run}` } });

/** Length of the history of a run's execution. */
export async function historyLength(stack: Stack, run: string): Promise<number> {
  if (!stack.own) return NaN;
  const found = await asking(stack.own.temporal, (service) => shown(() => service.describeWorkflowExecution(executionOf(run))));
  return Number(found.workflowExecutionInfo?.historyLength);
}

/** How many workflow tasks of these runs timed out, and how many events their histories have; nothing of a stack that is not ours. */
export async function timeouts(stack: Stack, runs: readonly string[]): Promise<Record<string, number>> {
  if (!stack.own) return {};
  let late = 0;
  let events = 0;
  await asking(stack.own.temporal, (service) =>
    pool(runs.length, 8, async (i) => {
      const request = { ...executionOf(runs[i] ?? ''), maximumPageSize: 1_000 };
      const found = (await shown(() => service.getWorkflowExecutionHistory(request))).history?.events ?? [];
      events += found.length;
      late += found.filter((event) => Number(event.eventType) === TIMED_OUT).length;
    }),
  );
  return { 'workflow task timeouts': late, 'Temporal events a run': events / runs.length };
}
