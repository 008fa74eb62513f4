import type { Json } from '../../domain/json.ts';
import { tellStrategy } from '../../domain/plan/strategy.ts';
import type { Marks } from '../../domain/redaction/marks.ts';
import { redact, REDACTED } from '../../domain/redaction/redact.ts';
import { asJson, filled, revive, StoredValue } from '../../domain/run/storedValue.ts';
import { findRun, findRunView, listItems, type RunRow, type RunView, type StoredOutput } from '../../db/repositories/runs.ts';
import { Problem } from '../../domain/problem.ts';
import type { Deps } from '../deps.ts';
import { UUID } from '../cursor.ts';
import { presentRun } from './present.ts';
import { readPercent } from './runProgress.ts';

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

/** A run with its tasks counted by status (before it has begun there are none to count), its percentage and the order of its tasks. */
export async function presentView(deps: Deps, run: RunView) {
  const strategy = tellStrategy(await planOf(deps, run));
  return { ...presentRun(deps.config, run, run.counts ?? []), ...strategy, percent: await readPercent(deps, run) };
}

export const planOf = async (deps: Pick<Deps, 'plans'>, run: RunRow) => (await deps.plans.get(run.plan)).plan;

/** A task of a run by its id. @throws Problem not_found */
export async function taskOf(deps: Pick<Deps, 'plans'>, run: RunRow, id: string) {
  const plan = await planOf(deps, run);
  const index = plan.graph.names.indexOf(id);
  if (index < 0) throw new Problem('not_found', { detail: `The run has no task ${id}` });
  return { plan, index };
}

/** Larger outputs are not shown inside of other answers, bytes. */
const MAX_SHOWN = 8 * 2 ** 20;

/** An output as its row has it: what lies in the object store is only named. */
function outputOf(row: StoredOutput): Json {
  if (row.output_ref === null) return row.output === null ? null : (JSON.parse(row.output) as Json);
  if (row.output === null) return asJson(new StoredValue(row.output_ref.toString('hex'), row.output_size ?? 0));
  return revive(JSON.parse(row.output) as Json);
}

type Shown = { workspace: string; marks: Marks };

/** An output from its row and the object store, without what is marked; null if it has more than 8 MB. */
export async function readShown(deps: Pick<Deps, 'objects'>, row: StoredOutput, { workspace, marks }: Shown): Promise<Json> {
  if ((row.output_size ?? 0) > MAX_SHOWN) return null;
  const read = async ({ sha256 }: StoredValue) => JSON.parse((await deps.objects.get(workspace, sha256)).toString()) as Json;
  return redact(await filled(outputOf(row), read), marks);
}

/** An output as it is to be streamed: unread, unless something in it is marked. More than 8 MB are then not shown. */
export async function streamable(deps: Pick<Deps, 'objects'>, row: StoredOutput, shown: Shown): Promise<Json> {
  if (!shown.marks.any) return outputOf(row);
  return (row.output_size ?? 0) > MAX_SHOWN ? REDACTED : readShown(deps, row, shown);
}

const ITEMS_AT_ONCE = 500;

/** Outputs of the completed items of a mapped task, in order. @param key.marks of one item */
export async function readMapOutput(deps: Deps, key: Shown & { run: string; task: number }): Promise<Json[]> {
  const outputs: Json[] = [];
  for (let after = -1; ;) {
    const rows = await listItems(deps.db, key, { status: ['completed'], after, limit: ITEMS_AT_ONCE });
    for (const row of rows) outputs.push(await readShown(deps, row, key));
    after = rows.at(-1)?.item ?? after;
    if (rows.length < ITEMS_AT_ONCE) return outputs;
  }
}
