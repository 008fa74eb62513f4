import { createHmac } from 'node:crypto';
import type { WebhookKey } from './webhookKeys.ts';

/**
 * Header fields of a signed webhook (Standard Webhooks 1.0), with one signature for each key: while keys are rotated, receivers
 * with the old one and with the new one both find theirs.
 * @param message.id the same for every attempt @param message.at ms since 1970, of this attempt
 */
export function signWebhook(keys: readonly WebhookKey[], message: { id: string; at: number; body: string }): Record<string, string> {
  const timestamp = String(Math.floor(message.at / 1_000));
  const signed = `${message.id}.${timestamp}.${message.body}`;
  const signatures = keys.map(({ secret }) => `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`);
  return { 'webhook-id': message.id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
