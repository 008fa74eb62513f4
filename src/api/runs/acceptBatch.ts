import type { z } from 'zod';
import { Problem } from '../../domain/problem.ts';
import { idempotencyKey } from '../http/idempotency.ts';
import { presentProblem, toProblem, type ProblemBody } from '../http/problems.ts';
import { validate } from '../http/validate.ts';
import type { Call, Reply } from '../route.ts';

type BatchCall = Pick<Call<never, never, never, never>, 'deps' | 'actor' | 'headers' | 'gone' | 'requestId'>;
type Result = { index: number; status: number; replayed?: boolean; data?: unknown; problem?: ProblemBody };

/** Entries that are at the database together: one commit for them. */
const AT_ONCE = 10;

/** What a batch holds: `field` of the body, each entry as `schema` says, at most `max` of them. */
type Batch<S extends z.ZodType> = { field: string; entries: readonly unknown[]; schema: S; max: number };
/** Accepts one entry; `at` is its JSON Pointer. */
type Accept<S extends z.ZodType> = (call: BatchCall, entry: Omit<z.output<S>, 'idempotencyKey'>, at: string) => Promise<Reply>;

/**
 * Accepts each entry as if it had come alone and says of each what became of it: one that is refused neither hides nor
 * holds up the others. The key of an entry is its own, or that of the request with its index.
 * @throws Problem invalid_request for more than `max` entries, malformed_request
 */
export async function acceptBatch<S extends z.ZodType<{ idempotencyKey?: string | undefined }>>(
  call: BatchCall,
  batch: Batch<S>,
  accept: Accept<S>,
): Promise<Reply> {
  const { field, entries, max } = batch;
  if (entries.length > max) {
    const message = `at most ${max} in one request`;
    throw new Problem('invalid_request', { detail: message, issues: [{ pointer: `/${field}`, code: 'too_big', message }] });
  }
  const key = idempotencyKey(call.headers);
  const results: Result[] = [];
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    const part = entries.slice(from, from + AT_ONCE).map((entry, i) => acceptEntry(call, batch, { entry, index: from + i, key, accept }));
    results.push(...(await Promise.all(part)));
  }
  const failed = results.filter(({ problem }) => problem).length;
  const summary = { total: results.length, succeeded: results.length - failed, failed };
  return { status: 207, body: { results, summary } };
}

type Entry<S extends z.ZodType> = { entry: unknown; index: number; key: string | undefined; accept: Accept<S> };

async function acceptEntry<S extends z.ZodType<{ idempotencyKey?: string | undefined }>>(
  call: BatchCall,
  { field, schema }: Batch<S>,
  { entry, index, key, accept }: Entry<S>,
): Promise<Result> {
  const at = `/${field}/${index}`;
  try {
    const { idempotencyKey: given, ...parsed } = validate({ body: { schema, value: entry, prefix: at } }).body as z.output<S>;
    const own = given ?? (key === undefined ? undefined : `${key}/${index}`);
    const reply = await accept({ ...call, headers: own === undefined ? {} : { 'idempotency-key': own } }, parsed, at);
    const replayed = reply.headers?.['idempotent-replayed'] === 'true';
    return { index, status: reply.status, ...(replayed && { replayed }), data: reply.body };
  } catch (error) {
    const problem = toProblem(error);
    if (problem.code === 'rate_limited') call.deps.metrics.refused.inc({ code: problem.code });
    else if (problem.status >= 500)
      call.deps.log.error({ requestId: call.requestId, index, code: problem.code, err: problem.cause ?? problem }, 'request.failed');
    return { index, status: problem.status, problem: presentProblem(problem, call.requestId) };
  }
}
