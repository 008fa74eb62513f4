import { matchesSchema } from '../../domain/definition/jsonSchema.schema.ts';
import type { Json } from '../../domain/json.ts';
import type { PlanTask } from '../../domain/plan/plan.ts';
import { Problem } from '../../domain/problem.ts';
import type { Deps } from '../deps.ts';

/**
 * An output that somebody gives a task, or with `item` one item of it.
 * @throws Problem invalid_task_output if it is not what the definition says that the task gives, invalid_request for a mapped task
 */
export function checkByHand(planned: PlanTask | undefined, value: Json, { item }: { item: boolean }): void {
  if (planned?.map && !item)
    throw new Problem('invalid_request', { detail: 'the output of a mapped task is that of its items: complete those, or skip the task' });
  const [first] = planned?.outputSchema === undefined ? [] : matchesSchema(planned.outputSchema, value);
  if (first) throw new Problem('invalid_task_output', { detail: `output${first.pointer}: ${first.message}` });
}

const MAX_ROW_OUTPUT = 64 * 1024;

/** Where it goes: as those that tasks give themselves, into its row or the object store. */
export async function storeByHand(
  deps: Pick<Deps, 'objects'>,
  workspace: string,
  value: Json,
): Promise<{ output?: string; outputRef?: Buffer; outputSize: number }> {
  const bytes = Buffer.from(JSON.stringify(value));
  if (bytes.length <= MAX_ROW_OUTPUT) return { output: bytes.toString(), outputSize: bytes.length };
  const { sha256 } = await deps.objects.put(workspace, bytes);
  return { outputRef: Buffer.from(sha256, 'hex'), outputSize: bytes.length };
}
