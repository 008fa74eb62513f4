import { checkRun, type TaskRow } from '../../../bench/chaos/checkRun.ts';
import type { Cluster } from './cluster.ts';
import { eventsOf, executionsOf, statesOf, type AcceptedRun } from './runs.ts';

export type Report = {
  /** What is wrong; empty when everything holds. */
  bad: string[];
  runs: number;
  effects: number;
  /** Calls beyond the first of their key. */
  repeated: number;
  /** Most calls of one key. */
  most: number;
};

const EXECUTION: Record<string, string> = { completed: 'COMPLETED', failed: 'FAILED', timed_out: 'FAILED', cancelled: 'CANCELLED' };

/** Those whose tasks are all inline. */
async function inlineOf(cluster: Cluster, ids: string[]): Promise<Set<string>> {
  const rows = await cluster.rows<{ id: string }>(
    `select r.id from run r join plan p on p.hash = r.plan where r.id = any($1)
      and (select bool_and(c::text = '0') from json_array_elements(p.body->'graph'->'classes') c)`,
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}

/**
 * Checks what must hold after every attack: each accepted run is finished with the right counters; its events count
 * 1..n and end with its end; nothing of a task happens after its final event; no effect is called again once its task
 * is final; order and outcomes are those of the definition; Temporal agrees.
 * @param options.zombies calls of workers that were stopped and continued may come late
 * @param options.temporal false: executions may be lost (a wipe) or end otherwise (an operator)
 */
export async function holds(
  cluster: Cluster,
  runs: AcceptedRun[],
  options: { zombies?: boolean; temporal?: boolean } = {},
): Promise<Report> {
  const bad: string[] = [];
  const ids = runs.map(({ id }) => id);
  const states = new Map((await statesOf(cluster, ids)).map((state) => [state.run, state]));
  const tasks = await cluster.rows<TaskRow>(
    'select run, task, item, generation, status, seq::int as seq, attempt, finished from task where run = any($1)',
    [ids],
  );
  for (const run of runs) {
    const state = states.get(run.id);
    if (!state) bad.push(`${run.id} was accepted and is gone`);
    else {
      bad.push(
        ...checkRun({
          ...{ run, state, events: await eventsOf(cluster, run.id) },
          tasks: tasks.filter((row) => row.run === run.id),
          calls: cluster.receiver.calls.filter(({ key }) => key.startsWith(`${run.id}/`)),
          late: () => options.zombies ?? false,
        }).map(({ what }) => `${run.id}: ${what}`),
      );
    }
  }
  const inline = await inlineOf(cluster, ids);
  if (options.temporal ?? true)
    for (const [id, status] of await executionsOf(cluster, ids)) {
      const wanted = EXECUTION[states.get(id)?.status ?? ''];
      // Who was killed between the end of a short run and the start of its execution leaves it without one.
      if (status === 'UNKNOWN' && inline.has(id)) continue;
      if (status !== wanted) bad.push(`${id}: Temporal says ${status ?? 'nothing'}, it should be ${wanted ?? ''}`);
    }
  const counts = [...cluster.receiver.counts()].filter(([key]) => ids.includes(key.split('/')[0] ?? '')).map(([, n]) => n);
  const repeated = counts.reduce((sum, n) => sum + n - 1, 0);
  return { bad, runs: runs.length, effects: counts.length, repeated, most: Math.max(0, ...counts) };
}
