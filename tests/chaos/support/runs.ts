import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import type { Cluster } from './cluster.ts';
import { until } from '../../support/until.ts';

/** A run that was accepted, and what is known of its end beforehand. */
export type AcceptedRun = {
  id: string;
  definition: Json;
  /** The status it must end in, and the outcomes of its tasks, where they are certain. */
  status?: string;
  tasks?: Record<string, string>;
  /** Its output, if it completes. */
  output?: Json;
  /** Somebody may have cancelled it: it may also end so. */
  cancellable?: boolean;
};

export type Submit = { input?: JsonObject; key?: string; api?: number; status?: string; tasks?: Record<string, string> };

/** A definition of the given tasks. */
export const define = (tasks: object, more: object = {}): Json => ({ dsl: 'tiu/1', name: 'chaos', tasks, ...more }) as Json;

export const transform = (value: Json, more: object = {}) => ({ type: 'transform', with: { value }, ...more });
export const wait = (duration: string, more: object = {}) => ({ type: 'wait', with: { for: duration }, ...more });
/** An http task; see `Receiver.url` for what a path may ask. */
export const call = (cluster: Pick<Cluster, 'receiver'>, path: string, more: object = {}) => ({
  ...{ type: 'http', with: { method: 'POST', url: `${cluster.receiver.url}${path}`, body: 'x' }, retry: { limit: 5, delay: 'PT0.05S' } },
  ...more,
});

/** Starts a run over HTTP: accepted means that the answer 202 arrived. Who is told that the api is busy comes again, under the same key. */
export async function submit(cluster: Cluster, definition: Json, given: Submit = {}): Promise<AcceptedRun> {
  const more = { ...given, key: given.key ?? randomUUID() };
  const response = await fetch(`${cluster.apis[more.api ?? 0]?.line.url ?? ''}/api/v1/runs`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${cluster.key}`,
      'content-type': 'application/json',
      'idempotency-key': more.key,
    },
    body: JSON.stringify({ definition, input: more.input ?? {} }),
  });
  const body = (await response.json()) as { id?: string; code?: string };
  if (body.code === 'overloaded') {
    await new Promise((resolve) => setTimeout(resolve, Number(response.headers.get('retry-after')) * 1_000));
    return submit(cluster, definition, more);
  }
  if (response.status !== 202 || body.id === undefined) throw new Error(`not accepted: ${response.status} ${JSON.stringify(body)}`);
  const { status, tasks } = more;
  return { id: body.id, definition, ...(status !== undefined && { status }), ...(tasks && { tasks }) };
}

export async function cancel(cluster: Cluster, run: AcceptedRun, reason = 'chaos'): Promise<number> {
  const response = await fetch(`${cluster.apis[0]?.line.url ?? ''}/api/v1/runs/${run.id}/cancel`, {
    method: 'POST',
    headers: { authorization: `Bearer ${cluster.key}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    body: JSON.stringify({ reason }),
  });
  await response.text();
  return response.status;
}

export type StateRow = {
  run: string;
  status: string;
  intent: string | null;
  reason: string | null;
  open: number;
  failed: number;
  total: number;
  last_seq: number;
  epoch: number;
  restarts: number;
  /** null: not begun, or it ended in the queue. */
  started: Date | null;
  finished: Date | null;
  failure: { code: string } | null;
};

export const statesOf = (cluster: Cluster, ids: string[]): Promise<StateRow[]> =>
  cluster.rows<StateRow>('select *, last_seq::int as last_seq from run_state where run = any($1)', [ids]);

/** Resolves when every run is closed. @throws Error that says where the open ones stand */
export async function closed(cluster: Cluster, runs: AcceptedRun[]): Promise<void> {
  const ids = runs.map(({ id }) => id);
  const openOnes = async () => (await statesOf(cluster, ids)).filter(({ finished }) => finished === null);
  try {
    await until('the runs close', async () => (await openOnes()).length === 0);
  } catch {
    const stories = await Promise.all((await openOnes()).slice(0, 3).map((state) => story(cluster, state.run)));
    throw new Error(`not closed:\n${stories.join('\n')}\n${cluster.log().slice(-4000)}`);
  }
}

/** A run's state and its last events, for a failed test. */
export async function story(cluster: Cluster, id: string, last = 30): Promise<string> {
  const [state] = await statesOf(cluster, [id]);
  const events = await eventsOf(cluster, id);
  const lines = events
    .slice(-last)
    .map((event) => `${event.seq} ${event.type} ${event.task ?? ''}${event.item === null ? '' : `/${event.item}`}`);
  return `${JSON.stringify(state)}\n${lines.join(' | ')}`;
}

export type EventRow = {
  seq: number;
  type: string;
  task: number | null;
  item: number | null;
  attempt: number | null;
  at: Date;
  data: JsonObject | null;
};

export const eventsOf = (cluster: Cluster, id: string): Promise<EventRow[]> =>
  cluster.rows<EventRow>('select seq::int as seq, type, task, item, attempt, at, data from run_event where run = $1 order by seq', [id]);

/** Resolves when the run's log has an event of this type, of the task with this number if one is given. */
export const happened = (cluster: Cluster, run: AcceptedRun, type: string, task?: number): Promise<EventRow> =>
  until(`${type} of ${run.id}`, async () =>
    (await eventsOf(cluster, run.id)).find((event) => event.type === type && (task === undefined || event.task === task)),
  );

/** The execution of a run that ended in its first segment comes after it. */
const COMES_MS = 3_000;

/** How Temporal sees the run, once its execution is no longer running; UNKNOWN if it knows of none. */
export async function executionsOf(cluster: Cluster, ids: string[]): Promise<Map<string, string | undefined>> {
  const connection = await Connection.connect({ address: cluster.temporal.address });
  const { workflow } = new Client({ connection });
  const found = new Map<string, string | undefined>();
  for (const id of ids) {
    const patient = performance.now() + COMES_MS;
    found.set(
      id,
      await until(`the execution of ${id} ends`, async () => {
        const status = await workflow
          .getHandle(`run/${id}`)
          .describe()
          .then(
            (execution) => execution.status.name,
            (error: unknown) => ((error as Error).name === 'WorkflowNotFoundError' ? 'UNKNOWN' : undefined),
          );
        return status === 'RUNNING' || (status === 'UNKNOWN' && performance.now() < patient) ? undefined : status;
      }),
    );
  }
  await connection.close();
  return found;
}
