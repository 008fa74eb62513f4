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
    ...ofRuns(stack, headers),
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
    story: async (id: string): Promise<{ events: string[]; gapless: boolean; data: (type: string) => unknown }> => {
      const url = `${stack.url}/api/v1/runs/${id}/events?after=0`;
      const text = await (await fetch(url, { headers: { ...headers, accept: 'text/event-stream' } })).text();
      const events = text
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice('data: '.length)) as { seq: number; type: string; task?: string; data?: unknown });
      return {
        events: events.map(({ type, task }) => (task === undefined ? type : `${type} ${task}`)),
        gapless: events.every(({ seq }, i) => seq === i + 1),
        data: (type) => events.find((event) => event.type === type)?.data,
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

/** What is asked of runs, and what they are asked. */
function ofRuns(stack: TestStack, headers: Record<string, string>) {
  const ask = async (method: string, path: string, body?: JsonObject): Promise<{ status: number; body: JsonObject }> => {
    const response = await fetch(`${stack.url}/api/v1${path}`, {
      method,
      headers: { ...headers, ...(method !== 'GET' && { 'idempotency-key': randomUUID() }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as JsonObject };
  };
  return {
    /** One request under /api/v1. */
    ask,
    /** Status of each task that has been heard of, by id. */
    statuses: async (id: string): Promise<Record<string, string>> => {
      const { items } = (await ask('GET', `/runs/${id}/tasks`)).body as { items: { id: string; status: string }[] };
      return Object.fromEntries(items.filter(({ status }) => status !== 'pending').map((task) => [task.id, task.status]));
    },
    /** The run once this holds of it: it is looked at again and again. */
    until: async (id: string, holds: (run: JsonObject) => boolean): Promise<JsonObject> => {
      for (;;) {
        const { status, body: run } = await ask('GET', `/runs/${id}`);
        if (status !== 200) throw new Error(JSON.stringify(run));
        if (holds(run)) return run;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    /** The run at its end. */
    end: async (id: string): Promise<JsonObject> => {
      const response = await fetch(`${stack.url}/api/v1/runs/${id}`, { headers: { ...headers, prefer: 'wait=60' } });
      return (await response.json()) as JsonObject;
    },
  };
}
