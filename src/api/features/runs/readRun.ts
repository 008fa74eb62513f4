import type { Json } from '../../../domain/json.ts';
import {
  findOutput,
  findRun,
  findRunView,
  listItems,
  type RunRow,
  type RunView,
  type StoredOutput,
} from '../../../db/repositories/runs.ts';
import type { Deps } from '../../deps.ts';
import { UUID } from '../../cursor.ts';
import { presentRun } from './present.ts';

/** The run that a path names, for `load`. */
export const loadRun = ({
  deps,
  actor,
  params,
}: {
  deps: Deps;
  actor: { workspace: string };
  params: { id: string };
}): Promise<RunRow | undefined> =>
  UUID.test(params.id) ? findRun(deps.db, { workspace: actor.workspace, id: params.id }) : Promise.resolve(undefined);

/** The same with its tasks counted. */
export const loadRunView = ({ deps, actor, params }: Parameters<typeof loadRun>[0]): Promise<RunView | undefined> =>
  UUID.test(params.id) ? findRunView(deps.db, { workspace: actor.workspace, id: params.id }) : Promise.resolve(undefined);

/** A run with its tasks counted by status; before it has begun there are none to count. */
export const presentView = (deps: Deps, run: RunView) => presentRun(deps.config, run, run.counts ?? []);

/** What a run gave; null if it gave nothing. Large outputs come from the object store. */
export async function readOutput(deps: Deps, run: Pick<RunRow, 'id' | 'workspace'>): Promise<Json> {
  const row = await findOutput(deps.db, run.id);
  return row ? readStored(deps, run.workspace, row) : null;
}

/** An output from its row: inline JSON text, or an object. */
export async function readStored(deps: Deps, workspace: string, row: StoredOutput): Promise<Json> {
  if (row.output !== null) return JSON.parse(row.output) as Json;
  if (row.output_ref === null) return null;
  return JSON.parse((await deps.objects.get(workspace, row.output_ref.toString('hex'))).toString()) as Json;
}

const ITEMS_AT_ONCE = 500;

/** Outputs of the completed items of a mapped task, in order. */
export async function readMapOutput(deps: Deps, key: { run: string; workspace: string; task: number }): Promise<Json[]> {
  const outputs: Json[] = [];
  for (let after = -1; ;) {
    const rows = await listItems(deps.db, key, { status: ['completed'], after, limit: ITEMS_AT_ONCE });
    for (const row of rows) outputs.push(await readStored(deps, key.workspace, row));
    after = rows.at(-1)?.item ?? after;
    if (rows.length < ITEMS_AT_ONCE) return outputs;
  }
}
