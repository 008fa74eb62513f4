import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { HOOK_LIMITS, type HookScheme } from '../../domain/hook/hook.ts';
import { readWebhookSecret } from './webhookKeys.ts';

type Delivery = { headers: IncomingHttpHeaders; body: Buffer };
type Against = { keys: readonly Buffer[]; /** ms since 1970 */ now: number; toleranceSeconds: number };

/** `id`: the same for the same delivery, and covered by its signature. */
export type Verdict = { ok: true; id: string } | { ok: false; reason: 'headers' | 'signature' | 'timestamp' };

/**
 * Whether a delivery is signed with one of the keys, over the bytes of its body. Works as long whatever is wrong with it.
 * What GitHub signs has neither id nor time, so its body is what identifies it.
 */
export const verifyDelivery = (scheme: HookScheme, delivery: Delivery, against: Against): Verdict =>
  scheme === 'github' ? verifyGithub(delivery, against) : verifyStandard(delivery, against);

/** What a secret of a workspace is to a scheme; undefined when it cannot be one. */
export const deliveryKey = (scheme: HookScheme, secret: string): Buffer | undefined =>
  scheme === 'github' ? Buffer.from(secret) : readWebhookSecret(secret.trim());

const header = ({ headers }: Delivery, name: string): string => {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
};

function verifyStandard(delivery: Delivery, { keys, now, toleranceSeconds }: Against): Verdict {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => header(delivery, `webhook-${name}`)) as [
    string,
    string,
    string,
  ];
  const given = signatures
    .split(' ', HOOK_LIMITS.signatures)
    .map((signature) => Buffer.from(signature.startsWith('v1,') ? signature.slice('v1,'.length) : '', 'base64'));
  const signed = isSigned([`${id}.${timestamp}.`, delivery.body], keys, given);
  if (!isId(id) || !/^\d{1,12}$/.test(timestamp) || signatures === '') return { ok: false, reason: 'headers' };
  if (!signed) return { ok: false, reason: 'signature' };
  if (Math.abs(now / 1_000 - Number(timestamp)) > toleranceSeconds) return { ok: false, reason: 'timestamp' };
  return { ok: true, id };
}

const isId = (id: string): boolean => id.length <= HOOK_LIMITS.idLength && /^[\x21-\x7e]+$/.test(id);

function verifyGithub(delivery: Delivery, { keys }: Against): Verdict {
  const given = /^sha256=([0-9a-f]{64})$/i.exec(header(delivery, 'x-hub-signature-256'))?.[1];
  const signed = isSigned([delivery.body], keys, [Buffer.from(given ?? '', 'hex')]);
  if (given === undefined) return { ok: false, reason: 'headers' };
  if (!signed) return { ok: false, reason: 'signature' };
  return { ok: true, id: createHash('sha256').update(delivery.body).digest('hex') };
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
