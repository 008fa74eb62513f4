import { KINDS } from '../kinds/kinds.ts';
import { Problem } from '../problem.ts';
import { SYSTEM_WORKSPACE } from '../retention/policy.ts';

/** What the product does for itself may be stored and run in the system workspace only. @throws Problem forbidden */
export function checkSystemKinds(plan: { tasks: readonly { kind: string }[] }, actor: { workspace: string }): void {
  const found = plan.tasks.find(({ kind }) => KINDS[kind]?.system === true);
  if (found && actor.workspace !== SYSTEM_WORKSPACE)
    throw new Problem('forbidden', { detail: `Tasks of kind ${found.kind} belong to the system workspace` });
}
