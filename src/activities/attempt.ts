import type { Bindings } from '../domain/expression/expression.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { TaskStatus } from '../domain/plan/outcome.ts';
import { Problem, type Failure } from '../domain/problem.ts';
import { redact } from '../domain/redaction/redact.ts';
import type { ActivityDeps } from './deps.ts';
import { chooseBranch, checkOutput, evaluateFields, undoesNothing } from './evaluate.ts';
import type { Execution } from './kinds/executor.ts';
import { storeOutput, type StoredOutput } from './outputs.ts';
import type { CompiledTask } from './plans.ts';
import { createScrubber, type Scrubber } from './secrets/scrubber.ts';

/** How one attempt ended. */
export type Attempted =
  /** `again`: another round of its loop is to follow. */
  | { status: 'completed'; output: Json; branch?: number; again?: true }
  | { status: 'skipped' }
  | { status: 'failed' | 'timed_out' | 'cancelled'; failure: Failure; retryable: boolean; retryAfterMs?: number };

type AttemptDeps = Pick<ActivityDeps, 'executors' | 'solo' | 'log' | 'objects' | 'readSecrets'>;

/** Errors of what the product itself stands on are not the task's: they end the activity, which Temporal repeats. */
export function isInfrastructure(error: unknown): boolean {
  if (error instanceof Problem) return error.code === 'unavailable' || error.code === 'storage_full';
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && (/^(08|53|57)[0-9A-Z]{3}$/.test(code) || /^E(CONN|PIPE|AI_AGAIN|NOSPC|MFILE|IO$)/.test(code));
}

/**
 * One attempt: condition, input mapping, execution, output check. Never throws for what the task did. The secrets that it
 * names are read for it alone, and nothing that it gives or says holds them.
 * @param alone run it in a process of its own: it was lost with its worker twice
 */
export async function attempt(
  deps: AttemptDeps,
  task: CompiledTask,
  given: { bindings: Bindings; execution: Execution; alone: boolean },
): Promise<Attempted> {
  const { bindings, execution, alone } = given;
  const condition = execution.item < 0 ? task.condition : task.itemCondition;
  let scrubber: Scrubber | undefined;
  try {
    if (undoesNothing(task, bindings) || (condition && condition.evaluate(bindings) !== true)) return { status: 'skipped' };
    if (task.kind === 'switch') {
      const { branch, chosen } = chooseBranch(task, bindings);
      return { status: 'completed', output: { chosen }, branch };
    }
    const secrets = task.secrets.length > 0 ? await deps.readSecrets(execution.workspace, task.secrets) : undefined;
    scrubber = secrets && createScrubber(secrets);
    const input = evaluateFields(task, secrets ? { ...bindings, secrets } : bindings);
    const gave = await perform(deps, task, { input, execution: secrets ? { ...execution, secrets } : execution, alone });
    const output = scrubber ? scrubber.json(gave) : gave;
    await checkOutput(deps, task, { output, workspace: execution.workspace });
    return { status: 'completed', output };
  } catch (error) {
    scrubber?.error(error);
    const result = failed(deps, task, { error, execution });
    return 'failure' in result ? { ...result, failure: tellable(task, result.failure, scrubber) } : result;
  }
}

/** An answer that is not taken stands in the failure instead of the output. */
function tellable({ marks }: CompiledTask, failure: Failure, scrubber: Scrubber | undefined): Failure {
  const { data } = failure;
  const shown = data === undefined || !marks.output.any ? failure : { ...failure, data: redact(data, marks.output) };
  return scrubber ? scrubber.failure(shown) : shown;
}

type Performing = { input: JsonObject; execution: Execution; alone: boolean };

const perform = (deps: AttemptDeps, task: CompiledTask, { alone, ...given }: Performing): Promise<Json> =>
  alone && deps.executors[task.kind] ? deps.solo(task.kind, given.input, given.execution) : run(deps, task, given);

async function run(deps: AttemptDeps, task: CompiledTask, given: { input: JsonObject; execution: Execution }): Promise<Json> {
  if (task.kind === 'transform') return given.input.value ?? null;
  if (task.kind === 'assert') {
    if (given.input.that === true) return true;
    const { message } = given.input;
    throw new Problem('assertion_failed', typeof message === 'string' && !task.marks.message ? { detail: message } : {});
  }
  const executor = deps.executors[task.kind];
  if (!executor) throw new Problem('engine_fault', { detail: `no executor for ${task.kind}` });
  return executor(given.input, given.execution);
}

function failed(deps: AttemptDeps, task: CompiledTask, given: { error: unknown; execution: Execution }): Attempted {
  const { error, execution } = given;
  if (execution.signal.aborted) {
    const reason: unknown = execution.signal.reason;
    const problem = reason instanceof Problem ? reason : new Problem('task_cancelled');
    return { status: statusOf(problem), failure: problem.toFailure(), retryable: problem.code === 'task_timed_out' };
  }
  if (isInfrastructure(error)) throw error;
  if (!(error instanceof Problem)) {
    deps.log.warn(
      { runId: execution.runId, taskId: execution.taskId, error: String(error), stack: (error as Error).stack },
      'task.internal_error',
    );
    return { status: 'failed', failure: new Problem('internal').toFailure(), retryable: false };
  }
  const declared = task.contract.failures[error.code];
  return {
    status: statusOf(error),
    failure: error.toFailure(),
    retryable: (declared?.retryable ?? false) && error.retryable,
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
  };
}

function statusOf(problem: Problem): Extract<TaskStatus, 'failed' | 'timed_out' | 'cancelled'> {
  if (problem.code === 'task_cancelled') return 'cancelled';
  return problem.code === 'task_timed_out' || problem.code === 'deadline_exceeded' ? 'timed_out' : 'failed';
}

/** The key that every outside system gets: the same for each attempt of the same task. */
export const effectKey = (key: { run: string; taskId: string; item: number; generation: number; round?: number }): string =>
  `${key.run}/${key.taskId}/${key.item < 0 ? '-' : key.item}/${key.generation}${key.round ? `/${key.round}` : ''}`;

/**
 * How the attempt counts once its output is where it belongs: one whose output may not be kept has failed.
 * @throws Problem storage_full | unavailable: the try is to be repeated
 */
export async function storeAttempted(
  deps: Pick<ActivityDeps, 'objects' | 'maxOutput'>,
  workspace: string,
  result: Attempted,
): Promise<{ result: Attempted; stored: Partial<StoredOutput> }> {
  if (result.status !== 'completed') return { result, stored: {} };
  try {
    return { result, stored: await storeOutput(deps, workspace, result.output) };
  } catch (error) {
    if (!(error instanceof Problem) || isInfrastructure(error)) throw error;
    return { result: { status: 'failed', failure: error.toFailure(), retryable: false }, stored: {} };
  }
}
