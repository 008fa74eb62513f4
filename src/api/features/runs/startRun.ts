import { hash as digest } from 'node:crypto';
import type { Actor } from '../../../domain/access/can.ts';
import { checkSystemKinds } from '../../../domain/access/systemKinds.ts';
import { canonicalJson } from '../../../domain/definition/canonical.ts';
import { checkInput } from '../../../domain/definition/jsonSchema.schema.ts';
import { compileTemplate } from '../../../domain/expression/compileTemplate.ts';
import { isObject, type Json } from '../../../domain/json.ts';
import type { Mode, Plan } from '../../../domain/plan/plan.ts';
import { Problem, type Issue } from '../../../domain/problem.ts';
import { isPriority, priorityNumber, type Priority } from '../../../domain/run/priority.ts';
import { missingArtifacts } from '../../../db/repositories/artifacts.ts';
import type { RunView } from '../../../db/repositories/runs.ts';
import type { Submit } from '../../../db/submit.ts';
import type { Deps } from '../../deps.ts';
import { resolvePlan, type Source } from './resolvePlan.ts';

export type StartRunInput = {
  source: Source;
  /** What the request says besides its definition, for telling a repetition from another request under the same key. */
  fingerprint: object;
  idempotencyKey: string | undefined;
  input?: unknown;
  runId?: string | undefined;
  priority?: Priority | undefined;
  mode?: Mode | undefined;
  labels?: Record<string, string> | undefined;
};

/** `accepted`: the run as it was accepted; undefined for one that was accepted before. */
export type Started = { runId: string; accepted?: RunView };

/** A client's own id is the run's only while its time is about now: partitions and order go by it. */
const DAY_MS = 86_400_000;

/**
 * Accepts a run: checked, then durable, all in one group-committed transaction.
 * @throws Problem idempotency_key_required | invalid_definition | invalid_run_input | payload_too_large | idempotency_mismatch | rate_limited
 */
export async function startRun(deps: Deps, actor: Actor, request: StartRunInput): Promise<Started> {
  const own = isOwnId(request.runId, deps.clock()) ? request.runId : undefined;
  const key = request.idempotencyKey ?? (own === undefined && request.runId !== undefined ? `run:${request.runId}` : undefined);
  if (key === undefined && own === undefined)
    throw new Problem('idempotency_key_required', { detail: 'Send Idempotency-Key, or a runId of your own' });
  const { plan, hash, body, name, number, canonical } = await resolvePlan(deps, request.source);
  checkSystemKinds(plan, actor);
  const input = readInput(plan, request.input, deps.config.TIU_MAX_INPUT);
  const artifacts = await artifactsOf(deps, actor, artifactsIn(plan, input.value));
  const submit: Submit = {
    ...(own !== undefined && { runId: own }),
    ...(key !== undefined && { key }),
    requestHash: digest('sha256', fingerprintOf(canonical, request.fingerprint), 'buffer'),
    workspace: actor.workspace,
    principal: actor.principal,
    createdBy: actor.principal,
    definition: name,
    ...(number !== undefined && { definitionNumber: number }),
    plan: { hash, body },
    tasks: plan.tasks.length,
    input: input.text,
    priority: priorityNumber(request.priority ?? priorityOf(plan, input.value)),
    mode: request.mode ?? plan.mode ?? deps.config.TIU_MODE,
    labels: { ...labelsOf(plan), ...request.labels },
    ...(plan.deadlineMs !== undefined && { deadlineMs: plan.deadlineMs }),
    artifacts,
  };
  const release = deps.pressure.holdSubmit(actor.principal);
  const submitted = await deps.submitRun(submit).finally(release);
  if (submitted.outcome === 'conflict') throw new Problem('idempotency_mismatch');
  const { runId } = submitted;
  return submitted.outcome === 'new' ? { runId, accepted: acceptedRun(submit, submitted) } : { runId };
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
      status: 'queued',
      reason: null,
      intent: null,
    },
    ...{ total: tasks, open: tasks, failed: 0, last_seq: 1, started: null, finished: null, failure: null, counts: null },
    deadline: deadlineMs === undefined ? null : new Date(at.getTime() + deadlineMs).toISOString(),
  };
}

const labelsOf = (plan: Plan): Record<string, string> =>
  Object.fromEntries(Object.entries(plan.labels).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]));

function isOwnId(id: string | undefined, now: number): id is string {
  if (id?.[14] !== '7') return false;
  return Math.abs(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16) - now) < DAY_MS;
}

function readInput(plan: Plan, given: unknown, maxBytes: number): { value: Json; text: string } {
  const checked = checkInput(plan.inputSchema, (given ?? {}) as Json);
  if ('issues' in checked) throw new Problem('invalid_run_input', { detail: `${checked.issues.length} faults`, issues: checked.issues });
  const text = JSON.stringify(checked.input);
  if (Buffer.byteLength(text) > maxBytes)
    throw new Problem('payload_too_large', { detail: `The input of a run may have ${maxBytes} bytes; upload an artifact` });
  return { value: checked.input, text };
}

type NamedArtifact = { field: string; sha256: string };

/** Artifacts that the input names. */
const artifactsIn = (plan: Plan, input: Json): NamedArtifact[] =>
  plan.artifactInputs.flatMap((field) => {
    const value = isObject(input) ? input[field] : undefined;
    const sha256 = isObject(value) ? value.sha256 : value;
    return typeof sha256 === 'string' ? [{ field, sha256 }] : [];
  });

/** Their hashes, for holding them as long as the run needs them. @throws Problem invalid_run_input */
async function artifactsOf(deps: Deps, actor: Actor, named: NamedArtifact[]): Promise<Buffer[]> {
  if (named.length === 0) return [];
  const valid = named.filter(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256));
  const missing = new Set(await missingArtifacts(deps.db, { workspace: actor.workspace, hashes: valid.map(({ sha256 }) => sha256) }));
  const issues: Issue[] = named
    .filter((name) => missing.has(name.sha256) || !valid.includes(name))
    .map(({ field }) => ({ pointer: `/${field}`, code: 'artifact_not_found', message: 'names no artifact of this workspace' }));
  if (issues.length > 0) throw new Problem('invalid_run_input', { detail: `${issues.length} faults`, issues });
  return valid.map(({ sha256 }) => Buffer.from(sha256, 'hex'));
}

function priorityOf(plan: Plan, input: Json): Priority {
  if (isPriority(plan.priority)) return plan.priority;
  const template = compileTemplate(plan.priority, { names: ['input'] });
  const value = 'compiled' in template ? template.compiled.evaluate({ input }) : undefined;
  if (isPriority(value)) return value;
  const issues = [
    { pointer: '', code: 'invalid_priority', message: 'the priority of the definition gives no known priority for this input' },
  ];
  throw new Problem('invalid_run_input', { detail: issues[0]?.message ?? '', issues });
}

/** Canonical text of a request; `definition` is that of its definition, which sorts before all else. */
function fingerprintOf(definition: string | undefined, rest: object): string {
  const text = canonicalJson(rest);
  if (definition === undefined) return text;
  return `{"definition":${definition}${text === '{}' ? '' : ','}${text.slice(1)}`;
}
