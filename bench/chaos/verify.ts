import type { Json } from '../../src/domain/json.ts';
import type { Call } from '../../tests/chaos/support/receiver.ts';
import type { AcceptedRun, EventRow, StateRow } from '../../tests/chaos/support/runs.ts';
import { checkRun, type Breach, type TaskRow } from './checkRun.ts';
import type { Field } from './field.ts';
import { differs, type Subscriber } from './subscribers.ts';

export type Verified = {
  breaches: Breach[];
  /** Runs by what they ended as. */
  ended: Record<string, number>;
  tasks: number;
  events: number;
  /** Calls of the most called key, and calls beyond the first of their key. */
  mostOfAKey: number;
  repeated: number;
  keys: number;
  /** Calls of processes that stood still or were cut off when their task was given to another. */
  late: number;
  subscribers: number;
  /** Connections that the subscribers needed beyond their first. */
  reconnections: number;
};

const BATCH = 100;

/** Checks every accepted run from the rows, the calls that arrived outside, and what subscribers saw. */
export async function verify(field: Field, runs: readonly AcceptedRun[], subscribers: readonly Subscriber[]): Promise<Verified> {
  const { receiver } = field.cluster;
  const callsOf = Map.groupBy(receiver.calls, ({ key }) => key.split('/')[0] ?? '');
  const subscribersOf = Map.groupBy(subscribers, ({ run }) => run);
  const found: Verified = {
    ...{ breaches: [], ended: {}, tasks: 0, events: 0 },
    ...countKeys(field),
    subscribers: subscribers.length,
    reconnections: 0,
  };
  found.reconnections = subscribers.reduce((sum, { connections }) => sum + Math.max(0, connections() - 1), 0);
  for (let i = 0; i < runs.length; i += BATCH) await verifyBatch({ field, callsOf, subscribersOf, found }, runs.slice(i, i + BATCH));
  return found;
}

function countKeys({ cluster: { receiver }, isLate }: Field): Pick<Verified, 'mostOfAKey' | 'repeated' | 'keys' | 'late'> {
  const counts = [...receiver.counts().values()];
  return {
    mostOfAKey: counts.reduce((most, n) => Math.max(most, n), 0),
    repeated: receiver.calls.length - counts.length,
    keys: counts.length,
    late: receiver.calls.filter(({ at }) => isLate(at)).length,
  };
}

type Verifying = { field: Field; callsOf: Map<string, Call[]>; subscribersOf: Map<string, Subscriber[]>; found: Verified };
type Of<T> = T & { run: string };

async function verifyBatch({ field, callsOf, subscribersOf, found }: Verifying, runs: readonly AcceptedRun[]): Promise<void> {
  const ids = runs.map(({ id }) => id);
  const read = async <T extends object>(text: string) => Map.groupBy(await field.cluster.rows<Of<T>>(text, [ids]), ({ run }) => run);
  const states = await read<StateRow>('select *, last_seq::int as last_seq from run_state where run = any($1)');
  const tasks = await read<TaskRow>(
    'select run, task, item, generation, status, seq::int as seq, attempt, finished from task where run = any($1)',
  );
  const events = await read<EventRow>(
    'select run, seq::int as seq, type, task, item, attempt, at, data from run_event where run = any($1) order by run, seq',
  );
  const outputs = await read<{ output: Json }>('select run, output from run_output where run = any($1)');
  for (const run of runs) {
    const [state] = states.get(run.id) ?? [];
    if (!state) {
      found.breaches.push({ kind: 'lost', run: run.id, what: 'was accepted and is gone' });
      continue;
    }
    const own = events.get(run.id) ?? [];
    const [row] = outputs.get(run.id) ?? [];
    const rows = tasks.get(run.id) ?? [];
    found.breaches.push(
      ...checkRun({
        ...{ run, state, events: own, tasks: rows, calls: callsOf.get(run.id) ?? [], late: field.isLate },
        ...(row && { output: row.output }),
      }),
    );
    for (const subscriber of subscribersOf.get(run.id) ?? []) {
      const what = differs(subscriber, own);
      if (what !== undefined) found.breaches.push({ kind: 'subscribers', run: run.id, what: `${subscriber.way} ${what}` });
    }
    found.ended[state.status] = (found.ended[state.status] ?? 0) + 1;
    found.tasks += rows.length;
    found.events += own.length;
  }
}
