import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AcceptedRun } from '../../tests/chaos/support/runs.ts';
import type { Field } from './field.ts';
import type { Sample } from './samples.ts';

export type Answer = { status: number; retryAfter: string | null; body: { id?: string } & Record<string, unknown> };

const ANSWER_MS = 10_000;
const AGAIN_MS = 100;
/** Somebody who wants a run started does not give up sooner, ms. */
const PATIENCE_MS = 120_000;

/** One request to one of the apis. @throws when no answer came */
export async function post(field: Field, api: number, request: { path: string; body: object; key?: string }): Promise<Answer> {
  const response = await fetch(`${field.apis[api % field.apis.length]?.url ?? ''}/api/v1${request.path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${field.cluster.key}`,
      'content-type': 'application/json',
      'idempotency-key': request.key ?? randomUUID(),
    },
    body: JSON.stringify(request.body),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const body = (await response.json()) as Answer['body'];
  return { status: response.status, retryAfter: response.headers.get('retry-after'), body };
}

/** @throws Error for any answer but 202, see `postUntilAnswered` */
export async function submitUntilAccepted(field: Field, sample: Sample, options: { api: number; key?: string }): Promise<AcceptedRun> {
  const body = { definition: sample.definition, input: sample.input };
  const answer = await postUntilAnswered(field, options.api, {
    path: '/runs',
    body,
    ...(options.key !== undefined && { key: options.key }),
  });
  if (answer.status === 202 && answer.body.id !== undefined) return acceptedRun(answer.body.id, sample);
  throw new Error(`a submit was answered ${answer.status} ${JSON.stringify(answer.body)}`);
}

/**
 * Asks as a careful client does: no answer, 429 or 503 means again, under the same key, at the next api. @returns any other answer
 * @throws Error for a busy one that does not say when to come again
 */
export async function postUntilAnswered(
  field: Field,
  first: number,
  request: { path: string; body: object; key?: string },
): Promise<Answer> {
  const { key = randomUUID() } = request;
  const until = Date.now() + PATIENCE_MS;
  for (let api = first; Date.now() < until; api++) {
    const answer = await post(field, api, { ...request, key }).catch(() => undefined);
    // whoever was at work on it under this key may have died, and nobody knows yet
    const isUnderWay = answer?.body.code === 'idempotency_in_progress';
    const busy = answer === undefined || answer.status === 503 || answer.status === 429 || isUnderWay;
    if (!busy) return answer;
    if (answer?.retryAfter === null) throw new Error(`${request.path} was answered ${answer.status} without Retry-After`);
    await sleep(AGAIN_MS);
  }
  throw new Error(`nobody answered ${request.path} within ${PATIENCE_MS / 1000} s`);
}

export const acceptedRun = (id: string, { definition, status, tasks, output, order }: Sample): AcceptedRun => ({
  ...{ id, definition, status, cancellable: order?.type === 'cancel' },
  ...(tasks && { tasks }),
  ...(output !== undefined && { output }),
});
