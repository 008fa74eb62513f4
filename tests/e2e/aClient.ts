import { randomUUID } from 'node:crypto';
import { Client, WorkflowNotFoundError, type Connection } from '@temporalio/client';
import type { JsonObject } from '../../src/domain/json.ts';
import type { TestStack } from '../support/aStack.ts';

export type StartedRun = { id: string; status: string; mode: string; failure: JsonObject | null; output?: unknown };
type More = { definition?: JsonObject; mode?: string; input?: JsonObject; wait?: false };

/** What tests ask of a stack over HTTP, and of the Temporal behind it. */
export function aClient(stack: TestStack, connection: Connection) {
  const headers = { authorization: `Bearer ${stack.key}`, 'content-type': 'application/json' };
  const { workflow } = new Client({ connection });
  return {
    /** Starts a run of these tasks; waits for its end, unless told otherwise. */
    start: async (tasks: JsonObject, { definition, mode, input, wait }: More = {}): Promise<StartedRun> => {
      const response = await fetch(`${stack.url}/api/v1/runs`, {
        method: 'POST',
        headers: { ...headers, 'idempotency-key': randomUUID(), ...(wait ?? { prefer: 'wait=60' }) },
        body: JSON.stringify({
          definition: { dsl: 'tiu/1', name: 'a-test', tasks, ...definition },
          ...(mode && { mode }),
          ...(input && { input }),
        }),
      });
      return (await response.json()) as StartedRun;
    },
    /** Types of its events, of tasks with their id; waits for its end. */
    story: async (id: string): Promise<{ events: string[]; gapless: boolean }> => {
      const url = `${stack.url}/api/v1/runs/${id}/events?after=0`;
      const text = await (await fetch(url, { headers: { ...headers, accept: 'text/event-stream' } })).text();
      const events = text
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice('data: '.length)) as { seq: number; type: string; task?: string });
      return {
        events: events.map(({ type, task }) => (task === undefined ? type : `${type} ${task}`)),
        gapless: events.every(({ seq }, i) => seq === i + 1),
      };
    },
    execution: (id: string) => workflow.getHandle(`run/${id}`),
    /** What the execution of a run ended with; that of a short one is started with its end. */
    ended: async (id: string): Promise<unknown> => {
      for (;;) {
        try {
          return await workflow.getHandle(`run/${id}`).result();
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    },
    /** How often the execution of a workflow scheduled each activity. */
    activities: async (workflowId: string): Promise<Record<string, number>> => {
      const { events } = await workflow.getHandle(workflowId).fetchHistory();
      const counts: Record<string, number> = {};
      for (const event of events ?? []) {
        const name = event.activityTaskScheduledEventAttributes?.activityType?.name;
        if (name) counts[name] = (counts[name] ?? 0) + 1;
      }
      return counts;
    },
  };
}
