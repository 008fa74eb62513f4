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

/**
 * Submits as a careful client does: no answer, 429 or 503 means again, under the same key, at the next api.
 * @throws Error for any other answer, and for a busy one that does not say when to come again
 */
export async function submitUntilAccepted(field: Field, sample: Sample, options: { api: number; key?: string }): Promise<AcceptedRun> {
  const key = options.key ?? randomUUID();
  const body = { definition: sample.definition, input: sample.input };
  const until = Date.now() + PATIENCE_MS;
  for (let api = options.api; Date.now() < until; api++) {
    const answer = await post(field, api, { path: '/runs', body, key }).catch(() => undefined);
    if (answer?.status === 202 && answer.body.id !== undefined) return acceptedRun(answer.body.id, sample);
    const busy = answer === undefined || answer.status === 503 || answer.status === 429;
    if (!busy) throw new Error(`a submit was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    if (answer?.retryAfter === null) throw new Error(`a submit was answered ${answer.status} without Retry-After`);
    await sleep(AGAIN_MS);
  }
  throw new Error(`nobody accepted a run within ${PATIENCE_MS / 1000} s`);
}

const acceptedRun = (id: string, { definition, status, tasks, output, cancelAfterMs }: Sample): AcceptedRun => ({
  ...{ id, definition, status, cancellable: cancelAfterMs !== undefined },
  ...(tasks && { tasks }),
  ...(output !== undefined && { output }),
});
