import { hash as digest } from 'node:crypto';
import type { Actor } from '../../domain/access/can.ts';
import { checkSystemKinds } from '../../domain/access/systemKinds.ts';
import { canonicalJson } from '../../domain/definition/canonical.ts';
import { durationMs } from '../../domain/definition/duration.ts';
import type { Json } from '../../domain/json.ts';
import type { Plan } from '../../domain/plan/plan.ts';
import { invalidField } from '../../domain/invalidRequest.ts';
import { Problem } from '../../domain/problem.ts';
import { prepareRun, type RunRequest } from '../../domain/run/prepareRun.schema.ts';
import { heldArtifacts } from '../../db/repositories/artifacts.ts';
import type { RunView } from '../../db/repositories/runs.ts';
import { notifySchedules } from '../../db/repositories/schedules.ts';
import type { Submit } from '../../db/submit.ts';
import type { Deps } from '../deps.ts';
import { resolvePlan, type Resolved, type Source } from './resolvePlan.ts';
import type { StartPlace } from './startPlace.ts';

export type StartRunInput = RunRequest & {
  source: Source;
  /** What the request says besides its definition, for telling a repetition from another request under the same key. */
  fingerprint: object;
  place: StartPlace;
  idempotencyKey: string | undefined;
  runId?: string | undefined;
  /** As it was written. */
  delay?: unknown;
  startAt?: string | undefined;
};

/** `accepted`: the run as it was accepted, where nothing can have happened to it since. */
export type Started = { runId: string; plan: Plan; replayed: boolean; accepted?: RunView };

/** A client's own id is the run's only while its time is about now: partitions and order go by it. */
const DAY_MS = 86_400_000;

/**
 * Accepts a run: checked, then durable, all in one group-committed transaction.
 * @throws Problem concurrency_limit | idempotency_key_required | invalid_definition | invalid_run_input | payload_too_large | idempotency_mismatch
 *   | rate_limited
 */
export async function startRun(deps: Deps, actor: Actor, request: StartRunInput): Promise<Started> {
  const keys = keysOf(request, deps.clock());
  const resolved = await resolvePlan(deps, request.source);
  const prepared = await prepareSubmit(deps, actor, { ...request, resolved });
  const { plan } = resolved;
  const submit: Submit = { ...prepared, ...keys };
  const release = deps.pressure.holdSubmit(actor.principal);
  const submitted = await deps.submitRun(submit).finally(release);
  if (submitted.outcome === 'conflict') throw new Problem('idempotency_mismatch');
  const { runId } = submitted;
  if (submit.notBefore !== undefined) await notifySchedules(deps.db);
  return submitted.outcome === 'new'
    ? { runId, plan, replayed: false, accepted: acceptedRun(submit, submitted) }
    : { runId, plan, replayed: true };
}

/** Under what a request is known when it is repeated. @throws Problem idempotency_key_required */
export function keysOf(
  { runId, idempotencyKey }: Pick<StartRunInput, 'runId' | 'idempotencyKey'>,
  now: number,
): Pick<Submit, 'runId' | 'key'> {
  const own = isOwnId(runId, now) ? runId : undefined;
  const key = idempotencyKey ?? (own === undefined && runId !== undefined ? `run:${runId}` : undefined);
  if (key === undefined && own === undefined)
    throw new Problem('idempotency_key_required', { detail: 'Send Idempotency-Key, or a runId of your own' });
  return { ...(own !== undefined && { runId: own }), ...(key !== undefined && { key }) };
}

/** A run as it is submitted, checked; nothing is written. @throws Problem invalid_run_input | payload_too_large | invalid_request | forbidden */
export async function prepareSubmit(
  deps: Deps,
  actor: Actor,
  { resolved, place, ...request }: Omit<StartRunInput, 'idempotencyKey' | 'runId' | 'source'> & { resolved: Resolved },
): Promise<Omit<Submit, 'runId' | 'key'>> {
  const { plan, hash, body, name, number, canonical } = resolved;
  checkSystemKinds(plan, actor);
  const { run, artifacts } = prepareRun(plan, request, { maxInputBytes: deps.config.TIU_MAX_INPUT, mode: deps.config.TIU_MODE });
  const notBefore = startOf(request, deps.clock());
  return {
    requestHash: digest('sha256', fingerprintOf(canonical, request.fingerprint), 'buffer'),
    workspace: actor.workspace,
    principal: actor.principal,
    createdBy: actor.principal,
    definition: name,
    ...(number !== undefined && { definitionNumber: number }),
    plan: { hash, body },
    ...run,
    ...(place.project !== null && { project: place.project }),
    ...(notBefore !== undefined && { notBefore }),
    artifacts: await heldArtifacts(deps.db, actor.workspace, artifacts),
  };
}

/** What the database holds of a run that it has just accepted. */
function acceptedRun(submit: Submit, { runId, at }: { runId: string; at: Date }): RunView {
  const { workspace, definition, plan, tasks, priority, mode, labels, deadlineMs, createdBy } = submit;
  return {
    ...{ id: runId, workspace, definition, definition_number: submit.definitionNumber ?? null, plan: plan.hash.toString('hex') },
    ...{
      priority,
      mode: mode ?? 'standard',
      labels,
      created: at.toISOString(),
      created_by: createdBy,
      owner: createdBy,
      project: submit.project ?? null,
      status: 'queued',
      reason: null,
      intent: null,
    },
    ...{ total: tasks, open: tasks, failed: 0, last_seq: 1, started: null, finished: null, failure: null, counts: null },
    not_before: submit.notBefore ?? null,
    deadline: deadlineMs === undefined ? null : new Date(at.getTime() + deadlineMs).toISOString(),
  };
}

const YEAR_MS = 366 * DAY_MS;

/** ISO time before which the run is not to begin; undefined = at once. @throws Problem invalid_request */
function startOf({ delay, startAt }: Pick<StartRunInput, 'delay' | 'startAt'>, now: number): string | undefined {
  if (delay === undefined && startAt === undefined) return undefined;
  if (delay !== undefined && startAt !== undefined) throw invalidField('/delay', 'stands beside startAt: give one of them');
  const delayMs = delay === undefined ? Date.parse(startAt ?? '') - now : durationMs(delay as Json);
  if (delayMs === undefined) throw invalidField('/delay', 'must be a duration such as PT10M or { minutes: 10 }');
  if (delayMs > YEAR_MS) throw invalidField(delay === undefined ? '/startAt' : '/delay', 'is more than a year ahead');
  return delayMs <= 0 ? undefined : new Date(now + delayMs).toISOString();
}

function isOwnId(id: string | undefined, now: number): id is string {
  if (id?.[14] !== '7') return false;
  return Math.abs(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16) - now) < DAY_MS;
}

/** Canonical text of a request; `definition` is that of its definition, which sorts before all else. */
function fingerprintOf(definition: string | undefined, rest: object): string {
  const text = canonicalJson(rest);
  if (definition === undefined) return text;
  return `{"definition":${definition}${text === '{}' ? '' : ','}${text.slice(1)}`;
}
