import type { Database } from './pool.ts';
import { noteClosingRun, type ClosingWorkspace } from './repositories/closedWorkspaces.ts';
import type { Submits } from './submit.ts';
import { systemRun } from './systemDefinitions.ts';

/** Submits the run that closes a workspace: one run, whoever submits it and however often, until it has ended. */
export async function submitClosing(deps: { db: Database } & Pick<Submits, 'submitRun'>, workspace: ClosingWorkspace): Promise<string> {
  const { id, before } = workspace;
  const [closing, until] = [new Date(workspace.closing).toISOString(), new Date(workspace.until).toISOString()];
  const key = `close/${id}/${closing}/${before ?? 'first'}`;
  const run = await systemRun(deps.db, { file: 'workspace-close', key, input: { workspace: id, closing, until } });
  const { runId } = await deps.submitRun(run);
  await noteClosingRun(deps.db, { workspace: id, closing, run: runId });
  return runId;
}
