import { COMPLETED } from '../domain/plan/outcome.ts';
import type { Graph } from '../domain/plan/plan.ts';
import { resetOf } from '../domain/plan/reset.ts';
import { createState, recordRows } from '../domain/plan/state.ts';
import { Problem } from '../domain/problem.ts';
import type { RetryOrder } from './commands.ts';
import type { Database } from './database.ts';
import { readStanding, readTaskRows } from './execution.ts';

const refuse = (detail: string) => new Problem('state_conflict', { detail });

/**
 * What a retry of a closed run is to run again, as it stands now.
 * @param chosen only these tasks, and what depends on them
 * @throws Problem state_conflict
 */
export async function retryOrder(
  db: Database,
  run: { id: string; graph: Graph },
  chosen: readonly number[] | undefined,
): Promise<RetryOrder> {
  const { names } = run.graph;
  const nameOf = (task: number): string => names[task] ?? '';
  const standing = await readStanding(db, run.id);
  if (!standing || standing.status === 'open') throw refuse('the run is open');
  if (standing.status === 'completed') throw refuse('the run has completed: nothing of it has to be tried again');
  const state = createState(run.graph);
  const rows = await readTaskRows(db, run.id);
  recordRows(
    state,
    rows.map(([task, status, seq, generation]) => [nameOf(task), status, seq, generation]),
  );
  const done = chosen?.find((task) => state.outcome[task] === COMPLETED);
  if (done !== undefined) throw refuse(`${nameOf(done)} has completed`);
  const { tasks, keepItems } = resetOf(state, chosen);
  if (tasks.length === 0) throw refuse('no task of the run has to be tried again');
  return { type: 'retry', seq: standing.lastSeq, tasks: { indexes: tasks, names: tasks.map(nameOf) }, keepItems };
}
