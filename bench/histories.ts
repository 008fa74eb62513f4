import { Client, Connection as TemporalConnection } from '@temporalio/client';
import { pool } from './scenario.ts';
import type { Stack } from './stack.ts';

/** WorkflowTaskTimedOut in Temporal's API. */
const TIMED_OUT = 8;

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
      const found = (await workflowService.getWorkflowExecutionHistory(request)).history?.events ?? [];
      events += found.length;
      late += found.filter((event) => Number(event.eventType) === TIMED_OUT).length;
    });
  } finally {
    await connection.close();
  }
  return { 'workflow task timeouts': late, 'Temporal events a run': events / runs.length };
}
