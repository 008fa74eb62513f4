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

/** How many workflow tasks of these runs timed out, and how many events their histories have; nothing of a stack that is not ours. */
export async function timeouts(stack: Stack, runs: readonly string[]): Promise<Record<string, number>> {
  if (!stack.own) return {};
  const connection = await TemporalConnection.connect({ address: stack.own.temporal });
  let late = 0;
  let events = 0;
  try {
    const { workflowService } = new Client({ connection });
    await pool(runs.length, 8, async (i) => {
      const request = { namespace: 'default', execution: { workflowId: `run/${runs[i] ?? ''}` }, maximumPageSize: 1_000 };
      const found = (await shown(() => workflowService.getWorkflowExecutionHistory(request))).history?.events ?? [];
      events += found.length;
      late += found.filter((event) => Number(event.eventType) === TIMED_OUT).length;
    });
  } finally {
    await connection.close();
  }
  return { 'workflow task timeouts': late, 'Temporal events a run': events / runs.length };
}
