import type { z } from 'zod';
import type { Json } from '../../../domain/json.ts';
import { invalidField, invalidRequest } from '../../../domain/invalidRequest.ts';
import { Problem, type Issue } from '../../../domain/problem.ts';
import { prepareRun } from '../../../domain/run/prepareRun.schema.ts';
import { fireTimes, nextFireTime } from '../../../domain/schedule/fireTimes.ts';
import { readWith, schedulePolicies, scheduleSpec } from '../../../domain/schedule/readSpec.ts';
import { SCHEDULE_LIMITS, type ScheduleSpec } from '../../../domain/schedule/schedule.ts';
import { findDefinition } from '../../../db/repositories/definitions.ts';
import type { ScheduleFields } from '../../../db/repositories/schedules.ts';
import type { Deps } from '../../deps.ts';
import type { StartPlace } from '../../runs/startPlace.ts';
import type { PatchedSchedule } from './schemas.ts';

type Written = z.output<typeof PatchedSchedule>;

/**
 * A schedule as it was written, with everything checked that can be: its times, that its workflow is there and takes its input.
 * @throws Problem invalid_request with all issues
 */
export async function readSchedule(
  deps: Deps,
  scope: { name: string; place: StartPlace },
  written: Written & { paused?: boolean | undefined; note?: string | undefined },
): Promise<ScheduleFields> {
  const { workflow, spec, overlap, catchupWindow, remainingActions, input, priority, labels } = written;
  const compiled = readWith(scheduleSpec, spec as Json, '/spec');
  const policies = readWith(schedulePolicies, asJson({ overlap, catchupWindow, remainingActions }), '');
  const next = 'value' in compiled ? nextFireTime(compiled.value, deps.clock()) : undefined;
  const issues = [
    ...('issues' in compiled ? compiled.issues : []),
    ...('issues' in policies ? policies.issues : []),
    ...('value' in compiled && next === undefined ? [{ pointer: '/spec', code: 'never_fires', message: 'has no time after now' }] : []),
    ...(await workflowIssues(deps, scope.place.workspace, written)),
  ];
  if (issues.length > 0 || 'issues' in compiled || 'issues' in policies) throw invalidRequest(issues);
  return {
    ...{ name: scope.name, definition: workflow.name, definitionVersion: workflow.version, spec: asJson(spec), compiled: compiled.value },
    ...{ input: input as Json | undefined, priority, labels, overlap: policies.value.overlap, catchupMs: policies.value.catchupMs },
    ...{ remaining: policies.value.remainingActions, paused: written.paused ?? false, note: written.note, next },
    project: scope.place.project ?? undefined,
  };
}

/** Without what was left out. */
const asJson = (value: object): Json => JSON.parse(JSON.stringify(value)) as Json;

async function workflowIssues(deps: Deps, workspace: string, { workflow, input, priority, labels }: Written): Promise<Issue[]> {
  const stored = await findDefinition(deps.db, { workspace, name: workflow.name, version: workflow.version });
  if (!stored) return [{ pointer: '/workflow', code: 'unknown_workflow', message: 'names no stored workflow' }];
  const { plan } = await deps.plans.get(stored.plan);
  try {
    prepareRun(plan, { input, priority, labels }, { maxInputBytes: SCHEDULE_LIMITS.inputBytes, mode: deps.config.TIU_MODE });
    return [];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const found = error.issues ?? [{ pointer: '', code: error.code, message: error.message }];
    return found.map((issue) => ({ ...issue, pointer: `/input${issue.pointer}` }));
  }
}

/** @throws Problem invalid_request */
export function checkedSpec(spec: object): ScheduleSpec {
  const read = readWith(scheduleSpec, asJson(spec), '/spec');
  if ('issues' in read) throw invalidRequest(read.issues);
  return read.value;
}

/** Times of a backfill. @throws Problem invalid_request when the range is wrong or has too many */
export function backfillTimes(deps: Deps, spec: ScheduleSpec, range: { startAt: string; endAt: string }): number[] {
  const [from, until] = [Date.parse(range.startAt), Date.parse(range.endAt)];
  if (until < from) throw invalidField('/endAt', 'is before startAt');
  if (until > deps.clock()) throw invalidField('/endAt', 'is in the future');
  const times = fireTimes(spec, { after: from - 1, until, limit: SCHEDULE_LIMITS.backfill + 1 });
  if (times.length > SCHEDULE_LIMITS.backfill)
    throw invalidField('/endAt', `the range has more than ${SCHEDULE_LIMITS.backfill} times`, 'too_large');
  return times;
}

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const merged = new Map(Object.entries(isRecord(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
