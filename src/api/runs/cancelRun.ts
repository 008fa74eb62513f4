import type { RunRow, RunView } from '../../db/repositories/runs.ts';
import type { Call } from '../route.ts';
import { loadRunView } from './readRun.ts';

/** Asks a run to end, or forces it if it was asked before. @returns the run after that. @throws Problem run_already_closed */
export async function cancelRun(
  { deps, actor }: Pick<Call<never, never, never, never>, 'deps' | 'actor'>,
  run: RunRow,
  reason: string | undefined,
): Promise<RunView> {
  await deps.command({
    run: run.id,
    workspace: actor.workspace,
    type: 'cancel',
    by: actor.principal,
    ...(reason !== undefined && { reason }),
  });
  return (await loadRunView({ deps, actor, params: run })) ?? { ...run, counts: null };
}
