import { beginDeletion, cancelAll, deletionParts, hasOpenRuns, type Closing } from '../../db/closeWorkspace.ts';
import type { Database } from '../../db/database.ts';
import { countsOf, purgeRuns } from '../../db/retention.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import { STAY } from '../../domain/retention/workspaceTables.ts';
import type { Execution, Executor } from './executor.ts';
import { sweeperOf, systemOnly } from './systemOnly.ts';

type Deps = { db: Pick<Database, 'rows' | 'pool'> };

const closingOf = (input: JsonObject): Closing => ({ workspace: input.workspace as string, closing: new Date(input.closing as string) });

/** Asks all open runs of a workspace to end. */
export const createWorkspaceStop = ({ db }: Deps): Executor =>
  systemOnly(async (input) => {
    await cancelAll(db, { ...closingOf(input), force: false });
    return null;
  });

/**
 * Deletes all that is in a workspace, in commits of some rows each: an attempt that is lost is gone on with where it was. Nothing is
 * done when the closing was taken back.
 */
export const createWorkspaceDelete = ({ db }: Deps): Executor =>
  systemOnly(async (input, execution) => {
    const of = closingOf(input);
    const sweeper = sweeperOf(execution);
    if (!(await beginDeletion(db, of))) return reportOf(await countsOf(db, sweeper));
    if (await hasOpenRuns(db, of.workspace)) {
      await cancelAll(db, { ...of, force: true });
      throw new Problem('workspace_busy');
    }
    await deleteAll(db, of, { execution, limit: typeof input.batch === 'number' ? input.batch : 1_000 });
    return reportOf(await countsOf(db, sweeper));
  });

async function deleteAll(db: Deps['db'], of: Closing, { execution, limit }: { execution: Execution; limit: number }): Promise<void> {
  const step = { sweeper: sweeperOf(execution), limit };
  const parts = deletionParts(async () => ((await purgeRuns(db, step.sweeper, limit)) ? 1 : 0));
  for (const part of parts) {
    do execution.signal.throwIfAborted();
    while ((await part(db, of, step)) > 0);
  }
}

/** What went, by table, and what stays and why. `withdrawn`: nothing went, as the closing was taken back. */
function reportOf(deleted: { [table: string]: number }): Json {
  const withdrawn = deleted.workspace !== 1;
  return { withdrawn, deleted, kept: withdrawn ? [] : Object.entries(STAY).map(([table, why]) => ({ table, why })) };
}
