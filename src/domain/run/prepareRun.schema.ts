import { LIMITS } from '../definition/limits.ts';
import { checkInput } from '../definition/jsonSchema.schema.ts';
import { compileTemplate } from '../expression/compileTemplate.ts';
import { isObject, type Json } from '../json.ts';
import { countedTasks } from '../plan/phases.ts';
import type { Mode, OnConflict, Plan } from '../plan/plan.ts';
import { Problem } from '../problem.ts';
import { isPriority, priorityNumber, type Priority } from './priority.ts';

/** What whoever starts a run says about it. */
export type RunRequest = {
  input?: unknown;
  priority?: Priority | undefined;
  labels?: Record<string, string> | undefined;
  mode?: Mode | undefined;
};

/** What the installation says. */
export type RunDefaults = { maxInputBytes: number; mode: Mode };

export type NamedArtifact = { field: string; sha256: string };

/** A run as a submit wants it, besides who starts it and under which key; and the artifacts that its input names. */
export type PreparedRun = {
  run: {
    /** JSON text. */
    input: string;
    priority: number;
    labels: Record<string, string>;
    tasks: number;
    mode: Mode;
    /** From acceptance, ms. */
    deadlineMs?: number;
    concurrency?: { key: string; limit: number; onConflict: OnConflict };
  };
  artifacts: NamedArtifact[];
};

/**
 * What the plan and the request say together, for everybody who accepts a run: the api for a client, a worker for a schedule.
 * @throws Problem invalid_run_input | payload_too_large
 */
export function prepareRun(plan: Plan, request: RunRequest, defaults: RunDefaults): PreparedRun {
  const input = readInput(plan, request.input, defaults.maxInputBytes);
  return {
    run: {
      input: input.text,
      priority: priorityNumber(request.priority ?? priorityOf(plan, input.value)),
      labels: { ...labelsOf(plan), ...request.labels },
      tasks: countedTasks(plan.graph),
      mode: request.mode ?? plan.mode ?? defaults.mode,
      ...(plan.deadlineMs !== undefined && { deadlineMs: plan.deadlineMs }),
      ...concurrencyOf(plan, input.value),
    },
    artifacts: artifactsIn(plan, input.value),
  };
}

const labelsOf = (plan: Plan): Record<string, string> =>
  Object.fromEntries(Object.entries(plan.labels).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]));

function readInput(plan: Plan, given: unknown, maxBytes: number): { value: Json; text: string } {
  const checked = checkInput(plan.inputSchema, (given ?? {}) as Json);
  if ('issues' in checked) throw new Problem('invalid_run_input', { detail: `${checked.issues.length} faults`, issues: checked.issues });
  const text = JSON.stringify(checked.input);
  if (isLonger(text, maxBytes))
    throw new Problem('payload_too_large', { detail: `The input of a run may have ${maxBytes} bytes; upload an artifact` });
  return { value: checked.input, text };
}

/** A character takes one to three bytes, so only texts near the bound have to be encoded. */
const isLonger = (text: string, bytes: number): boolean =>
  text.length > bytes || (text.length * 3 > bytes && new TextEncoder().encode(text).length > bytes);

const artifactsIn = (plan: Plan, input: Json): NamedArtifact[] =>
  plan.artifactInputs.flatMap((field) => {
    const value = isObject(input) ? input[field] : undefined;
    const sha256 = isObject(value) ? value.sha256 : value;
    return typeof sha256 === 'string' ? [{ field, sha256 }] : [];
  });

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

/** The concurrency key of a run is decided when it is accepted. @throws Problem invalid_run_input */
function concurrencyOf(plan: Plan, input: Json): { concurrency?: { key: string; limit: number; onConflict: OnConflict } } {
  if (!plan.concurrency) return {};
  const { key: template, limit, onConflict } = plan.concurrency;
  const compiled = compileTemplate(template, { names: ['input'] });
  const value = 'compiled' in compiled ? compiled.compiled.evaluate({ input }) : undefined;
  const key = typeof value === 'number' ? String(value) : value;
  if (typeof key === 'string' && key !== '' && key.length <= LIMITS.keyLength && !key.includes('\0'))
    return { concurrency: { key, limit, onConflict } };
  const message = `the concurrency key of the definition must give text of 1 to ${LIMITS.keyLength} characters for this input`;
  throw new Problem('invalid_run_input', { detail: message, issues: [{ pointer: '', code: 'invalid_concurrency_key', message }] });
}
