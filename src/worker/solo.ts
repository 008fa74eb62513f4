import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ActivityDeps } from '../activities/deps.ts';
import type { Json } from '../domain/json.ts';
import { Problem, PROBLEMS, type Failure, type ProblemCode } from '../domain/problem.ts';

/** What the child answers with. */
export type SoloAnswer = { output: Json } | { failure: Failure };

const asProblem = (failure: Failure): Problem =>
  new Problem(failure.code in PROBLEMS ? (failure.code as ProblemCode) : 'internal', {
    detail: failure.message,
    ...(failure.data !== undefined && { data: failure.data }),
  });

/**
 * Runs one try of a task in a process of its own, where only its own death counts.
 * @throws Problem task_crashed_worker if that process dies before it answers
 */
export const runSolo: ActivityDeps['solo'] = (kind, input, execution) =>
  new Promise((resolve, reject) => {
    const { runId, workspace, taskId, item, generation, attempt, key } = execution;
    const child = fork(fileURLToPath(new URL('./soloMain.ts', import.meta.url)), { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    let answer: SoloAnswer | undefined;
    child.once('message', (message) => {
      answer = message as SoloAnswer;
    });
    child.once('error', reject);
    child.once('exit', () => {
      if (!answer) reject(new Problem('task_crashed_worker', { detail: `the process of task ${taskId} ended without an answer` }));
      else if ('output' in answer) resolve(answer.output);
      else reject(asProblem(answer.failure));
    });
    child.send({ kind, input, execution: { runId, workspace, taskId, item, generation, attempt, key } });
  });
