import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Execution } from '../activities/kinds/executor.ts';
import { revive } from '../domain/run/storedValue.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { Problem, PROBLEMS, type Failure, type ProblemCode } from '../domain/problem.ts';

/** What is handed to the process, on its standard input. */
export type AloneRequest = { kind: string; input: JsonObject; execution: Omit<Execution, 'signal'> };
/** What it answers, on its standard output. */
export type AloneAnswer = { output: Json } | { failure: Failure; retryAfterMs?: number };

const SCRIPT = fileURLToPath(new URL('./alone.ts', import.meta.url));

/**
 * One try in a process of its own, for a task that was lost with its worker twice: should it end that process too, the
 * worker lives, and the task is known to be the cause.
 * @throws Problem task_crashed_worker, or what the task itself failed with
 */
export async function runAlone(
  kind: string,
  input: JsonObject,
  execution: Omit<Execution, 'signal'> & { signal?: AbortSignal },
): Promise<Json> {
  const { signal, ...rest } = execution;
  const request: AloneRequest = { kind, input, execution: rest };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--max-old-space-size=512', SCRIPT], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: process.env,
  });
  const end = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', end);
  if (signal?.aborted) end();
  // It may be gone before it has read everything; its end says so.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(request));
  const [answer] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  signal?.removeEventListener('abort', end);
  return readAnswer(answer);
}

function readAnswer(answer: string): Json {
  let read: AloneAnswer;
  try {
    read = JSON.parse(answer) as AloneAnswer;
  } catch {
    throw new Problem('task_crashed_worker');
  }
  if ('output' in read) return revive(read.output);
  const { code, message, data } = read.failure;
  const known = code in PROBLEMS ? (code as ProblemCode) : 'internal';
  throw new Problem(known, {
    detail: message,
    ...(data === undefined ? {} : { data }),
    ...(read.retryAfterMs === undefined ? {} : { retryAfterMs: read.retryAfterMs }),
  });
}
