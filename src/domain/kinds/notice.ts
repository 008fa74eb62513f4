import type { JsonSchema } from '../json.ts';

/** Ways to tell somebody. */
export const CHANNELS = ['mail', 'webhook', 'slack'] as const;
export type Channel = (typeof CHANNELS)[number];

/** Who is told: mail addresses without names, or the one address (URL) to post to. */
export const RECEIVERS: JsonSchema = {
  anyOf: [
    { type: 'string', minLength: 1, maxLength: 8192 },
    { type: 'array', minItems: 1, maxItems: 50, items: { type: 'string', minLength: 1, maxLength: 320 } },
  ],
};
