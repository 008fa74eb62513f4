import { NOTHING, WHOLE, type Marks } from '../../../domain/redaction/marks.ts';
import { planMarks } from '../../../domain/redaction/planMarks.ts';
import { findDefinition } from '../../../db/repositories/definitions.ts';
import type { ScheduleRow } from '../../../db/repositories/schedules.ts';
import type { Deps } from '../../deps.ts';

/** What the workflow of a schedule says of its input; of one that is not there, everything. */
export async function inputMarks(deps: Pick<Deps, 'db' | 'plans'>, row: ScheduleRow): Promise<Marks> {
  if (row.input === null) return NOTHING;
  const { workspace, definition: name, definition_version: version } = row;
  const stored = await findDefinition(deps.db, { workspace, name, version: version ?? undefined });
  return stored ? planMarks((await deps.plans.get(stored.plan)).plan).input : WHOLE;
}
