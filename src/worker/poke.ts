import type { Database } from '../db/database.ts';
import { openRunHead } from '../db/dispatch.ts';
import type { Executions } from '../temporal/executions.ts';

/** Pokes an open run by id; a closed one needs none. For activities, which know no more than the id. */
export function createPoke(deps: {
  db: Pick<Database, 'rows'>;
  executions: () => Pick<Executions, 'poke'>;
}): (runId: string) => Promise<void> {
  return async (runId) => {
    const run = await openRunHead(deps.db, runId);
    if (run) await deps.executions().poke(run);
  };
}
