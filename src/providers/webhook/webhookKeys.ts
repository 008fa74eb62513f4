/** `secret`: what receivers have as `whsec_…`. */
export type WebhookKey = { id: string; secret: Buffer };

const ENTRY = /^([\w.-]{1,64}):(.*)$/;
const SECRET = /^(?:whsec_)?([A-Za-z0-9+/]{32,88}={0,2})$/;
/** What Standard Webhooks allows, bytes. */
const [MIN_BYTES, MAX_BYTES] = [24, 64];

/** The bytes of a secret of Standard Webhooks; undefined when the text is none. */
export function readWebhookSecret(text: string): Buffer | undefined {
  const secret = Buffer.from(SECRET.exec(text)?.[1] ?? '', 'base64');
  return secret.length < MIN_BYTES || secret.length > MAX_BYTES ? undefined : secret;
}

/**
 * Reads `id:base64` entries between commas or line breaks.
 * @throws Error that says which entry is wrong, without any of what it holds
 */
export function readWebhookKeys(text: string): WebhookKey[] {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const keys = entries.map((entry, index) => {
    const [, id = '', written = ''] = ENTRY.exec(entry) ?? [];
    const secret = readWebhookSecret(written);
    if (id === '' || !secret)
      throw new Error(`TIU_WEBHOOK_KEYS: entry ${index + 1}: expected id:base64, the base64 of ${MIN_BYTES} to ${MAX_BYTES} bytes`);
    return { id, secret };
  });
  if (new Set(keys.map(({ id }) => id)).size < keys.length) throw new Error('TIU_WEBHOOK_KEYS: an id stands there twice');
  return keys;
}
