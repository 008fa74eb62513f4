import { KINDS } from '../kinds/kinds.ts';
import { Problem } from '../problem.ts';
import { SYSTEM_WORKSPACE } from '../retention/policy.ts';

type Tasks = { tasks: readonly { kind: string; each?: Tasks }[] };

/** The first of them, also among the tasks of a map. */
function systemTask({ tasks }: Tasks): { kind: string } | undefined {
  for (const task of tasks) {
    const found = KINDS[task.kind]?.system === true ? task : task.each && systemTask(task.each);
    if (found) return found;
  }
  return undefined;
}

/** What the product does for itself may be stored and run in the system workspace only. @throws Problem forbidden */
export function checkSystemKinds(plan: Tasks, actor: { workspace: string }): void {
  const found = systemTask(plan);
  if (found && actor.workspace !== SYSTEM_WORKSPACE)
    throw new Problem('forbidden', { detail: `Tasks of kind ${found.kind} belong to the system workspace` });
}
