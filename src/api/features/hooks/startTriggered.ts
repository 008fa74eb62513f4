import { createHash } from 'node:crypto';
import { evaluateOn } from '../../../domain/hook/eventKey.ts';
import { HOOK_LIMITS } from '../../../domain/hook/hook.ts';
import type { Json } from '../../../domain/json.ts';
import { Problem, type Failure } from '../../../domain/problem.ts';
import { prepareRun } from '../../../domain/run/prepareRun.schema.ts';
import { heldArtifacts } from '../../../db/repositories/artifacts.ts';
import { findDefinition } from '../../../db/repositories/definitions.ts';
import type { HookRow } from '../../../db/repositories/hooks.ts';
import { listHookTriggers, type HookTriggerRow } from '../../../db/repositories/hookTriggers.ts';
import type { Submit } from '../../../db/submit.ts';
import type { Deps } from '../../deps.ts';

type Delivered = { hook: HookRow; /** Id of its event. */ event: string; payload: Json };
export type Triggered = { workflow: string; runId: string | null; failure: Failure | null };

/**
 * Starts the runs that definitions want for a delivery: of each trigger one, however often the delivery comes. One whose input does not
 * fit the payload keeps no other from its run. @throws Problem unavailable: it is to be repeated
 */
export async function startTriggered(deps: Deps, delivered: Delivered): Promise<Triggered[]> {
  const { workspace, name } = delivered.hook;
  const triggers = await listHookTriggers(deps.db, { workspace, name, limit: HOOK_LIMITS.triggers });
  return Promise.all(triggers.map((trigger) => start(deps, delivered, trigger)));
}

async function start(deps: Deps, delivered: Delivered, trigger: HookTriggerRow): Promise<Triggered> {
  const workflow = trigger.definition;
  try {
    const { runId, outcome } = await deps.submitRun(await runOf(deps, delivered, trigger));
    deps.metrics.accepted.inc({ replayed: String(outcome !== 'new') });
    return { workflow, runId, failure: null };
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500) throw error;
    return { workflow, runId: null, failure: error.toFailure() };
  }
}

/** An ordinary run, under a key of the delivery and the trigger. */
async function runOf(
  deps: Deps,
  { hook, event, payload }: Delivered,
  { definition, trigger, input, ...place }: HookTriggerRow,
): Promise<Submit> {
  const { workspace } = hook;
  const { project } = place;
  if (place.archived) throw new Problem('project_archived', { detail: 'Nothing is started in the project of the trigger' });
  const stored = await findDefinition(deps.db, { workspace, name: definition, version: undefined });
  if (!stored) throw new Problem('not_found', { detail: `No workflow ${definition}` });
  const { plan, text: body } = await deps.plans.get(stored.plan);
  const given = input === null ? payload : evaluateOn(input, payload);
  const { run, artifacts } = prepareRun(plan, { input: given }, { maxInputBytes: deps.config.TIU_MAX_INPUT, mode: deps.config.TIU_MODE });
  const [by, key] = [`hook:${hook.id}`, `${event}/${definition}/${trigger}`];
  return {
    ...run,
    ...(project !== null && { project }),
    ...{ workspace, key, principal: by, createdBy: by, definition, definitionNumber: stored.number },
    requestHash: createHash('sha256').update(key).digest(),
    plan: { hash: Buffer.from(stored.plan, 'hex'), body },
    data: JSON.stringify({ hook: { id: hook.id, name: hook.name, event } }),
    artifacts: await heldArtifacts(deps.db, workspace, artifacts),
  };
}
