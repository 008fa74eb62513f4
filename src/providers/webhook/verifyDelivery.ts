import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { HOOK_LIMITS, SIGNATURE_HEADERS, type HookScheme } from '../../domain/hook/hook.ts';
import { readWebhookSecret } from './webhookKeys.ts';

type Delivery = { headers: IncomingHttpHeaders; body: Buffer };
type Against = { keys: readonly Buffer[]; /** ms since 1970 */ now: number; toleranceSeconds: number };

/** `id`: the same for the same delivery, and covered by its signature. */
export type Verdict = { ok: true; id: string } | { ok: false; reason: 'headers' | 'signature' | 'timestamp' };

/**
 * Whether a delivery is signed with one of the keys, over the bytes of its body. Works as long whatever is wrong with it.
 * What GitHub signs has neither id nor time, so its body is what identifies it; of Stripe's it is the id of the event in the body.
 */
export const verifyDelivery = (scheme: HookScheme, delivery: Delivery, against: Against): Verdict => VERIFY[scheme](delivery, against);

const VERIFY: { readonly [scheme in HookScheme]: (delivery: Delivery, against: Against) => Verdict } = {
  'standard-webhooks': verifyStandard,
  github: verifyGithub,
  stripe: verifyStripe,
};

/** What a secret of a workspace is to a scheme; undefined when it cannot be one. */
export const deliveryKey = (scheme: HookScheme, secret: string): Buffer | undefined =>
  scheme === 'standard-webhooks' ? readWebhookSecret(secret.trim()) : Buffer.from(scheme === 'stripe' ? secret.trim() : secret);

const header = ({ headers }: Delivery, name: string): string => {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
};

function verifyStandard(delivery: Delivery, { keys, now, toleranceSeconds }: Against): Verdict {
  const [id, timestamp] = [header(delivery, 'webhook-id'), header(delivery, 'webhook-timestamp')];
  const signatures = header(delivery, SIGNATURE_HEADERS['standard-webhooks']);
  const given = signatures
    .split(' ', HOOK_LIMITS.signatures)
    .map((signature) => Buffer.from(signature.startsWith('v1,') ? signature.slice('v1,'.length) : '', 'base64'));
  const signed = isSigned([`${id}.${timestamp}.`, delivery.body], keys, given);
  if (!isId(id) || !isTime(timestamp) || signatures === '') return { ok: false, reason: 'headers' };
  if (!signed) return { ok: false, reason: 'signature' };
  if (!isNear(timestamp, { now, toleranceSeconds })) return { ok: false, reason: 'timestamp' };
  return { ok: true, id };
}

const isTime = (seconds: string): boolean => /^\d{1,12}$/.test(seconds);
const isNear = (seconds: string, { now, toleranceSeconds }: Pick<Against, 'now' | 'toleranceSeconds'>): boolean =>
  Math.abs(now / 1_000 - Number(seconds)) <= toleranceSeconds;
const isId = (id: string): boolean => id.length <= HOOK_LIMITS.idLength && /^[\x21-\x7e]+$/.test(id);

function verifyGithub(delivery: Delivery, { keys }: Against): Verdict {
  const given = /^sha256=([0-9a-f]{64})$/i.exec(header(delivery, SIGNATURE_HEADERS.github))?.[1];
  const signed = isSigned([delivery.body], keys, [Buffer.from(given ?? '', 'hex')]);
  if (given === undefined) return { ok: false, reason: 'headers' };
  if (!signed) return { ok: false, reason: 'signature' };
  return { ok: true, id: createHash('sha256').update(delivery.body).digest('hex') };
}

/** `t=…,v1=…,v1=…`: what other versions sign does not count. */
function verifyStripe(delivery: Delivery, { keys, now, toleranceSeconds }: Against): Verdict {
  const parts = header(delivery, SIGNATURE_HEADERS.stripe)
    .split(',')
    .map((part) => part.trim().split('=', 2) as [string, string | undefined]);
  const of = (name: string): string[] => parts.flatMap(([own, value]) => (own === name && value !== undefined ? [value] : []));
  const [time = ''] = of('t');
  const given = of('v1').slice(0, HOOK_LIMITS.signatures);
  const bytes = given.map((signature) => Buffer.from(/^[0-9a-f]{64}$/i.test(signature) ? signature : '', 'hex'));
  const signed = isSigned([`${time}.`, delivery.body], keys, bytes);
  if (!isTime(time) || given.length === 0) return { ok: false, reason: 'headers' };
  if (!signed) return { ok: false, reason: 'signature' };
  if (!isNear(time, { now, toleranceSeconds })) return { ok: false, reason: 'timestamp' };
  return { ok: true, id: idIn(delivery.body) ?? createHash('sha256').update(delivery.body).digest('hex') };
}

/** Of an event that says which it is. A delivery that is tried again is signed anew, and has the same. */
function idIn(body: Buffer): string | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    const id = typeof value === 'object' && value !== null && 'id' in value ? value.id : undefined;
    return typeof id === 'string' && isId(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Compares every signature with every key, in constant time. */
function isSigned(parts: readonly (string | Buffer)[], keys: readonly Buffer[], given: readonly Buffer[]): boolean {
  let signed = false;
  for (const key of keys) {
    const hmac = createHmac('sha256', key);
    for (const part of parts) hmac.update(part);
    const wanted = hmac.digest();
    for (const signature of given) {
      const isWhole = signature.length === wanted.length;
      const same = timingSafeEqual(isWhole ? signature : Buffer.alloc(wanted.length), wanted);
      signed = (isWhole && same) || signed;
    }
  }
  return signed;
}
