import { can, type Actor } from '../../../domain/access/can.ts';
import type { Definition } from '../../../domain/definition/definition.ts';
import { HOOK_LIMITS } from '../../../domain/hook/hook.ts';
import type { Plan } from '../../../domain/plan/plan.ts';
import { Problem, type Issue } from '../../../domain/problem.ts';
import { prepareRun } from '../../../domain/run/prepareRun.schema.ts';
import { isHookTrigger, type ScheduleTrigger } from '../../../domain/schedule/readSpec.ts';
import { nextFireTime } from '../../../domain/schedule/fireTimes.ts';
import { writtenSpec } from '../../../domain/schedule/ranges.ts';
import { SCHEDULE_LIMITS } from '../../../domain/schedule/schedule.ts';
import { findDefinition } from '../../../db/repositories/definitions.ts';
import { replaceHookTriggers } from '../../../db/repositories/hookTriggers.ts';
import { replaceTriggers, type ScheduleFields } from '../../../db/repositories/schedules.ts';
import type { Deps } from '../../deps.ts';
import { placeOf } from '../../runs/startPlace.ts';

/** Projects that triggers name, by name: their ids. */
type Places = ReadonlyMap<string, string>;

/**
 * Before anything is stored. @returns where the runs of triggers are to be
 * @throws Problem forbidden, not_found, project_archived | invalid_definition when a trigger's input does not fit
 */
export async function checkTriggers(
  deps: Pick<Deps, 'config' | 'db'>,
  actor: Actor,
  { definition, plan }: { definition: Definition; plan: Plan },
): Promise<Places> {
  const { triggers = [] } = definition;
  const places = new Map<string, string>();
  if (triggers.length === 0) return places;
  if (!can(actor, 'schedule.create', actor))
    throw new Problem('forbidden', { detail: 'Triggers start runs: the key may not schedule.create' });
  const issues = triggers.flatMap((trigger, i) =>
    isHookTrigger(trigger) ? [] : inputIssues(plan, trigger.input, { at: `/triggers/${i}/input`, mode: deps.config.TIU_MODE }),
  );
  if (issues.length > 0) throw new Problem('invalid_definition', { detail: `${issues.length} faults`, issues });
  for (const { project } of triggers) {
    const place = await placeOf({ deps, actor }, { project });
    if (project !== undefined && place.project !== null) places.set(project, place.project);
  }
  return places;
}

function inputIssues(plan: Plan, input: unknown, { at, mode }: { at: string; mode: Deps['config']['TIU_MODE'] }): Issue[] {
  try {
    prepareRun(plan, { input }, { maxInputBytes: SCHEDULE_LIMITS.inputBytes, mode });
    return [];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const found = error.issues ?? [{ pointer: '', code: error.code, message: error.message }];
    return found.map((issue) => ({ ...issue, pointer: at + issue.pointer }));
  }
}

/**
 * Makes the schedules of the newest version, and what deliveries start of it, those that its triggers say; an older version that is
 * stored again changes none. Safe to repeat. @throws Problem too_many_schedules | too_many_triggers
 */
export async function storeTriggers(
  deps: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  stored: { definition: Definition; number: number; places: Places },
): Promise<void> {
  const { name, triggers = [] } = stored.definition;
  const newest = await findDefinition(deps.db, { workspace: actor.workspace, name, version: undefined });
  if (newest?.number !== stored.number) return;
  const fields = triggers.flatMap((trigger, i) => (isHookTrigger(trigger) ? [] : [fieldsOf(trigger, `${name}.${trigger.name ?? i + 1}`)]));
  const idOf = (project: string | undefined) => (project === undefined ? undefined : stored.places.get(project));
  const owner = { workspace: actor.workspace, name, by: actor.principal };
  const deliveries = triggers.flatMap((trigger, i) =>
    isHookTrigger(trigger)
      ? [{ trigger: i, hook: trigger.webhook, input: trigger.input ?? null, project: idOf(trigger.project) ?? null }]
      : [],
  );
  const hooks = await replaceHookTriggers(deps.db, owner, { triggers: deliveries, max: HOOK_LIMITS.triggers });
  const now = deps.clock();
  const timed = fields.map((one): ScheduleFields => ({
    ...one,
    ...{ definition: name, next: nextFireTime(one.compiled, now), project: idOf(one.project) },
  }));
  const outcome = await replaceTriggers(deps.db, owner, timed);
  if (outcome === 'full') throw new Problem('too_many_schedules');
  if (hooks === 'full') throw new Problem('too_many_triggers', { detail: `At most ${HOOK_LIMITS.triggers} of one hook` });
}

const fieldsOf = (trigger: ScheduleTrigger, name: string): Omit<ScheduleFields, 'definition' | 'next'> => ({
  ...{ name, definitionVersion: undefined, priority: undefined, labels: undefined, paused: false, note: undefined },
  ...{ spec: writtenSpec(trigger.spec), compiled: trigger.spec, input: trigger.input, project: trigger.project },
  ...{ overlap: trigger.overlap, catchupMs: trigger.catchupMs, remaining: trigger.remainingActions },
});
