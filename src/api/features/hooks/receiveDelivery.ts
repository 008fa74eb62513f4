import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { eventKey } from '../../../domain/hook/eventKey.ts';
import { HOOK_LIMITS, HOOK_SCHEMES, SIGNATURE_HEADERS } from '../../../domain/hook/hook.ts';
import type { Json } from '../../../domain/json.ts';
import { Problem } from '../../../domain/problem.ts';
import { findReceivingHook, type HookRow } from '../../../db/repositories/hooks.ts';
import { deliveryKey, verifyDelivery } from '../../../providers/webhook/verifyDelivery.ts';
import { UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { parseJson, textOf } from '../../http/body.ts';
import { sendEvent } from '../../sendEvent.ts';
import { startTriggered, type Triggered } from './startTriggered.ts';

type Delivery = { id: string; name: string; headers: IncomingHttpHeaders; body: Buffer };
type Receiving = NonNullable<Awaited<ReturnType<typeof findReceivingHook>>>;

type Received = { id: string; name: string; key: string; at: string; runs: Triggered[] };

const NOBODY = '00000000-0000-0000-0000-000000000000';
/** As many as a hook may have, so that one that is not there takes as long. */
const KEYS = 1 + HOOK_LIMITS.pastSecrets;

/**
 * Makes an event of a signed delivery. Whatever is wrong with address, signature or time, the answer is the same and takes the same work.
 * @throws Problem delivery_refused | malformed_body | number_out_of_range | event_mismatch | idempotency_mismatch
 */
export async function receiveDelivery(deps: Deps, delivery: Delivery): Promise<Received> {
  try {
    const { hook, id } = await verified(deps, delivery);
    const payload = parseJson(textOf(delivery.body)) as Json;
    const event = { name: hook.event_name, key: eventKey(hook.event_key, payload), id: `hook:${hook.name}/${id}` };
    return await deps.walls.within(hook.workspace, async () => {
      const { at, fresh } = await sendEvent(deps, { ...event, workspace: hook.workspace, payload, by: `hook:${hook.id}` });
      const isLate = deps.clock() - new Date(at).getTime() > HOOK_LIMITS.triggerMs;
      const runs = isLate ? [] : await startTriggered(deps, { hook, event: event.id, payload });
      deps.metrics.deliveries.inc({ result: fresh ? 'new' : 'known' });
      return { ...event, at, runs };
    });
  } catch (error) {
    if (error instanceof Problem && error.code !== 'delivery_refused') deps.metrics.deliveries.inc({ result: error.code });
    throw error;
  }
}

/** @throws Problem delivery_refused, which does not say why: that is counted */
async function verified(deps: Deps, { id, name, headers, body }: Delivery): Promise<{ hook: HookRow; id: string }> {
  const hook = await findReceivingHook(deps.db, { id: UUID.test(id) ? id : NOBODY, name, past: HOOK_LIMITS.pastSecrets });
  const scheme = hook?.scheme ?? HOOK_SCHEMES.find((one) => headers[SIGNATURE_HEADERS[one]] !== undefined) ?? 'standard-webhooks';
  const { keys, known } = keysOf(deps, hook);
  const toleranceSeconds = hook?.tolerance ?? HOOK_LIMITS.toleranceSeconds;
  const verdict = verifyDelivery(scheme, { headers, body }, { keys, now: deps.clock(), toleranceSeconds });
  if (hook && verdict.ok) return { hook, id: verdict.id };
  deps.metrics.deliveries.inc({ result: !hook ? 'unknown' : known === 0 ? 'no_secret' : verdict.ok ? 'signature' : verdict.reason });
  throw new Problem('delivery_refused');
}

/** What a delivery may be signed with; where there is no such value, what nobody can have signed with. */
function keysOf({ secretCipher: cipher }: Pick<Deps, 'secretCipher'>, hook: Receiving | undefined): { keys: Buffer[]; known: number } {
  const nobodys = randomBytes(32);
  const decoy = cipher.keyId === null ? undefined : cipher.seal({ workspace: NOBODY, name: 'decoy' }, nobodys.toString('base64'));
  const found = Array.from({ length: KEYS }, (_, i) => {
    const value = hook?.values[i];
    if (hook && value)
      return opened(() =>
        deliveryKey(
          hook.scheme,
          cipher.open({ workspace: hook.workspace, name: hook.secret }, { keyId: value.key_id, sealed: value.sealed }),
        ),
      );
    if (decoy) cipher.open({ workspace: NOBODY, name: 'decoy' }, decoy);
    return undefined;
  });
  return { keys: found.map((key) => key ?? nobodys), known: found.filter((key) => key !== undefined).length };
}

/** A value that no key of this process opens is none. */
function opened(open: () => Buffer | undefined): Buffer | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}
