import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Actor } from '../../domain/access/can.ts';
import type { Json } from '../../domain/json.ts';
import { Problem } from '../../domain/problem.ts';
import { claimKey, dropKey, settleKey } from '../../db/repositories/idempotency.ts';
import type { Deps } from '../deps.ts';
import type { Reply } from '../route.ts';

/** Of the request, for those who keep the promise themselves. @throws Problem malformed_request */
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
  const claim = await claimKey(deps.db, key, hash);
  if (claim.state === 'mismatch') throw new Problem('idempotency_mismatch');
  if (claim.state === 'running') throw new Problem('idempotency_in_progress', { retryAfterMs: 1_000 });
  if (claim.state === 'known') {
    const { status, body, headers } = claim.reply;
    return { status, body, headers: { ...headers, 'idempotent-replayed': 'true' } };
  }
  try {
    const reply = await act();
    const body = (reply.replay ?? reply.body ?? null) as Json;
    await settleKey(deps.db, key, { status: reply.status, body, headers: reply.headers ?? {} });
    return reply;
  } catch (error) {
    await dropKey(deps.db, key).catch(() => undefined);
    throw error;
  }
}
