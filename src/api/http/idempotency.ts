import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Actor } from '../../domain/access/can.ts';
import { isObject, type Json } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import { beginIdempotent, finishIdempotent, releaseIdempotent } from '../../db/idempotency.ts';
import type { Deps } from '../deps.ts';
import type { Reply } from '../route.ts';

/** @throws Problem malformed_request */
export function idempotencyKey(headers: IncomingMessage['headers']): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Problem('malformed_request', { detail: 'Idempotency-Key: 1 to 255 visible ASCII characters' });
  }
  return key;
}

/**
 * Runs `act` once per key of a principal: same key and request → the stored answer; another request → mismatch; while
 * the first still runs → in progress. A failed request frees its key.
 */
export async function idempotent(
  deps: Deps,
  request: { actor: Actor; key: string; what: string; body: string },
  act: () => Promise<Reply>,
): Promise<Reply> {
  const key = { workspace: request.actor.workspace, principal: request.actor.principal, key: request.key };
  const hash = createHash('sha256').update(request.what).update('\0').update(request.body).digest();
  const known = await beginIdempotent(deps.db, key, hash);
  if (known.state === 'conflict' || known.state === 'run') throw new Problem('idempotency_mismatch');
  if (known.state === 'running') throw new Problem('idempotency_in_progress', { retryAfterMs: 1_000 });
  if (known.state === 'done') return replayed(known.status, known.response);
  try {
    const reply = await act();
    const response = { body: reply.replay ?? reply.body ?? null, headers: reply.headers ?? {} } as Json;
    await finishIdempotent(deps.db, key, { hash, status: reply.status, response });
    return reply;
  } catch (error) {
    await releaseIdempotent(deps.db, key, hash).catch(() => undefined);
    throw error;
  }
}

function replayed(status: number, response: Json): Reply {
  const { body, headers } = isObject(response) ? response : {};
  return { status, ...(body !== null && { body }), headers: { ...(headers as Record<string, string>), 'idempotent-replayed': 'true' } };
}
