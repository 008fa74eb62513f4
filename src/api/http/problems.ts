import type { Socket } from 'node:net';
import { isObject, type Json } from '../../domain/json.ts';
import { Problem, PROBLEMS } from '../../domain/problem.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** RFC 9457, with our stable `code`, the request's id, and all faults of a document at once. */
export type ProblemBody = {
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
  requestId: string;
  issues?: Problem['issues'];
  /** Of a rate limit: names of the policies that were reached. */
  'violated-policies'?: Json;
};

/** Whatever was thrown as a problem: what nobody expected says nothing about itself. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (!isAway(error)) return new Problem('internal', { cause: error });
  return new Problem('unavailable', { cause: error, retryAfterMs: 1_000 });
}

/** PostgreSQL is away, starting, stopping, full or slow: the client may try again. The driver reports a lost connection without a code. */
const isAway = (error: unknown): boolean => {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'string') return /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|08|53|57|55P03|40001|40P01|25P0[34])/.test(code);
  return (
    typeof message === 'string' && /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered)/.test(message)
  );
};

export function presentProblem(problem: Problem, requestId: string): ProblemBody {
  const { status, title } = PROBLEMS[problem.code];
  return {
    type: `urn:tiu:problem:${problem.code}`,
    title,
    status,
    code: problem.code,
    ...(problem.detail !== undefined && { detail: problem.detail }),
    requestId,
    ...(problem.issues && { issues: problem.issues }),
    ...(problem.code === 'rate_limited' && isObject(problem.data) && { 'violated-policies': problem.data.policies ?? [] }),
  };
}

/** Whoever is told to come again is told when. */
const AGAIN_MS: Readonly<Record<number, number>> = { 429: 1_000, 503: 1_000 };

export function problemHeaders(problem: Problem): Record<string, string> {
  const againMs = problem.retryAfterMs ?? AGAIN_MS[problem.status];
  return {
    'content-type': PROBLEM_TYPE,
    'cache-control': 'no-store',
    ...(problem.code === 'unauthenticated' && { 'www-authenticate': 'Bearer' }),
    ...(againMs !== undefined && { 'retry-after': String(Math.max(1, Math.ceil(againMs / 1000))) }),
  };
}

/** Answers on a connection that has no readable request. */
export function answerRaw(socket: Socket, problem: Problem, requestId: string): void {
  if (!socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(presentProblem(problem, requestId));
  const headers = {
    ...problemHeaders(problem),
    'x-request-id': requestId,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${problem.code}\r\n${head.join('')}\r\n${body}`);
}
