import type { Json } from '../../../domain/json.ts';
import { countTasks, findOutput, findRun, type RunRow } from '../../../db/repositories/runs.ts';
import type { Deps } from '../../deps.ts';
import { UUID } from '../../cursor.ts';
import { presentRun } from './present.ts';

/** The run that a path names, for `load`. */
export const loadRun = ({ deps, actor, params }: { deps: Deps; actor: { workspace: string }; params: { id: string } }): Promise<RunRow | undefined> =>
  UUID.test(params.id) ? findRun(deps.db, { workspace: actor.workspace, id: params.id }) : Promise.resolve(undefined);

/** A run with its tasks counted by status. */
export const readRun = async (deps: Deps, run: RunRow) => presentRun(deps.config, run, await countTasks(deps.db, run.id));

/** What a run gave; null if it gave nothing. Large outputs come from the object store. */
export async function readOutput(deps: Deps, run: Pick<RunRow, 'id' | 'workspace'>): Promise<Json> {
  const row = await findOutput(deps.db, run.id);
  return row ? readStored(deps, run.workspace, row) : null;
}

/** An output from its row: inline JSON text, or an object. */
export async function readStored(deps: Deps, workspace: string, row: { output: string | null; output_ref: Buffer | null }): Promise<Json> {
  if (row.output !== null) return JSON.parse(row.output) as Json;
  if (row.output_ref === null) return null;
  return JSON.parse((await deps.objects.get(workspace, row.output_ref.toString('hex'))).toString()) as Json;
}
